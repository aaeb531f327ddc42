"""What a run writes to the store and reads from it: the store's implementation of `method.protocols.Journal`.

Every write is one transaction that first checks that this attempt still owns the run; if it does not, `Stopped` is
raised and nothing is written. Metrics wait for the next write: a training that reports progress before it publishes a
checkpoint has every metric up to there on disk. While the database is busy or the disk full, progress and events wait
as well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select, update

from semievol.config import VOTERS
from semievol.method import spending
from semievol.method.spending import Spent
from semievol.records import Candidate, Cost, Response
from semievol.selection.summary import Considered, Selection
from semievol.store import schema
from semievol.store.data.projects import project_folder, run_folder
from semievol.store.data.records import record_keys
from semievol.store.database import NotSaved, Store
from semievol.store.decisions.selections import (
    FoundBefore,
    considered,
    load_selection,
    newest_selection,
    write_selection,
)
from semievol.store.results import outcomes, places
from semievol.store.results.costs import add_costs
from semievol.store.results.rows import as_response, candidate_rows, response_columns, response_row
from semievol.store.runs import rounds, runs
from semievol.store.runs.claims import check_owner
from semievol.store.runs.progress import advance, upsert, write_event, write_metrics
from semievol.store.runs.rounds import bump

_s = schema.responses.c
_OF_ONE = ("round_id", "stage", "record_key", "collaborator")
_GLANCE_SECONDS = 0.5  # progress is written, and a request to stop looked up, at most this often


class StoreJournal:
    """The journal of one attempt at one run; used by one thread."""

    def __init__(self, store: Store, run: runs.Run) -> None:
        self._store, self._run = store, run
        self._round = rounds.get_round(store, run.round_id)
        self._known: dict[str, int] | None = None
        self._points: list[tuple[str, str, int, float, float]] = []
        self._news: list[tuple[str, str, float]] = []
        self._progress: dict[str, tuple[int, int]] = {}
        self._written: dict[str, tuple[float, tuple[int, int]]] = {}
        self._looked, self._stopping = -math.inf, False
        self._took_over = False

    # --- progress ---------------------------------------------------------------------------------------------------

    def progress(self, stage: str, done: int, total: int) -> None:
        """Written at once where a stage begins or ends or metrics wait, else every half second."""
        at, written = self._written.get(stage, (-math.inf, None))
        if self._points or ((done, total) != written and (done >= total or time.monotonic() - at > _GLANCE_SECONDS)):
            self._progress[stage] = (done, total)
            self._write_news()

    def metric(self, stage: str, name: str, step: int, value: float) -> None:
        """Waits for the next write, as long as metrics come for half a second at most; at once if it is not finite."""
        self._points.append((stage, name, step, float(value), time.time()))
        if not math.isfinite(value) or time.time() - self._points[0][-1] > _GLANCE_SECONDS:
            self._write_news()

    def event(self, stage: str, text: str) -> None:
        self._news.append((stage, text, time.time()))
        self._write_news()

    def _write_news(self) -> None:
        try:
            with self._write():
                pass
        except NotSaved:
            pass  # it stays in memory, and the next write stores it

    def stopping(self) -> bool:
        """Whether somebody asked to stop, or the run was taken over; looked up at most every half second."""
        if not self._stopping and time.monotonic() - self._looked > _GLANCE_SECONDS:
            self._looked = time.monotonic()
            run = runs.get_run(self._store, self._run.id)
            self._stopping = run.status != "running" or run.attempt != self._run.attempt
        return self._stopping

    # --- adapters ---------------------------------------------------------------------------------------------------

    def folder(self, stage: str) -> Path:
        """The folder of this stage's adapter: one per round for warm_up, one per run for tune."""
        project_id = self._run.project_id
        of_round = project_folder(self._store, project_id) / "rounds" / str(self._round.id)
        folder = (of_round if stage == "warm_up" else run_folder(self._store, project_id, self._run.id)) / stage
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def adapter(self, stage: str) -> str | None:
        """The finished adapter of `warm_up` (this round) or `tune` (this run; for a run that only evaluates, see
        `outcomes.evaluated_adapter`), if there is one."""
        if stage == "warm_up":
            return outcomes.adapters(self._store, self._round.id).get(stage)
        if self._run.first == "evaluate":
            return outcomes.evaluated_adapter(self._store, self._round.id, self._run.id)
        return outcomes.run_adapter(self._store, self._run.id)

    def save_adapter(self, stage: str, path: str) -> None:
        stored = self._store.relative(path)
        with self._write() as connection:
            if stage == "warm_up":
                self._change_round(connection, warm_up_adapter=stored)
            else:
                runs.change(connection, self._run.id, adapter=stored)
            bump(connection, round_id=self._round.id)

    def fold_adapters(self) -> dict[int, str]:
        """Fold -> its warm-up adapter, of those that are finished."""
        stored = self._store.value(self._fold_adapters()) or {}
        return {int(fold): str(self._store.located(path)) for fold, path in stored.items()}

    def save_fold_adapter(self, fold: int, path: str) -> None:
        with self._write() as connection:
            stored = connection.execute(self._fold_adapters()).scalar() or {}
            self._change_round(connection, fold_adapters=stored | {str(fold): self._store.relative(path)})

    def _fold_adapters(self) -> Select[Any]:
        return select(schema.rounds.c.fold_adapters).where(schema.rounds.c.id == self._round.id)

    # --- retrieve, respond, justify ---------------------------------------------------------------------------------

    def demonstrations(self) -> dict[str, list[tuple[str, float]]]:
        """Record id -> (labeled record id, similarity), most similar first, of this round."""
        d, r = schema.demonstrations.c, schema.records.c
        query = select(r.record_id, d.nearest).join(schema.records, r.key == d.record_key)
        rows = self._store.rows(query.where(d.round_id == self._round.id).order_by(d.record_key))
        return {record_id: [(shown, similarity) for shown, similarity in nearest] for record_id, nearest in rows}

    def save_demonstrations(self, found: Mapping[str, Sequence[tuple[str, float]]]) -> None:
        rows = [
            {"round_id": self._round.id, "record_key": self._key(record_id), "nearest": list(nearest)}
            | {"nearest_id": nearest[0][0] if nearest else None, "similarity": nearest[0][1] if nearest else None}
            for record_id, nearest in found.items()
        ]
        with self._write() as connection:
            self._replace(connection, schema.demonstrations, rows)
            bump(connection, round_id=self._round.id)

    def mapped(self) -> bool:
        return places.mapped(self._store, self._round.id)

    def save_map(self, found: Mapping[str, tuple[float, float]]) -> None:
        with self._write() as connection:
            places.write(connection, self._round.id, found)
            bump(connection, round_id=self._round.id)

    def shift(self) -> dict[str, Any] | None:
        """As `rounds.shift`."""
        return rounds.shift(self._store, self._round.id)

    def save_shift(self, found: Mapping[str, Any]) -> None:
        with self._write() as connection:
            self._change_round(connection, shift=dict(found))
            bump(connection, round_id=self._round.id)

    def weights(self) -> dict[str, Any] | None:
        """As `rounds.weights`."""
        return rounds.weights(self._store, self._round.id)

    def save_weights(self, found: Mapping[str, Any]) -> None:
        with self._write() as connection:
            self._change_round(connection, weights=dict(found))
            bump(connection, round_id=self._round.id)

    def answered(self, stage: str) -> set[tuple[str, str, str]]:
        """Keys (record id, collaborator, input hash) of the responses already stored for this round and stage."""
        s, r = schema.responses.c, schema.records.c
        query = select(r.record_id, s.collaborator, s.input_hash).join(schema.records, r.key == s.record_key)
        return {tuple(row) for row in self._store.rows(query.where(s.round_id == self._round.id, s.stage == stage))}

    def responses(self, stage: str, of: Sequence[str] | None = None) -> list[Response]:
        """The round's responses: records in the order of the data, the responses to each in the order of writing."""
        s, r = schema.responses.c, schema.records.c
        query = select(r.record_id, s.collaborator, *response_columns(schema.responses)).join(
            schema.records, r.key == s.record_key
        )
        mine = query.where(s.round_id == self._round.id, s.stage == stage).order_by(s.record_key, s.id)
        if of is not None:
            mine = mine.where(s.record_key.in_([self._key(record_id) for record_id in of]))
        return [as_response(*row) for row in self._store.rows(mine)]

    def spent(self) -> dict[str, Spent]:
        return spending.read(self._store.value(select(schema.runs.c.spent).where(schema.runs.c.id == self._run.id)))

    def save_responses(
        self,
        stage: str,
        responses: Sequence[Response],
        costs: Mapping[str, Cost] | None = None,
        spent: Mapping[str, Spent] | None = None,
    ) -> None:
        voting = {one.name for one in self._round.config.propagation.collaborators if one.model in VOTERS}
        whose = {"round_id": self._round.id, "run_id": self._run.id, "stage": stage}
        rows = [
            whose | {"record_key": self._key(r.record_id), "collaborator": r.collaborator} | response_row(r)
            for r in responses
        ]
        with self._write() as connection:
            if votes := [row for row in rows if row["collaborator"] in voting]:
                mine = [_s[name] == bindparam(f"its_{name}") for name in _OF_ONE]
                earlier = delete(schema.responses).where(*mine, _s.input_hash != bindparam("its_input_hash"))
                connection.execute(earlier, [{f"its_{c}": row[c] for c in (*_OF_ONE, "input_hash")} for row in votes])
            if rows:
                connection.execute(upsert(connection, schema.responses).on_conflict_do_nothing(), rows)
            add_costs(connection, self._run.id, stage, costs or {})
            if spent is not None:
                runs.change(connection, self._run.id, spent=spending.stored(spent))
            bump(connection, round_id=self._round.id)

    def save_candidates(self, candidates: Iterable[Candidate]) -> None:
        """Stores each candidate with the standing decision on it."""
        found = {self._key(candidate.record_id): candidate for candidate in candidates}
        with self._write() as connection:
            self._replace(connection, schema.candidates, candidate_rows(connection, self._round, found))
            bump(connection, round_id=self._round.id)

    # --- select, tune, evaluate -------------------------------------------------------------------------------------

    def considered(self) -> Considered:
        """As `selections.considered`."""
        return considered(self._store, self._round.id)

    def selection(self) -> Selection | None:
        """The selection that this run used or froze before, else the one that it was started with, else the newest."""
        with self._write() as connection:
            frozen = self._bound(connection) or newest_selection(connection, self._round.id)
            if frozen is not None:
                runs.change(connection, self._run.id, selection_used=frozen.number)
        return frozen

    def freeze(self, work: Callable[[], Selection]) -> Selection:
        """The selection that this run used before or was started with, if there is one; else the round's next one."""
        found = FoundBefore(self._store, self._round.id, work)
        with self._write() as connection:
            frozen = self._bound(connection)
            if frozen is None:
                now = found.now(connection)
                frozen = write_selection(connection, self._round.id, now, run_id=self._run.id)
            runs.change(connection, self._run.id, selection_used=frozen.number)
        return frozen

    def predictions(self, model: str) -> list[Response]:
        """Test answers that this run has stored for one of the compared models; a run that only evaluates begins with
        a copy of the answers of the run that made the evolved model."""
        if self._run.first == "evaluate" and not self._took_over:
            with self._write() as connection:
                outcomes.copy_answers(connection, self._run.id, self._round.id)
                bump(connection, round_id=self._round.id)
            self._took_over = True
        p, r = schema.predictions.c, schema.records.c
        query = select(r.record_id, p.model, *response_columns(schema.predictions)).join(
            schema.records, r.key == p.record_key
        )
        mine = query.where(p.run_id == self._run.id, p.model == model).order_by(p.record_key)
        return [as_response(*row) for row in self._store.rows(mine)]

    def save_predictions(self, model: str, responses: Sequence[Response]) -> None:
        whose = {"run_id": self._run.id, "model": model}
        rows = [
            whose | {"record_key": self._key(r.record_id), "confidence": _confidence(r)} | response_row(r)
            for r in responses
        ]
        with self._write() as connection:
            self._replace(connection, schema.predictions, rows)
            bump(connection, round_id=self._round.id)

    def save_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        with self._write() as connection:
            self._replace(connection, schema.evaluations, [{"run_id": self._run.id, "document": dict(evaluation)}])
            bump(connection, round_id=self._round.id)

    # --- writing ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """A transaction of this attempt; it also writes what waited in memory."""
        points, news, steps = list(self._points), list(self._news), dict(self._progress)
        with self._store.write() as connection:
            check_owner(self._store, connection, self._run.id, self._run.attempt)
            now = self._store.now(connection)
            if points:
                write_metrics(connection, self._run.id, self._run.attempt, points)
            for stage, text, at in news:
                write_event(connection, self._run.id, stage, text, at)
            for stage, (done, total) in steps.items():
                advance(connection, self._run.id, stage, done, total, now, self._run.started or now)
            yield connection
        del self._points[: len(points)], self._news[: len(news)]
        for stage, (done, total) in steps.items():
            del self._progress[stage]
            self._written[stage] = (time.monotonic(), (done, total))

    def _bound(self, connection: Connection) -> Selection | None:
        """The selection that this run must use: the one that it used before, else the one that it was started with."""
        n = schema.runs.c
        used, wished = connection.execute(select(n.selection_used, n.selection).where(n.id == self._run.id)).one()
        number = wished if used is None else used
        return None if number is None else load_selection(connection, self._round.id, number)

    def _change_round(self, connection: Connection, **values: Any) -> None:
        connection.execute(update(schema.rounds).where(schema.rounds.c.id == self._round.id).values(**values))

    def _replace(self, connection: Connection, into: Any, rows: list[dict[str, Any]]) -> None:
        if rows:
            statement = upsert(connection, into)
            changed = {name: statement.excluded[name] for name in rows[0] if name not in into.primary_key.columns}
            connection.execute(
                statement.on_conflict_do_update(index_elements=list(into.primary_key), set_=changed), rows
            )

    def _key(self, record_id: str) -> int:
        if self._known is None:
            with self._store.read() as connection:
                self._known = record_keys(connection, self._round.id)
        return self._known[record_id]


def _confidence(response: Response) -> float | None:
    """Probability of the answer: of the most probable allowed answer, or of the average token of a free one."""
    if response.probabilities:
        return max(response.probabilities)
    if response.token_logprobs:
        return math.exp(sum(response.token_logprobs) / len(response.token_logprobs))
    return None
