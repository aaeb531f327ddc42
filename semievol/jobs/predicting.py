"""New records answered by a model of a project: a file goes in, the same file with answers comes out.

Prompts, scoring and reading of answers are those of the `evaluate` stage. Only the records of one block and the answers
of all are in memory; the file is written when everything is answered, so a process that is killed leaves none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from semievol.config import VOTERS, Collaborator, Config
from semievol.endpoints import is_endpoint
from semievol.engines.models import suitability
from semievol.engines.training.checkpoints import fault
from semievol.errors import UserError
from semievol.export import files
from semievol.importing.earlier_mapping import mapping_again
from semievol.importing.joined_columns import with_joined
from semievol.importing.mapping import Mapping, check_mapping
from semievol.importing.rows import Row, rows_of
from semievol.importing.table import Reject, Table
from semievol.jobs import intake, launch, money, planning, remote_models
from semievol.jobs.environment import for_models
from semievol.method import comparison, ensemble, remote, voters
from semievol.method.confidence import answer_entropy, token_entropy
from semievol.method.conversations import ask_of, base_path, chunks, response_of
from semievol.method.protocols import Ask, Engine, Plan, Reply
from semievol.method.spending import Purse
from semievol.progress import Watch, unwatched
from semievol.records import Demonstration, Record, Response, Task
from semievol.store.data import projects, records, versions
from semievol.store.database import Store
from semievol.store.results import outcomes
from semievol.store.runs import rounds
from semievol.task.answers import answer_text

MODELS = {"base": None, "warm_up": "warm_up", "evolved": "tune"}
"""A model's name -> the stage that makes its adapter."""
_BLOCK = 2_000
"""Records that are read, and whose demonstrations are looked up, at once."""
_NAMED = 20


@dataclass(frozen=True)
class Model:
    """One of `MODELS` of a project, and the settings and data of its prompts. path: adapter's folder, "base", or the
    address at a server. round: None where a base is asked in a project that has no round yet."""

    name: str
    path: str
    config: Config
    version: versions.Version
    round: rounds.Round | None


@dataclass(frozen=True)
class _Answer:
    """One line's answer. text: of the option that a letter names. note: why there is none; "" if there is one."""

    answer: str | None = None
    text: str | None = None
    probability: float | None = None
    entropy: float | None = None
    note: str = ""


@dataclass
class _Answers:
    """The answers by place in the table. purse: what a server takes. shortened: records that were shown fewer
    demonstrations, to fit. alone: records that the model answered without the ensemble, as it gave no probabilities.
    over: why the server is asked no further question."""

    purse: Purse
    by_place: dict[int, _Answer] = field(default_factory=dict)
    shortened: int = 0
    alone: int = 0
    over: UserError | None = None

    def asked(self, engine: Engine, asks: Sequence[Ask]) -> list[Reply | None]:
        """A server's replies; none once it can be asked no more."""
        if self.over is not None:
            return [None] * len(asks)
        replies, self.over = remote.replies(engine, asks, self.purse)
        if self.over is not None and not any(one.answers for one in self.purse.spent.values()):
            raise self.over  # nothing is paid, so there is nothing to write
        return replies


def newest(store: Store, project: projects.Project, name: str) -> Model:
    """The project's model of this name, from the round that counts, else from the next one in turn that has it."""
    stage = MODELS[name]
    for round_ in rounds.in_turn(rounds.list_rounds(store, project.id)):
        path = base_path(round_.config) if stage is None else outcomes.adapters(store, round_.id).get(stage)
        if path is None:
            continue
        if path != "base" and not is_endpoint(path) and (wrong := fault(Path(path))):
            raise UserError(f"The {name} model is damaged: {wrong}.", project.name, "Fine-tune again.")
        return Model(name, path, round_.config, versions.get_version(store, round_.version_id), round_)
    if stage is not None or project.version_id is None:
        raise UserError(f"There is no {name} model yet.", project.name, "Run the project first, or take --model base.")
    config = launch.project_config(project)
    return Model(name, base_path(config), config, versions.get_version(store, project.version_id), None)


