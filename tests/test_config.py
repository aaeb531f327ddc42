"""Settings: presets, overlays, and the one sentence that a wrong one gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from semievol import config as module
from semievol.config import Config
from semievol.errors import UserError
from semievol.presets import PRESETS, load, preset, validate


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_survives_being_stored(name: str) -> None:
    config = load(name)
    assert config.preset == name
    assert Config.model_validate(json.loads(config.model_dump_json())) == config
    assert validate(preset(name)) == config


def test_the_papers_preset_is_the_papers_method() -> None:
    config = load("paper")
    assert config.propagation.k == 3
    assert [(c.model, c.demonstrations, c.temperature) for c in config.propagation.collaborators] == [
        ("warm_up", True, 0),
        ("warm_up", True, 1),
        ("warm_up", False, 0),
        ("base", True, 0),
    ]
    assert (config.policy.rule.value, config.policy.disputed, config.tune_from) == (0.5, "together", "base")
    assert (config.tune_on, config.calibration) == ("gold_and_pseudo", 0)
    assert config.propagation.verdict_confidence == "judge"
    assert config.tune.method == config.propagation.warm_up.method == "lora"


def test_the_authors_preset_is_what_their_code_does() -> None:
    config = load("authors_code")
    assert all(not c.demonstrations and c.temperature == 1 for c in config.propagation.collaborators)
    assert len({c.seed for c in config.propagation.collaborators}) == 4
    assert (config.policy.rule.value, config.policy.disputed, config.policy.disputed_rule.value) == (1, "apart", 0.3)
    assert (config.tune.learning_rate, config.tune_from, config.tune_on) == (1e-6, "warm_up", "pseudo")
    assert config.propagation.verdict_confidence == "judge"
    assert config.tune.method == config.propagation.warm_up.method == "lora"


def test_file_lies_over_preset_and_assignments_lie_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("preset: paper\nseed: 3\npropagation: {k: 5}\ntune: {lora: {rank: 8}}\n")
    config = load("studio", file, ["seed=4", "tune.lora.alpha=9", "tune.learning_rate=1e-4"])
    assert (config.preset, config.seed, config.propagation.k) == ("paper", 4, 5)
    assert (config.tune.lora.rank, config.tune.lora.alpha, config.tune.learning_rate) == (8, 9, 1e-4)
    assert len(config.propagation.collaborators) == 4, "what the file does not name stays"


def test_a_single_collaborator_is_changed_by_its_place(tmp_path: Path) -> None:
    place = "propagation.collaborators.3"
    before = load("paper").propagation.collaborators
    after = load("paper", None, [f"{place}.temperature=0.5", f"{place}.seed=2"]).propagation.collaborators
    assert after == (*before[:3], before[3].model_copy(update={"temperature": 0.5, "seed": 2}))
    file = tmp_path / "c.yaml"
    file.write_text("propagation: {collaborators: [{name: a}, {name: b, temperature: 1}]}\n")
    mine = load("studio", file, ["propagation.collaborators.1.model=base"]).propagation.collaborators
    assert [(one.name, one.model, one.temperature) for one in mine] == [("a", "warm_up", 0), ("b", "base", 1)]
    file.write_text("propagation: {collaborators: {2: {name: by text}}}\n")
    assert load("studio", file).propagation.collaborators[2].name == "by text"


@pytest.mark.parametrize(
    ("assignment", "where", "what"),
    [
        ("propagation.collaborators.3.seed=1", "propagation.collaborators.3", 'no "3" among 3'),
        ("propagation.collaborators.regression.seed=1", "propagation.collaborators.regression", "The first one is 0"),
        ("propagation.collaborators.1.temperature=1", "propagation.collaborators.1", "no language model"),
        ("propagation.collaborators.0=3", "propagation.collaborators.0", "found 3"),
        ("sead=1", "sead", "no such setting"),
        ("propagation.kk=1", "propagation.kk", "no such setting"),
        ("tune.lora.r=1", "tune.lora.r", "no such setting"),
        ("propagation.k=many", "propagation.k", "'many'"),
        ("seed=-1", "seed", "-1"),
        ("policy.rule.value=1.5", "policy.rule", "between 0 and 1"),
        ("policy.rule.value=.nan", "policy.rule.value", "nan"),
        ("tune.micro_batch_size=3", "tune", "divide"),
        ("propagation.collaborators=[]", "propagation.collaborators", "at least 1"),
        ("seed.deep=1", "seed", "found {'deep': 1}"),
        ("seed=[", "--set seed", "YAML"),
    ],
)
def test_a_wrong_setting_gets_one_sentence_with_its_place(assignment: str, where: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        load(assignments=[assignment])
    assert caught.value.where == where
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_setting_is_answered_with_its_siblings() -> None:
    with pytest.raises(UserError, match="rank, alpha, dropout"):
        load(assignments=["tune.lora.r=1"])
    with pytest.raises(UserError, match="measure, rule, disputed"):
        load(assignments=["policy.mesure=x"])
    collaborator = "{name: a, temprature: 1}"
    with pytest.raises(UserError, match="model, demonstrations"):
        load(assignments=[f"propagation.collaborators=[{collaborator}]"])


def test_collaborators_that_share_a_name_are_refused() -> None:
    with pytest.raises(UserError, match="have the same name"):
        load(assignments=["propagation.collaborators=[{name: a}, {name: a}]"])


@pytest.mark.parametrize("assignment", ["seed", "=3", ""])
def test_what_is_not_an_assignment_is_refused(assignment: str) -> None:
    with pytest.raises(UserError, match="not an assignment"):
        load(assignments=[assignment])


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="studio, paper, authors_code"):
        load("fast")


@pytest.mark.parametrize("content", ["- 1\n", "a: [", "just text", "\x00"])
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(content)
    with pytest.raises(UserError) as caught:
        load(file=file)
    assert caught.value.where == str(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load(file=tmp_path / "none.yaml")


def test_settings_cannot_be_changed_after_the_edge() -> None:
    with pytest.raises(ValidationError):
        load().seed = 1  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    found = [value for value in vars(module).values() if isinstance(value, type)]
    models = [value for value in found if issubclass(value, module.Settings)]
    groups = {"propagation", "policy", "tune", "warm_up", "lora", "rule", "preset", "judge"}
    for model in models:
        for name, field in model.model_fields.items():
            assert field.description or name in groups, f"{model.__name__}.{name} has no description"


@pytest.mark.parametrize(
    ("assignment", "what"),
    [
        ("propagation.collaborators=[{name: a, model: neighbours, temperature: 1}]", "no language model"),
        ("propagation.judge={name: judge, model: regression}", "cannot"),
    ],
)
def test_what_needs_a_language_model_is_not_asked_of_a_vote(assignment: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        load("studio", None, [assignment])
