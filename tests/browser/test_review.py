"""The review as a person has it: keys act only on a record that was seen, nothing typed is lost, all on one screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from semievol.config import Policy
from semievol.store.data.projects import Project
from semievol.store.database import Store, open_store
from semievol.store.decisions import history, reviews
from semievol.store.results import results
from tests.browser.conftest import Dashboard, Visitor
from tests.ui import made

pytestmark = pytest.mark.browser
OFF = "The record was not on the screen, so that key did nothing. Here it is."
EARLY = "The record had only just appeared, so that key did nothing. Look, then press again."
TWICE = """key => { for (let n = 0; n < 2; n++) for (const kind of ["keydown", "keyup"])
    document.body.dispatchEvent(new KeyboardEvent(kind, { key, code: key, bubbles: true })); }"""


@pytest.fixture
def project(dashboard: Dashboard) -> Project:
    return made.with_results(open_store(dashboard.home), until="justify")


@pytest.fixture
def store(dashboard: Dashboard, project: Project) -> Store:
    return open_store(dashboard.home)


def _ready(page: Page) -> Locator:
    """The card, once keys act on it."""
    card = page.locator(".sv-review")
    expect(card).to_have_attribute("data-ready", "yes")
    return card


def _stored(store: Store, project: Project) -> list[tuple[str, str]]:
    found = history.history(store, project.id)[::-1]
    return list(zip(found["action"], found["record_id"], strict=True))


def test_a_key_decides_nothing_that_was_not_on_the_screen(
    dashboard: Dashboard, visitor: Visitor, store: Store, project: Project
) -> None:
    round_id = made.round_of(store, project)
    order = [str(i) for i in results.candidate_frame(store, round_id).index[:5]]
    reviews.begin(store, round_id, Policy(), order, "fixed", 5)
    page = visitor.page
    page.goto(dashboard.url(f"/selection?project={project.id}"))
    card = page.locator(".sv-review")
    expect(card).to_contain_text("all saved")
    expect(card).not_to_be_in_viewport()
    page.keyboard.press("0")
    expect(page.get_by_text(OFF)).to_be_in_viewport()
    _ready(page)
    page.locator("[data-testid=stMain]").evaluate("e => e.scrollTo(0, 0)")
    expect(card).not_to_have_attribute("data-ready", "yes")
    page.evaluate(TWICE, "0")  # the second at once, when the record has hardly appeared
    expect(page.get_by_text(EARLY)).to_be_in_viewport()
    _ready(page)
    page.keyboard.press("0")
    expect(page.get_by_text("1 of 5 answered")).to_be_visible()
    assert _stored(store, project) == [("ambiguous", order[0])]
    assert visitor.strange == []


def test_fast_typing_loses_nothing_and_a_held_key_decides_once(
    dashboard: Dashboard, visitor: Visitor, store: Store, project: Project
) -> None:
    page = visitor.page
    page.goto(dashboard.url(f"/review?project={project.id}"))
    card = _ready(page)
    seen = []
    for key in "araarsraaa" * 2:
        seen.append(card.get_attribute("data-record"))
        page.keyboard.press(key)
    expect(page.get_by_text("18 decisions saved")).to_be_visible()  # a skip decides nothing
    acts = {"a": "accept", "r": "reject", "s": "skip"}
    assert _stored(store, project) == list(zip([acts[key] for key in "araarsraaa" * 2], seen, strict=True))
    expect(card).to_contain_text("all saved")
    for _ in range(5):  # what the browser sends while a key is held
        page.keyboard.down("a")
    page.keyboard.up("a")
    # and what a system sends that does not mark the repetitions:
    page.evaluate("""() => { for (let n = 0; n < 5; n++) document.dispatchEvent(
        new KeyboardEvent("keydown", { key: "r", code: "KeyR", bubbles: true }));
        document.dispatchEvent(new KeyboardEvent("keyup", { key: "r", code: "KeyR", bubbles: true })); }""")
    expect(page.get_by_text("20 decisions saved")).to_be_visible()
    page.wait_for_timeout(1000)
    assert [action for action, _ in _stored(store, project)[20:]] == ["accept", "reject"]
    for key in "uaruaa":  # what an undo brings back is no surprise either
        page.keyboard.press(key)
        page.wait_for_timeout(120)
    expect(card).to_contain_text("all saved")
    assert card.get_attribute("data-taken") == "28"
    assert visitor.strange == []


def test_a_double_click_decides_one_record(
    dashboard: Dashboard, visitor: Visitor, store: Store, project: Project
) -> None:
    page = visitor.page
    page.goto(dashboard.url(f"/review?project={project.id}"))
    _ready(page)
    page.evaluate("""() => { const card = document.querySelector(".sv-review"), first = card.dataset.record;
        new MutationObserver(() => { if (card.dataset.record !== first)
            document.querySelector(".st-key-do_accept button").dispatchEvent(
                new MouseEvent("click", { bubbles: true, cancelable: true, detail: 2 })); }).observe(
            card, { attributes: true, attributeFilter: ["data-record"] }); }""")  # as soon as the next record is there
    accept = page.get_by_role("button", name="Accept")
    accept.click()
    expect(page.get_by_text("1 decision saved")).to_be_visible()
    page.wait_for_timeout(1200)
    assert len(_stored(store, project)) == 1
    accept.click()
    expect(page.get_by_text("2 decisions saved")).to_be_visible()


def test_r_rejects_and_never_runs_the_page_again(
    dashboard: Dashboard, visitor: Visitor, store: Store, project: Project
) -> None:
    page = visitor.page
    page.goto(dashboard.url(f"/review?project={project.id}"))
    _ready(page)
    page.evaluate("""() => { window.ran = 0; new MutationObserver(() => {
        window.ran += document.querySelector(".stApp").dataset.testScriptState === "running"; }).observe(
        document.querySelector(".stApp"), { attributes: true }); }""")
    page.set_viewport_size({"width": 1280, "height": 180})  # the record is hardly to be seen
    page.keyboard.press("r")
    page.wait_for_timeout(800)
    assert page.evaluate("window.ran") == 0
    assert _stored(store, project) == []
    page.set_viewport_size({"width": 1280, "height": 720})
    _ready(page)
    page.keyboard.press("r")
    expect(page.get_by_text("1 decision saved")).to_be_visible()
    assert [action for action, _ in _stored(store, project)] == ["reject"]


def test_what_is_typed_after_e_and_n_is_in_their_fields(
    dashboard: Dashboard, visitor: Visitor, store: Store, project: Project
) -> None:
    page = visitor.page
    page.goto(dashboard.url(f"/review?project={project.id}"))
    card = _ready(page)
    first = card.get_attribute("data-record") or ""
    page.keyboard.type("eparking")
    answer = page.get_by_role("combobox", name="Correct answer")
    expect(answer).to_have_value("parking")
    expect(answer).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_label("Note", exact=True).fill("a reason")
    page.keyboard.press("Enter")  # decides nothing
    page.wait_for_timeout(500)
    assert _stored(store, project) == []
    page.get_by_role("button", name="Save correction").click()
    expect(card).not_to_have_attribute("data-record", first)
    second = card.get_attribute("data-record") or ""
    page.keyboard.type("nrather clear")
    expect(page.get_by_label("Note", exact=True)).to_have_value("rather clear")
    page.keyboard.press("Enter")  # decides nothing, and the text stays
    page.wait_for_timeout(500)
    assert len(_stored(store, project)) == 1
    expect(page.get_by_label("Note", exact=True)).to_have_value("rather clear")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Your note, not stored until you decide: rather clear")).to_be_visible()
    card.press("r")
    expect(page.get_by_text("2 decisions saved")).to_be_visible()
    assert {first, second} == {record for _, record in _stored(store, project)}
    assert history.history(store, project.id)["note"].tolist()[0] == "rather clear"
    assert visitor.strange == []


def test_all_of_it_fits_one_screen_and_its_address_opens_the_same(
    dashboard: Dashboard, visitor: Visitor, browser: Browser, store: Store, project: Project
) -> None:
    page = visitor.page
    page.goto(dashboard.url(f"/selection?project={project.id}"))
    page.get_by_role("link", name="Review one by one").click()
    page.wait_for_url("**/review?*record=*")
    before = _ready(page).get_attribute("data-record") or ""
    page.get_by_role("radiogroup", name="Order").get_by_role("radio", name="Random").click()
    page.wait_for_url("**order=random*")
    expect(page.locator(".sv-review")).not_to_have_attribute("data-record", before)
    card = _ready(page)
    page.keyboard.press("a")
    page.keyboard.press("a")
    expect(page.get_by_text("2 decisions saved")).to_be_visible()
    assert page.locator("[data-testid=stMain]").evaluate("e => e.scrollHeight <= e.clientHeight")
    for part in (card, page.get_by_role("button", name="Undo"), page.get_by_text("Votes"), page.locator(".sv-keys")):
        expect(part).to_be_in_viewport(ratio=1)
    shown = card.get_attribute("data-record") or ""
    other = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.wait_for_url(f"**record={shown}*")
    other.goto(page.url)
    expect(other.locator(".sv-review")).to_have_attribute("data-record", shown)
    expect(other.get_by_role("radio", name="Random")).to_be_checked()
    other.context.close()
    assert visitor.strange == []


def test_a_card_with_long_options_fits_one_screen(dashboard: Dashboard, visitor: Visitor) -> None:
    store, page = open_store(dashboard.home), visitor.page
    project = made.with_options(store)
    page.goto(dashboard.url(f"/review?project={project.id}&order=disputed"))
    card = _ready(page)
    expect(card).to_contain_text("Averaged with the judge")
    assert page.locator("[data-testid=stMain]").evaluate("e => e.scrollHeight <= e.clientHeight")
    options = card.locator(".sv-choices .sv-row > div, .sv-choices .sv-row > span:last-child")
    assert [len(text) > 90 for text in options.all_inner_texts()] == [True] * 4
    for option in options.all():
        expect(option).to_be_in_viewport(ratio=1)
        assert option.evaluate("e => e.scrollWidth <= e.clientWidth || getComputedStyle(e).display === 'inline'")
    expect(page.locator(".sv-keys")).to_be_in_viewport(ratio=1)
    for name in ("Demonstrations", "Responses"):  # where the options stay in their cards, too
        page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
        expect(page.locator(".sv-demo").first).to_be_visible()
        assert page.locator(".sv-demo").evaluate_all("all => all.every(e => e.scrollWidth <= e.clientWidth)"), name
    assert visitor.strange == []


def test_an_idle_page_tells_who_is_overruled_without_a_name(
    dashboard: Dashboard, visitor: Visitor, browser: Browser, store: Store, project: Project
) -> None:
    page, other = visitor.page, browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    for one in (page, other):
        one.goto(dashboard.url(f"/review?project={project.id}"))
        _ready(one)
    page.keyboard.press("a")
    expect(page.get_by_text("1 decision saved")).to_be_visible()
    other.keyboard.press("r")  # of the record as it was before
    expect(other.get_by_text("Your decision counts now.")).to_be_visible()
    expect(page.get_by_text("The other decision counts now.")).to_be_visible()
    page.get_by_role("button", name="Understood").click()
    expect(page.get_by_text("The other decision counts now.")).to_be_hidden()
    page.wait_for_function("JSON.parse(localStorage.getItem('semievol-visits') ?? '{}').marks?.length > 0")
    page.close()  # and is told on coming back what happened in the meantime
    shown = other.locator(".sv-review").get_attribute("data-record")
    other.keyboard.press("u")
    expect(other.locator(".sv-review")).not_to_have_attribute("data-record", shown or "")
    _ready(other)
    other.keyboard.press("0")
    expect(other.locator(".sv-review")).to_have_attribute("data-record", shown or "")
    expect(other.locator(".sv-saved")).to_have_text("all saved")
    back = page.context.new_page()
    back.goto(dashboard.url(f"/review?project={project.id}"))
    expect(back.get_by_text("somebody else said that none fits")).to_be_visible()
    other.context.close()
    assert visitor.strange == []