def predict(
    store: Store,
    project: projects.Project,
    file: Path,
    out: Path,
    model: str = "evolved",
    demonstrations: bool = False,
    watch: Watch = unwatched,
    start_engine: Callable[[Store, Config, Watch], Engine] | None = None,
    ensembled: bool = False,
) -> dict[str, Any]:
    """Answers every record of `file` and writes its columns with answer, probability and entropy to `out`.

    file: anything that an import reads; the columns are those of the project's own files, answers are not needed.
    out: its ending chooses the format, see `export.files.table`. demonstrations: the most similar labeled records are
    shown before each question. ensembled: the answers are those of the model together with the simple models that are
    collaborators of its round (`method.ensemble`). Returns counts, and row and reason of the first records without an
    answer.
    """
    files.fitting(out, files.TABLES)
    files.refuse_taken(out)
    chosen = newest(store, project, model)
    if demonstrations and not chosen.config.propagation.k:
        raise UserError("The round's settings show no demonstrations (k = 0).", project.name, "Leave them out.")
    weighted = _weights(store, chosen, project.name) if ensembled else {}
    with projects.incoming_folder(store) as folder:
        table = intake.read({"unlabeled": file}, folder, watch)["unlabeled"]
        mapping, remarks = _mapping(chosen.version, table)
        planning.check_model(chosen.config.model)
        files.check_table(out, _Lines(table, _Answers(Purse()), {}, chosen.version.task))
        engine = (start_engine or _engine)(store, chosen.config, watch)
        rejects: list[Reject] = []
        whole = with_joined({"unlabeled": table}, mapping.columns())["unlabeled"]
        plan = _plan(store, chosen)
        learned = _learned(store, chosen, plan.labeled) if weighted else ()
        asking = _Asking(plan, engine, chosen, demonstrations, weighted, learned)
        answers = _answered(asking, whole, mapping, rejects, watch)
        reasons = {reject.row: reject.reason for reject in rejects}
        files.table(out, _Lines(table, answers, reasons, chosen.version.task))
    silent = [(reject.row, reject.reason) for reject in table.rejected] + list(reasons.items())
    numbers = table.numbers.tolist()
    silent += [(numbers[place], one.note) for place, one in answers.by_place.items() if one.note]
    return {
        "project": project.name,
        "round": None if chosen.round is None else chosen.round.place,
        "model": model,
        "demonstrations": demonstrations,
        "ensemble": ensembled,
        "out": str(out),
        "records": table.physical,
        "answered": table.physical - len(silent),
        "not_answered": [{"row": row, "reason": reason} for row, reason in sorted(silent)[:_NAMED]],
        "shortened": answers.shortened,
        "notes": [*table.notes, *remarks, *_told(answers)],
    }


def _told(answers: _Answers) -> list[str]:
    """What was not averaged, what a server took, and why it was asked no further question."""
    lines = []
    if answers.alone:
        lines.append(f"The model gave no probabilities for {answers.alone:,} records: it answered these alone.")
    lines += [money.spent_line(name, one, priced=bool(one.cost)) for name, one in answers.purse.spent.items()]
    if answers.over is not None:
        rest = "Set a larger budget." if answers.purse.budget else answers.over.remedy
        lines.append(f"{answers.over.what} The records that are left have no answer. {rest}")
    return lines


def _engine(store: Store, config: Config, watch: Watch) -> Engine:
    os.environ.update(for_models())  # before torch loads
    watch("Loading the model", 0, 1)
    from semievol.engines.local import LocalEngine  # here: torch takes seconds, and no other verb needs it

    far = None
    if config.is_far:
        remote_models.check(store, config)
        far = remote_models.at_once(store, config)
    suitability.check_precision(config)
    return LocalEngine(config.model, config.precision, config.threads, store.home / "embeddings", far)


def _mapping(version: versions.Version, table: Table) -> tuple[Mapping, list[str]]:
    """What the columns mean, as in the project's own files, and sentences about those that have other names here."""
    found = mapping_again(version.sources, {"unlabeled": table})
    mapping, remarks = found or (Mapping("question"), [])
    if not mapping.question or mapping.question not in table.columns:
        wanted = mapping.question or next((s["mapping"]["question"] for s in version.sources if "mapping" in s), "")
        raise UserError(
            f'There is no column "{wanted}" for the question.',
            table.name,
            f"Its columns are: {', '.join(table.columns[:30])}. Rename one of them.",
        )
    if version.task.kind == "multiple_choice" and not (mapping.options or mapping.choices):
        raise UserError("There is no column with the options.", table.name, "Name it as in the project's own files.")
    check_mapping(mapping, with_joined({"unlabeled": table}, mapping.columns()))
    return mapping, remarks


def _plan(store: Store, chosen: Model) -> Plan:
    """What the questions are made with; the labeled records are those that may be demonstrations."""
    held = set() if chosen.round is None else rounds.held(store, chosen.round.id)
    labeled = records.load_records(store, chosen.version.id, "labeled")
    allowed = [record for record in labeled if record.content_hash not in held]
    return Plan(chosen.version.task, chosen.config, allowed, ())


def _weights(store: Store, chosen: Model, project: str) -> dict[str, float]:
    """The weights of the ensemble in the model's round. Raises UserError where it has none."""
    if chosen.round is None or chosen.name not in comparison.ENSEMBLES:
        raise UserError("Only a fine-tuned model answers in the ensemble.", project, "Leave out --ensemble.")
    known = chosen.version.task, chosen.config, rounds.weights(store, chosen.round.id)
    if reason := ensemble.obstacle(*known):
        raise UserError(f"There is no ensemble. {reason}", project, "Leave out --ensemble.")
    return ensemble.weights(*known)


def _learned(store: Store, chosen: Model, labeled: Sequence[Record]) -> list[Record]:
    """What the voters in the ensemble learn from."""
    assert chosen.round is not None, "a base has no ensemble"
    if chosen.name != "evolved":
        return list(labeled)
    pool = records.load_records(store, chosen.version.id, "unlabeled")
    return ensemble.learned(labeled, pool, outcomes.trained_on(store, chosen.round.id))


