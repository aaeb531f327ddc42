"""What a run reads, counted before it starts: the tokens are those that the engine gets."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from semievol.config import Config
from semievol.engines.models.resolve import STARTER_FOLDER
from semievol.jobs import token_counts
from semievol.presets import load
from semievol.records import Record, Split, Task
from semievol.store.data import projects, records, versions
from semievol.store.database import Store, open_store

TASK = Task("classification", ("road", "water", "waste"), instruction="Sort the message of a citizen by team, please.")
WORDS = (
    "the",
    "lamp",
    "in",
    "our",
    "street",
    "is",
    "broken",
    "and",
    "nobody",
    "came",
    "to",
    "mend",
    "it",
    "last",
    "week",
)
CONTEXT = 2048


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "workspace")


def asked(place: int, split: Split, length: int = 9) -> Record:
    question = " ".join(WORDS[(place + i) % len(WORDS)] for i in range(length + place % 3))
    return Record(f"{split}{place}", question, (), TASK.labels[place % 3] if split != "unlabeled" else None, split)


def version(store: Store, name: str, *more: Record, task: Task = TASK, pool: int = 60) -> int:
    sizes: dict[Split, int] = {"labeled": 24, "unlabeled": pool, "test": 20}
    stored = [asked(place, split) for split, size in sizes.items() for place in range(size)]
    project = projects.create_project(store, name, task)
    return versions.store_version(store, project.id, [*stored, *more], {}, [], [], task)


def counted(store: Store, version_id: int, *changes: str, context: int = CONTEXT) -> token_counts.Reading:
    return token_counts.read(store, version_id, settings(*changes), STARTER_FOLDER, context)


def settings(*changes: str) -> Config:
    return load("paper", None, ["model=starter", *changes])


def test_the_shared_beginning_counts_once_a_batch(store: Store) -> None:
    plain = version(store, "plain")
    instructed = version(store, "long", task=replace(TASK, instruction=f"{TASK.instruction} {' '.join(WORDS * 5)}"))
    more = counted(store, instructed).warm_up - counted(store, plain).warm_up
    longer = len(WORDS) * 5
    assert longer / 8 <= more <= 2 * longer / 8, "the instruction is read once for eight examples"
    one = counted(store, instructed, "propagation.warm_up.micro_batch_size=1").warm_up
    assert one - counted(store, plain, "propagation.warm_up.micro_batch_size=1").warm_up >= longer


def test_collaborators_that_ask_the_same_are_read_once(store: Store) -> None:
    known = version(store, "votes")
    alone = "{name: a, demonstrations: false}"
    one = counted(store, known, f"propagation.collaborators=[{alone}]")
    same = "{name: b, demonstrations: false, temperature: 1}"
    assert counted(store, known, f"propagation.collaborators=[{alone}, {same}]").respond == one.respond
    other = "{name: b, demonstrations: false, model: base}"
    assert counted(store, known, f"propagation.collaborators=[{alone}, {other}]").respond == 2 * one.respond
    shown = counted(store, known, "propagation.collaborators=[{name: a}]")
    assert one.respond < shown.respond < 4 * one.respond, "three demonstrations, which records share in part"
    votes = counted(store, known, "propagation.collaborators=[{name: a, model: neighbours, demonstrations: false}]")
    assert votes.respond == 0


def test_settings_that_show_more_read_more(store: Store) -> None:
    known = version(store, "settings")
    base = counted(store, known)
    some = counted(store, known, "propagation.warm_up_demonstrations=some")
    assert some.warm_up > base.warm_up
    assert some.largest[0] > base.largest[0]
    assert some.largest[1] == base.largest[1]
    assert counted(store, known, "evaluate_demonstrations=false").evaluate < base.evaluate
    assert counted(store, known, "tune.micro_batch_size=2").largest[1] < base.largest[1]
    assert base.question == pytest.approx(10, rel=0.5)


def test_the_largest_batch_holds_the_longest_records_but_none_that_the_model_cannot_read(store: Store) -> None:
    plain = counted(store, version(store, "plain"))
    long = [asked(place, "unlabeled", 150) for place in range(100, 108)]
    assert counted(store, version(store, "long", *long)).largest[1] > plain.largest[1] + 8 * 100
    assert counted(store, version(store, "endless", asked(100, "unlabeled", 5_000))).largest == plain.largest


def test_few_records_of_a_large_split_are_looked_at_in_equal_steps(store: Store) -> None:
    known = version(store, "large", pool=100)
    for most, ids in ((100, range(100)), (50, range(0, 100, 2)), (30, range(0, 100, 4))):
        assert [one.id for one in records.spread(store, known, "unlabeled", most)] == [f"unlabeled{i}" for i in ids]
    assert records.spread(store, version(store, "none", pool=0), "unlabeled", 10) == []


def test_what_is_counted_is_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    known = version(store, "kept")
    first = counted(store, known)
    monkeypatch.setattr(token_counts, "_Counting", None)
    again = settings("tune.epochs=9", "cross_fit=2", "propagation.weighting=earned")  # which read nothing more
    assert token_counts.read(open_store(store.home), known, again, STARTER_FOLDER, CONTEXT) is first


def test_a_split_without_records_reads_nothing(store: Store) -> None:
    found = counted(store, version(store, "no pool", pool=0))
    assert found.respond == found.justify == found.question == 0
    assert found.tune > 0


def test_without_a_tokenizer_file_three_bytes_count_as_a_token(store: Store, tmp_path: Path) -> None:
    shutil.copy(STARTER_FOLDER / "tokenizer_config.json", tmp_path)
    known = version(store, "bytes")
    rough = token_counts.read(store, known, settings(), tmp_path, CONTEXT)
    assert rough.question == pytest.approx(sum(len(word) + 1 for word in WORDS) / len(WORDS) * 10 / 3, rel=0.1)
    assert rough.tune > rough.question


def test_another_model_counts_with_its_own_size_and_its_own_tokens(store: Store, tmp_path: Path) -> None:
    known = version(store, "models")
    other = tmp_path / "other"
    shutil.copytree(STARTER_FOLDER, other)
    alone = "{name: a, demonstrations: false}"
    more = f"{{name: b, demonstrations: false, model: {other}}}"
    gone = f"{{name: c, demonstrations: false, model: {tmp_path / 'gone'}}}"
    one = counted(store, known, f"propagation.collaborators=[{alone}]")
    both = counted(store, known, f"propagation.collaborators=[{alone}, {more}, {gone}]")
    size = token_counts.models(settings(f"propagation.collaborators=[{more}]"), STARTER_FOLDER)[str(other)].parameters
    assert (one.others, both.respond) == (0, one.respond)
    assert both.others == pytest.approx(size * one.respond), "the same model, as another one"
    judged = counted(store, known, f"propagation.judge={{name: j, model: {other}}}")
    assert (judged.justify, counted(store, known).other_judge) == (0, 0)
    assert judged.other_judge > 0


@pytest.mark.parametrize("how", ["{name: a}", "{name: a, model: base, demonstrations: false}"])
def test_one_collaborator_alone_reads_what_it_would_read_in_a_run(store: Store, how: str) -> None:
    known = version(store, "alone")
    config = settings(f"propagation.collaborators=[{how}]")
    one, judge = config.propagation.collaborators[0], config.propagation.judge
    model = token_counts.models(config, STARTER_FOLDER)[one.model]
    read = counted(store, known, f"propagation.collaborators=[{how}]")
    assert token_counts.work_of(store, known, config, one, model) == pytest.approx(model.parameters * read.respond)
    judged = token_counts.work_of(store, known, config, judge, model, judged=True)
    assert judged == pytest.approx(model.parameters * read.justify)


def test_a_new_name_or_seed_counts_nothing_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    known = version(store, "names")
    found = counted(store, known, "propagation.collaborators=[{name: a}]")
    monkeypatch.setattr(token_counts._Counting, "reading", lambda counting: pytest.fail("counted again"))
    assert counted(store, known, "propagation.collaborators=[{name: b, seed: 3, temperature: 1}]") == found
