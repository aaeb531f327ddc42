"""The policy as a form: tried by one person, saved for everybody, and what stays when rule or measure change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from semievol.config import Policy, Rule
from semievol.store import schema
from semievol.store.data import projects
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import results
from semievol.store.runs import runs
from semievol.ui.shell import policies
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


@pytest.fixture
def project(store: Store) -> Project:
    return made.with_results(store, until="justify")


def _slider(app: AppTest) -> float:
    value: float = app.slider(key="policy_value_slider").value  # type: ignore[assignment]
    return value


def _move(app: AppTest, value: float) -> AppTest:
    return app.slider(key="policy_value_slider").set_value(value).run()


def _choose(app: AppTest, key: str, value: str) -> AppTest:
    boxes = [*app.get("button_group"), *app.selectbox]
    return next(box for box in boxes if box.key == key).set_value(value).run()


def _saved(store: Store, project: Project) -> object:
    return projects.find_project(store, project.id).settings.get("policy")


def test_two_people_do_not_move_each_others_line(visit: Visit, store: Store, project: Project) -> None:
    ada, bob = visit("selection", project=project.id), visit("selection", project=project.id)
    _move(ada, 25.0)
    assert ada.number_input(key="policy_value_number").value == 25.0
    assert _slider(bob.run()) == 85.0
    assert _saved(store, project) is None
    _move(bob, 60.0)
    assert _slider(ada.run()) == 25.0


def test_a_reload_and_a_link_show_the_policy_that_was_tried(visit: Visit, project: Project) -> None:
    app = _move(visit("selection", project=project.id), 25.0)
    written = str(app.query_params["policy"])
    assert written == "rule.value:0.25,ungiven:False"
    again = visit("selection", project=project.id, policy=written)
    assert _slider(again) == 25.0
    assert "You are trying this policy; nobody else sees it." in told(again)
    assert _slider(visit("selection", project=project.id)) == 85.0


def test_another_page_and_back_keeps_the_policy(visit: Visit, project: Project) -> None:
    app = _move(visit("selection", project=project.id), 25.0)
    written = app.query_params["policy"]
    app.switch_page("pages/responses.py").run()
    app.switch_page("pages/selection.py").run()
    assert _slider(app) == 25.0
    assert app.query_params["policy"] == written


def test_saving_shows_it_to_everybody(visit: Visit, store: Store, project: Project) -> None:
    ada, bob = visit("selection", project=project.id), visit("selection", project=project.id)
    press(_move(ada, 25.0), "Save for everybody")
    assert "policy" not in ada.query_params
    assert "You are trying this policy" not in told(ada)
    assert _slider(bob.run()) == 25.0


def test_the_way_back_to_the_saved_policy(visit: Visit, project: Project) -> None:
    app = _move(visit("selection", project=project.id), 25.0)
    press(app, "Back to the saved one")
    assert _slider(app) == 85.0
    assert "policy" not in app.query_params


def test_freezing_saves_the_policy(visit: Visit, store: Store, project: Project) -> None:
    press(_move(visit("selection", project=project.id), 25.0), "Freeze selection")
    (frozen,) = selections.selections(store, 1)
    assert (frozen["size"], _saved(store, project)) == (15, frozen["policy"])


def test_what_a_person_starts_uses_the_policy_that_the_person_sees(
    visit: Visit, store: Store, project: Project
) -> None:
    app = _move(visit("selection", project=project.id), 25.0)
    press(app.switch_page("pages/training.py").run(), "Run everything")
    press(visit("training", project=project.id), "Run everything")
    shares = [run.config.policy.rule.value for run in runs.queue(store)]
    assert sorted(shares) == [0.25, 0.85]


def test_an_address_that_cannot_be_read_is_said_to_be_so(visit: Visit, project: Project) -> None:
    for written in ("rule.value:lots", "nonsense", "rule:1", "measure:luck"):
        app = visit("selection", project=project.id, policy=written)
        assert _slider(app) == 85.0
        assert "The policy in this address cannot be read." in told(app)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(measure="mean_nll", rule=Rule(kind="threshold", value=0.163), per_class=True, quota=20),
        Policy(disputed="apart", disputed_rule=Rule(kind="target_precision", value=0.9)),
    ],
)
def test_a_policy_survives_its_way_through_the_address(policy: Policy) -> None:
    assert policies.read(policies.written(policy)) == policy


def test_another_rule_keeps_the_cut_and_the_way_back_is_exact(visit: Visit, project: Project) -> None:
    app = _move(visit("selection", project=project.id), 60.0)
    kept = "<div class='sv-value'>36</div>"
    assert kept in told(app)
    _choose(app, "policy_rule", "threshold")
    assert kept in told(app)
    _choose(app, "policy_rule", "fraction")
    assert _slider(app) == 60.0
    _choose(app, "policy_rule", "target_precision")
    assert _slider(app) == 90.0
    _choose(app, "policy_rule", "fraction")
    assert _slider(app) == 60.0


def test_another_measure_keeps_the_share(visit: Visit, project: Project) -> None:
    app = _choose(_move(visit("selection", project=project.id), 60.0), "policy_rule", "threshold")
    _choose(app, "policy_measure", "answer_entropy")
    assert "<div class='sv-value'>36</div>" in told(app)


def test_no_number_of_the_form_has_more_digits_than_are_shown(visit: Visit, project: Project) -> None:
    app = visit("selection", project=project.id, policy="rule.value:0.5714285714285714")
    assert (_slider(app), app.number_input(key="policy_value_number").value) == (57.1, 57.1)
    _choose(app, "policy_rule", "threshold")
    box = app.number_input(key="policy_value_number")
    assert all(value == round(float(value or 0), 4) for value in (box.value, box.max, box.step, _slider(app)))


def test_an_answer_that_nobody_gave_is_flagged_and_the_policy_decides_on_it(
    visit: Visit, store: Store, project: Project
) -> None:
    c = schema.candidates.c
    with store.write() as connection:
        key = connection.execute(select(c.record_key).where(c.pool).limit(1)).scalar_one()
        votes = {one.answer for one in results._said(connection, 1, [key])[key]}
        other = next(label for label in made.LABELS if label not in votes)
        mine = schema.candidates.update().where(c.record_key == key)
        connection.execute(mine.values(answer=other, agreed=False, answer_nll=0.0))
    app = visit("responses", project=project.id)
    assert "no collaborator gave it" in app.dataframe[0].value["agreed"].tolist()
    app = _move(visit("selection", project=project.id), 100.0)
    assert "<div class='sv-value'>59</div>" in told(app)
    toggle = next(box for box in app.toggle if box.label == "Also answers that no collaborator gave (1)")
    assert not toggle.value
    toggle.set_value(True).run()
    assert "<div class='sv-value'>60</div>" in told(app)


def test_a_policy_saved_before_there_was_this_choice_reads_as_before(store: Store, project: Project) -> None:
    old = Policy(rule=Rule(value=0.5)).model_dump(mode="json")
    del old["ungiven"]
    projects.update_project(store, project.id, settings={"policy": old})
    assert policies.saved(projects.find_project(store, project.id), None).ungiven
    projects.update_project(store, project.id, settings={})
    assert not policies.saved(projects.find_project(store, project.id), None).ungiven
