"""A journal in memory: what the method finds in one arm of one seed. Only adapters and checkpoints lie in a folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from semievol.config import VOTERS, Collaborator
from semievol.method.protocols import Plan
from semievol.method.spending import Spent
from semievol.records import Candidate, Cost, Record, Response, Task
from semievol.selection import candidates
from semievol.selection.summary import Considered, Selection
from semievol.task.answers import same
from semievol.task.prompts import suspicious


class Watcher(Protocol):
    """Sees how far an arm is, and says whether the study is to stop."""

    def progress(self, stage: str, done: int, total: int) -> None: ...
    def event(self, stage: str, text: str) -> None: ...
    def stopping(self) -> bool: ...


class Unwatched:
    """Nobody sees the progress, and nothing stops the study."""

    def progress(self, stage: str, done: int, total: int) -> None: ...
    def event(self, stage: str, text: str) -> None: ...
    def stopping(self) -> bool:
        return False


class MemoryJournal:
    """A journal of `plan` in dicts, without decisions of experts and without reviews."""

    def __init__(self, plan: Plan | None, folder: Path, watcher: Watcher | None = None) -> None:
        self.plan = plan
        self.place = folder
        self.adapters: dict[str, str] = {}
        self.of_folds: dict[int, str] = {}
        self.near: dict[str, list[tuple[str, float]]] = {}
        self.kept: dict[str, dict[tuple[str, str, str], Response]] = defaultdict(dict)
        self.compared: dict[str, Any] | None = None
        self.weighed: dict[str, Any] | None = None
        self.paid: dict[str, Spent] = {}
        self.merged: dict[str, Candidate] = {}
        self.frozen: Selection | None = None
        self.predicted: dict[str, dict[str, Response]] = {}
        self.evaluation: dict[str, Any] = {}
        self._watcher = watcher or Unwatched()

    @property
    def _collaborators(self) -> Sequence[Collaborator]:
        return self.plan.config.propagation.collaborators if self.plan else ()

    def progress(self, stage: str, done: int, total: int) -> None:
        self._watcher.progress(stage, done, total)

    def metric(self, stage: str, name: str, step: int, value: float) -> None:
        """Curves are not kept."""

    def event(self, stage: str, text: str) -> None:
        self._watcher.event(stage, text)

    def stopping(self) -> bool:
        return self._watcher.stopping()

    def folder(self, stage: str) -> Path:
        return self.place / stage

    def adapter(self, stage: str) -> str | None:
        return self.adapters.get(stage)

    def save_adapter(self, stage: str, path: str) -> None:
        self.adapters[stage] = path

    def fold_adapters(self) -> dict[int, str]:
        return self.of_folds

    def save_fold_adapter(self, fold: int, path: str) -> None:
        self.of_folds[fold] = path

    def demonstrations(self) -> dict[str, list[tuple[str, float]]]:
        return self.near

    def save_demonstrations(self, found: Mapping[str, Sequence[tuple[str, float]]]) -> None:
        self.near = {key: list(value) for key, value in found.items()}

    def mapped(self) -> bool:
        """A study draws no map."""
        return True

    def save_map(self, found: Mapping[str, tuple[float, float]]) -> None:
        """See `mapped`."""

    def shift(self) -> Mapping[str, Any] | None:
        return self.compared

    def save_shift(self, found: Mapping[str, Any]) -> None:
        self.compared = dict(found)

    def weights(self) -> Mapping[str, Any] | None:
        return self.weighed

    def save_weights(self, found: Mapping[str, Any]) -> None:
        self.weighed = dict(found)

    def answered(self, stage: str) -> set[tuple[str, str, str]]:
        return set(self.kept[stage])

    def responses(self, stage: str, of: Sequence[str] | None = None) -> list[Response]:
        """The responses in the order in which a run writes them, also where some were computed for another arm."""
        place = {one.name: (one.model in VOTERS, number) for number, one in enumerate(self._collaborators)}
        wanted = None if of is None else set(of)
        found = [one for one in self.kept[stage].values() if wanted is None or one.record_id in wanted]
        return sorted(found, key=lambda one: place.get(one.collaborator, (True, len(place))))

    def spent(self) -> dict[str, Spent]:
        return dict(self.paid)

    def save_responses(
        self,
        stage: str,
        responses: Sequence[Response],
        costs: Mapping[str, Cost] | None = None,
        spent: Mapping[str, Spent] | None = None,
    ) -> None:
        """What they took is not kept."""
        self.paid = dict(spent or self.paid)
        voting = {one.name for one in self._collaborators if one.model in VOTERS}
        now = {(one.record_id, one.collaborator): one.input_hash for one in responses if one.collaborator in voting}
        for key in [key for key in self.kept[stage] if now.get(key[:2], key[2]) != key[2]]:
            del self.kept[stage][key]
        for response in responses:
            self.kept[stage].setdefault((response.record_id, response.collaborator, response.input_hash), response)

    def save_candidates(self, candidates: Iterable[Candidate]) -> None:
        self.merged |= {candidate.record_id: candidate for candidate in candidates}

    def considered(self) -> Considered:
        assert self.plan is not None, "a journal that makes selections is given the plan"
        task, pool, spent = self.plan.task, self.plan.unlabeled, self.plan.spent
        held = {record.content_hash for record in self.plan.calibration}
        known = self.plan.calibration or self.plan.labeled
        rows = self._rows(known, with_gold=True)
        return Considered(
            task,
            candidates.candidate_table(self._rows(pool), spent, self._ungiven(task, pool)),
            candidates.calibration_table(rows, spent, task, held, self._ungiven(task, known)),
            self.compared,
        )

    def _ungiven(self, task: Task, records: Sequence[Record]) -> set[int]:
        """Places of the records whose candidate is disputed and has an answer that no collaborator gave."""
        given: dict[str, list[str | None]] = defaultdict(list)
        for response in self.kept["respond"].values():
            given[response.record_id].append(response.answer)
        found = set()
        for place, record in enumerate(records):
            merged = self.merged.get(record.id)
            if merged is None or merged.answer is None or merged.agreed:
                continue
            if not any(same(task, answer, merged.answer) for answer in given[record.id]):
                found.add(place)
        return found

    def _rows(self, records: Sequence[Record], with_gold: bool = False) -> list[list[Any]]:
        lines = []
        for key, record in enumerate(records):
            if (found := self.merged.get(record.id)) is not None:
                flagged = suspicious(record.question, record.options, record.earlier)
                line = {"record_key": key, "record_id": record.id, "question": record.question}
                line |= {"similarity": self.near[record.id][0][1] if self.near.get(record.id) else None}
                line |= {"gold": record.answer if with_gold else None}
                line |= candidates.candidate_columns(found, record.content_hash, flagged, None)
                lines.append([line[name] for name in candidates.COLUMNS])
        return lines

    def selection(self) -> Selection | None:
        return self.frozen

    def freeze(self, work: Callable[[], Selection]) -> Selection:
        self.frozen = self.frozen or replace(work(), number=1)
        return self.frozen

    def predictions(self, model: str) -> list[Response]:
        return list(self.predicted.get(model, {}).values())

    def save_predictions(self, model: str, responses: Sequence[Response]) -> None:
        self.predicted.setdefault(model, {}).update({response.record_id: response for response in responses})

    def save_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        self.evaluation = dict(evaluation)
