"""Who signs: said on the desk, typed there or in the settings, taken from the browser when a session is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semievol.store.database import Store
from semievol.store.decisions import history
from semievol.ui.selection import desk, signature
from semievol.ui.shell.session import shell
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


def _name(app: AppTest, name: str) -> AppTest:
    return next(field for field in app.text_input if field.label == "Your name").set_value(name).run()


def test_the_desk_says_who_signs(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("review", project=project.id)
    assert "Not signed. Your name:" in told(app)
    _name(app, " **Ada** ")
    assert "Signed as **Ada**" in [text.value for text in app.text]  # as it was typed, not as Markdown
    press(app, "Accept")
    assert history.history(store, project.id)["reviewer"].tolist() == ["**Ada**"]
    press(app, "Change")
    _name(app, "")
    assert "Not signed. Your name:" in told(app)


def test_settings_and_desk_speak_of_the_same_name(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = _name(visit("settings", project=project.id), "Ada")
    app.switch_page("pages/review.py").run()
    assert "Signed as Ada" in told(app)
    app.switch_page("pages/settings.py").run()
    assert next(field for field in app.text_input if field.label == "Your name").value == "Ada"


def test_who_does_not_change_the_name_after_all_keeps_it(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("review", project=project.id)
    next(field for field in app.text_input if field.label == "Your name").set_value("Ada").run()
    press(app, "Change")
    assert "Sign as" in told(app)
    press(app, "Keep")
    assert "Signed as Ada" in told(app)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    kept: dict[str, Any] = {}
    with monkeypatch.context() as patch:
        patch.setattr(signature.st, "session_state", kept)
        yield kept


def test_a_new_session_takes_from_the_browser_what_was_seen_and_who_decided(session: dict[str, Any]) -> None:
    marks = ["a" * 12, "short", 7, "b" * 41, desk.kept().name, *(f"{i:012}" for i in range(30))]
    seen = {"3": 41, "x": 1, "4": "5", "6": True}
    desk.kept().round.compared = 9
    session["signature"] = {"kept": {"name": None, "marks": marks, "seen": seen, "session": "x"}}
    shell().reviewer = None
    signature._restore()
    assert shell().reviewer is None, "nobody signed"
    assert desk.kept().seen == {3: 41}
    assert desk.kept().earlier[:2] == ("a" * 12, f"{0:012}")
    assert len(desk.kept().earlier) < signature.SESSIONS
    assert desk.kept().round.compared is None, "it is looked again"
    session["signature"] = {"kept": {"name": 1, "marks": "abc", "seen": [1]}}
    signature._restore()
    assert (desk.kept().earlier, desk.kept().seen, shell().reviewer) == ((), {}, "")


@pytest.mark.parametrize(
    ("known", "told_by_browser", "signed"),
    [
        (None, "Ada", "Ada"),
        ("Bob", "Ada", "Bob"),
        ("", "Ada", ""),  # taken away on purpose
        (None, ["Ada"], ""),
        (None, "A" * 200, "A" * 80),
    ],
)
def test_a_new_session_takes_the_browsers_name(
    session: dict[str, Any], known: str | None, told_by_browser: Any, signed: str
) -> None:
    session["signature"] = {"kept": {"name": told_by_browser, "session": "x"}}
    shell().reviewer = known
    signature._restore()
    assert shell().reviewer == signed


@pytest.mark.parametrize(("asked", "signed"), [(False, "Ada"), (True, "")])
def test_an_empty_field_takes_a_name_away_only_where_a_name_is_asked_for(
    session: dict[str, Any], asked: bool, signed: str
) -> None:
    shell().reviewer, desk.kept().signing = "Ada", asked
    session[signature._FIELD] = ""
    signature._sign_where_asked()
    assert shell().reviewer == signed
