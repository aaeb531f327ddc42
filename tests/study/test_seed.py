"""Arms of a seed: each gives what a run of its own with these settings gives, whatever was computed before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from semievol.config import Config
from semievol.errors import UserError
from semievol.method import earned_weights, label_errors, weights
from semievol.method.evolve import evolve
from semievol.method.protocols import Plan, TokenCleaning
from semievol.records import Task
from semievol.selection.summary import Selection
from semievol.study.arms import ARMS, LEFT_OUT, chosen, titles
from semievol.study.journal import MemoryJournal
from semievol.study.seed import Seed
from semievol.study.variants import VARIANTS, without_collaborator
from semievol.task.answers import same
from tests.fakes import FakeEngine
from tests.study.learner import Learner, config, material

ALL = [arm for arm in ARMS if arm not in ("unlabeled_300", *LEFT_OUT)] + ["without_collaborator_2"]


def seed(folder: Path, engine: Learner | None = None) -> Seed:
    return Seed(material(), config("paper"), 3, engine or Learner(), folder)


def alone(plan: Plan, folder: Path, row: str = "evolved", frozen: Selection | None = None) -> dict[str, bool]:
    """What a whole run of this plan has right, in a journal of its own."""
    journal = MemoryJournal(plan, folder)
    journal.frozen = frozen
    evolve(plan, Learner(), journal)
    said = {response.record_id: response.answer for response in journal.predictions(row)}
    return {record.id: same(plan.task, said[record.id], record.answer) for record in plan.test}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bool]]:
    drawn = seed(tmp_path_factory.mktemp("seed"))
    return {arm: dict(drawn.result(arm).right) for arm in ALL}


@pytest.mark.parametrize("arm", [arm for arm in VARIANTS if arm != "cleaned_tokens"])  # the task has fixed answers
def test_a_variant_gives_what_a_run_with_its_settings_gives(
    arm: str, found: dict[str, dict[str, bool]], tmp_path: Path
) -> None:
    plan = seed(tmp_path).plan
    assert found[arm] == alone(replace(plan, config=VARIANTS[arm][0](plan.config)), tmp_path / "alone")


@pytest.mark.parametrize(
    "arm", ["without_in_weight", "self_training", "without_collaborator_1", "without_collaborator_2"]
)
def test_voters_that_learn_from_what_the_others_said_vote_once_in_a_variant(arm: str, tmp_path: Path) -> None:
    drawn = Seed(material(), config("studio"), 3, Learner(), tmp_path)
    found, change = drawn.result(arm), VARIANTS.get(arm, (without_collaborator_of(arm), ""))[0]
    plan = replace(drawn.plan, config=change(drawn.plan.config))
    journal = MemoryJournal(plan, tmp_path / "alone")
    evolve(plan, Learner(), journal)
    assert found.pseudo == drawn._pseudo(journal)
    per_record = Counter(response.record_id for response in journal.responses("respond"))
    assert set(per_record.values()) == {len(plan.config.propagation.collaborators)}


def without_collaborator_of(arm: str) -> Callable[[Config], Config]:
    return partial(without_collaborator, number=int(arm[-1])) if arm[-1].isdigit() else lambda config: config


def test_a_collaborator_that_is_left_out_is_in_nothing(found: dict[str, dict[str, bool]], tmp_path: Path) -> None:
    plan = seed(tmp_path).plan
    first, _, *others = plan.config.propagation.collaborators
    propagation = plan.config.propagation.model_copy(update={"collaborators": (first, *others)})
    fewer = replace(plan, config=plan.config.model_copy(update={"propagation": propagation}))
    assert found["without_collaborator_2"] == alone(fewer, tmp_path / "alone")
    assert found["without_collaborator_2"] != found["evolved"]


def test_arms_of_collaborators_bear_their_names() -> None:
    names = ["teacher", "vote"]
    assert titles(names)["without_collaborator_2"] == "Evolved, without vote"
    assert chosen(["collaborators"], names) == ("evolved", "without_collaborator_1", "without_collaborator_2")
    assert "without_collaborator_3" not in chosen(["all"], names)
    with pytest.raises(UserError, match="no arm"):
        chosen(["without_collaborator_3"], names)


def test_the_method_and_its_baselines_give_what_a_run_gives(found: dict[str, dict[str, bool]], tmp_path: Path) -> None:
    drawn = seed(tmp_path)
    plan = drawn.plan
    for arm, row in (("evolved", "evolved"), ("warm_up", "warm_up"), ("base", "base"), ("majority", "majority")):
        assert found[arm] == alone(plan, tmp_path / arm, row), arm
    shown = replace(plan, config=plan.config.model_copy(update={"evaluate_demonstrations": True}))
    assert found["base_demonstrations"] == alone(shown, tmp_path / "shown", "base_demonstrations")
    truth = Selection(None, {record.id: drawn.truth[record.id] for record in plan.unlabeled})
    assert found["all_gold"] == alone(plan, tmp_path / "gold", frozen=truth)
    fewer = replace(plan, unlabeled=plan.unlabeled[:10])
    assert found["unlabeled_50"] == alone(fewer, tmp_path / "fewer")
    assert found["unlabeled_200"] == found["evolved"], "this is the whole pool"


@pytest.mark.parametrize("first", ["evolved_ensemble", "warm_up_ensemble"])
def test_an_ensemble_gives_what_a_run_gives_and_asks_nobody_twice(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = {"warm-up alone": 0.7, "neighbours' vote": 0.2, "regression": 0.1}
    fitted = {"records": 36, "cross_fitted": True, "everybody": everybody, "folds": [everybody] * weights.FOLDS}
    monkeypatch.setattr(earned_weights, "_fitted", lambda *_: fitted)  # fitted here, one would have all the weight
    settings, engine = config("studio", **{"propagation.weighting": "earned", "cross_fit": 2}), Learner()
    drawn = Seed(material(), settings, 3, engine, tmp_path)
    rows = (first, "warm_up", "evolved", "warm_up_ensemble", "evolved_ensemble")
    right = {row: drawn.result(row).right for row in rows}
    tested = {record.id for record in drawn.plan.test}
    asked = [(ask.record_id, ask.model) for ask in engine.asked if ask.record_id in tested]
    assert len(asked) == len(set(asked)), "every model answers the test set once"
    for row in rows:
        assert right[row] == alone(drawn.plan, tmp_path / f"alone {row}", row), row
    everybody |= {"warm-up alone": 0.01}
    assert right["evolved_ensemble"] != alone(drawn.plan, tmp_path / "other", "evolved_ensemble"), "the weights count"


def test_without_voters_an_ensemble_is_left_out_with_a_reason(tmp_path: Path) -> None:
    engine = Learner()
    found = seed(tmp_path, engine).result("evolved_ensemble")
    assert (found.right, "no ensemble" in found.skipped) == ({}, True)
    assert not engine.trained, "that is known before anything is trained"


def test_a_later_round_starts_from_the_model_before_and_does_not_count_what_is_spent(tmp_path: Path) -> None:
    engine = Learner()
    drawn = seed(tmp_path, engine=engine)
    drawn.result("evolved_round_2")
    first, second = drawn.main, drawn._rounds[1]
    assert second.plan is not None
    assert second.adapters["warm_up"] == first.adapters["tune"]
    assert second.plan.round_number == 2
    accepted = {record.content_hash for record in drawn.plan.unlabeled if record.id in first.frozen.answers}  # type: ignore[union-attr]
    assert second.plan.spent == accepted
    assert len(engine.trained) == 3, "one warm-up, and a fine-tuning for each round"


def test_what_arms_have_in_common_is_computed_once(tmp_path: Path) -> None:
    engine = Learner()
    drawn = seed(tmp_path, engine=engine)
    drawn.result("evolved")
    trained, asked = len(engine.trained), len(engine.asked)
    drawn.result("authors_rule")
    assert len(engine.trained) == trained + 1
    assert len(engine.asked) == asked + len(drawn.plan.test), "nothing but the test set is asked again"


def test_the_authors_rule_keeps_all_that_is_unanimous(tmp_path: Path) -> None:
    drawn = seed(tmp_path)
    result, plain = drawn.result("authors_rule"), drawn.result("evolved")
    assert result.pseudo is not None
    assert plain.pseudo is not None
    assert result.pseudo["agreed"] == plain.pseudo["agreed"]
    agreed, accepted = result.pseudo["agreed"], result.pseudo["accepted"]
    assert agreed <= accepted <= agreed + 0.3 * (1 - agreed) + 1 / len(drawn.plan.unlabeled)


@pytest.mark.parametrize(
    ("arm", "preset", "reason"),
    [
        ("unlabeled_300", "paper", "60 unlabeled records are needed, and there are 40."),
        ("without_justify", "studio", "The settings have no self-justify."),
        ("without_collaboration", "alone", "The settings have one collaborator only."),
        ("without_collaborator_1", "alone", "The settings have one collaborator only."),
        ("without_collaborator_9", "paper", "The settings have no collaborator 9."),
        ("base_demonstrations", "authors_code", "The settings show no demonstrations."),
        ("cleaned_tokens", "paper", "The task has fixed answers, which are never cleaned."),
        ("rslora", "authors_code", "Fine-tuning goes on with the adapter of the warm-up."),
        (
            "without_suspects",
            "paper",
            "No labeled record was given probabilities by models that had not seen it: cross-fit.",
        ),
    ],
)
def test_an_arm_that_the_settings_do_not_have_says_why(arm: str, preset: str, reason: str, tmp_path: Path) -> None:
    settings = (
        config("paper", **{"propagation.collaborators": "[{name: one}]"}) if preset == "alone" else config(preset)
    )
    result = Seed(material(), settings, 3, Learner(), tmp_path).result(arm)
    assert (result.skipped, result.right) == (reason, {})


def test_true_labels_of_all_records_need_them_to_be_known(tmp_path: Path) -> None:
    drawn = seed(tmp_path)
    drawn.truth.clear()
    assert drawn.result("all_gold").skipped == "The true answers of the unlabeled records are not known."
    assert drawn.result("evolved").pseudo is not None
    assert set(drawn.result("evolved").pseudo or {}) == {"accepted", "agreed"}


def test_suspects_are_left_out_of_fine_tuning_and_nothing_else_changes(tmp_path: Path) -> None:
    engine = Learner()
    drawn = Seed(material(), config("paper", cross_fit=2), 3, engine, tmp_path)
    result, plain = drawn.result("without_suspects"), drawn.result("evolved")
    (fewer, setup), (whole, same_setup) = engine.trained[-2:]
    assert setup.settings == same_setup.settings
    left_out = {one.record_id for one in whole} - {one.record_id for one in fewer}
    found = label_errors.spreads(drawn.plan.task, drawn.plan.labeled, drawn.main.responses("respond"), None)
    listed = label_errors.suspects(drawn.plan.task, drawn.plan.labeled, found)
    assert left_out == {one.record.id for one in listed} != set()
    assert [one for one in whole if one.record_id not in left_out] == fewer
    assert result.pseudo == plain.pseudo
    assert result.right != plain.right


def test_free_answers_are_cleaned_against_the_warm_up_of_the_study(tmp_path: Path) -> None:
    class Writer(Learner):
        _reply = FakeEngine._reply  # which also writes free answers

    engine = Writer()
    free = replace(material(), task=Task("text"))
    drawn = Seed(free, config("paper"), 3, engine, tmp_path)
    drawn.result("cleaned_tokens")
    assert drawn.result("without_suspects").skipped == "Free answers have no probabilities of other answers."
    assert engine.trained[-1][1].cleaning == TokenCleaning(0.3, drawn.main.adapters["warm_up"])