@dataclass(frozen=True)
class _Asking:
    """Who answers, and how. weighted: as `ensemble.weights` gives them; empty for the model alone. learned: what the
    voters in the ensemble learn from."""

    plan: Plan
    engine: Engine
    chosen: Model
    demonstrations: bool
    weighted: dict[str, float]
    learned: Sequence[Record] = ()

    def simple(self, questions: Sequence[Record]) -> dict[str, dict[str, Response]]:
        """Voter -> record id -> its response, of the voters in the ensemble."""
        found: dict[str, dict[str, Response]] = {}
        informed = replace(voters.with_tuned_embedder(self.plan), labeled=self.learned)
        for how in VOTERS:
            if how in self.weighted:
                said = voters.poll(informed, self.engine, how, how, questions)
                found[how] = {response.record_id: response for response in said}
        return found


def _answered(asking: _Asking, table: Table, mapping: Mapping, rejects: list[Reject], watch: Watch) -> _Answers:
    plan, engine, chosen, demonstrations = asking.plan, asking.engine, asking.chosen, asking.demonstrations
    asker = Collaborator(name=chosen.name, model=chosen.name, demonstrations=demonstrations)
    settings = plan.config.propagation
    found = _Answers(Purse(plan.config.budget))
    rows = rows_of("unlabeled", table, mapping, plan.task, rejects)
    done = 0
    while block := list(islice(rows, _BLOCK)):
        asked = {f"row {row.number}": row for row in block}
        questions = [_record(plan.task, name, row) for name, row in asked.items()]
        near: dict[str, list[Demonstration]] = {}
        if demonstrations:
            shown = engine.neighbours(plan.labeled, questions, settings.k, settings.embedder)
            near = {record.id: demonstrated for record, demonstrated in zip(questions, shown, strict=True)}
        simple = asking.simple(questions)
        for _, chunk in chunks(questions, near or None, engine.chunk):
            asks = [ask_of(plan, engine, "predict", r, asker, {chosen.name: chosen.path}, near) for r in chunk]
            found.shortened += sum(bool(ask.left_out) and not ask.too_long for ask in asks)
            put = [ask for ask in asks if not ask.too_long]
            given = iter(found.asked(engine, put) if plan.config.is_far else engine.answer(put))
            for record, ask in zip(chunk, asks, strict=True):
                beside = {how: said[record.id] for how, said in simple.items()}
                one = _answer_of(asking, record, ask, given, beside)
                found.by_place[asked[record.id].place] = one
                found.alone += bool(beside) and one.answer is not None and one.probability is None
            done += len(chunk)
            watch("Answering", done, len(table))
    return found


def _record(task: Task, name: str, row: Row) -> Record:
    options = row.options if task.kind == "multiple_choice" else ()
    return Record(name, row.question, options, row=row.number, earlier=row.earlier)


def _answer_of(
    asking: _Asking, record: Record, ask: Ask, given: Iterator[Reply | None], beside: dict[str, Response]
) -> _Answer:
    """The answer that the next of the replies gives, if the question was put. beside: the simple models' responses."""
    if ask.too_long:
        return _Answer(note="The record is too long for the model.")
    reply = next(given)
    if reply is None:
        return _Answer(note="The server gave no answer.")
    said, task = response_of(asking.plan, record, ask, reply), asking.plan.task
    if beside:
        said = ensemble.together(task, record, {ensemble.MODEL: said} | beside, asking.chosen.name, asking.weighted)
    return _answer(task, record, ask.allowed, said)


def _answer(task: Task, record: Record, allowed: Sequence[str], said: Response) -> _Answer:
    if said.answer is None:
        return _Answer(note=f"The model's words state no answer: {said.text[:80]!r}.")
    if not said.probabilities:
        return _Answer(said.answer, entropy=token_entropy(task, said.answer, [said]))
    text = answer_text(task, record, said.answer).partition(". ")[2] if task.kind == "multiple_choice" else None
    likely = said.probabilities[allowed.index(said.answer)]
    return _Answer(said.answer, text, likely, answer_entropy(allowed, [said]))


class _Lines:
    """The lines of the file, made anew each time they are gone through: its own columns, then the answer's."""

    def __init__(self, table: Table, answers: _Answers, reasons: dict[int, str], task: Task) -> None:
        self._table, self._answers, self._reasons, self._task = table, answers, reasons, task
        names = ["answer", "answer_text", "probability", "entropy", "note"]
        before = "predicted_" if set(names) & set(table.columns) else ""
        while {before + name for name in names} & set(table.columns):
            before += "_"
        self._names = [before + name for name in names]

    def __iter__(self) -> Iterator[files.Row]:
        table = self._table
        for place, (number, cells) in enumerate(table.walk(table.columns)):
            one = self._answers.by_place.get(place) or _Answer(note=self._reasons.get(number, ""))
            answer, text, probability, entropy, note = self._names
            row: files.Row = dict(zip(table.columns, cells, strict=True)) | {answer: one.answer}
            row |= {text: one.text} if self._task.kind == "multiple_choice" else {}
            row |= {probability: one.probability} if self._task.closed else {}
            yield row | {entropy: one.entropy, note: one.note}
