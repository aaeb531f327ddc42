"""The Data page's way from files to a dataset version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import ButtonGroup, Selectbox, Toggle

from semievol.export.files import sha256
from semievol.importing import build
from semievol.importing.readers.read import read_table
from semievol.importing.table import Table
from semievol.jobs import intake
from semievol.records import Split, Task
from semievol.store.data import projects, versions
from semievol.store.data.records import hidden_gold, hidden_gold_count, load_records
from semievol.store.database import Store
from semievol.ui.data import carried_over, import_draft, slots, upload
from semievol.ui.shell import session
from tests.importing.files import xlsx_bytes
from tests.ui import made
from tests.ui.conftest import kept, press, told

pytestmark = pytest.mark.usefixtures("read_here")
LABELED = "text,team\n" + "".join(f"call {i} about {made.LABELS[i % 4]},{made.LABELS[i % 4]}\n" for i in range(24))
UNLABELED = "text\n" + "".join(f"another call {i}\n" for i in range(12))


def _upload(app: AppTest, files: dict[str, str]) -> AppTest:
    for split, text in files.items():
        app.file_uploader(key=f"upload_{split}_0").upload(f"{split}.csv", text.encode()).run()
        assert not app.exception
    return app


def _keeping(app: AppTest, split: str) -> Toggle:
    """The switch that keeps a split of the version in use."""
    return next(one for one in app.toggle if str(one.key).startswith(f"keep_{split}_"))


def _replacing(app: AppTest, *splits: str) -> AppTest:
    """The same, with new files that replace the records of the version in use instead of joining them."""
    for split in splits:
        choice = next(one for one in app.segmented_control if str(one.key).startswith(f"join_{split}_"))
        choice.select(carried_over.REPLACE).run()
    return app


def test_two_files_become_a_version_only_when_confirmed(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Mail", Task("classification"))
    app = _upload(visit("data", project=project.id), {"labeled": LABELED, "unlabeled": UNLABELED})
    assert "[user]\ncall 0 about roads" in told(app)
    assert projects.find_project(store, project.id).version_id is None
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.counts["labeled"] == 24
    assert stored.counts["unlabeled"] == 12
    assert stored.task == Task("classification", tuple(sorted(made.LABELS)))
    assert [source["name"] for source in versions.versions(store, project.id)[0].sources] == [
        "labeled.csv",
        "unlabeled.csv",
    ]


def test_a_doubtful_reading_is_corrected_by_a_click(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Doubt", Task("classification"))
    rows = "".join(f"call {i} from some street,{i % 2}\n" for i in range(24))
    app = _upload(visit("data", project=project.id), {"labeled": rows, "unlabeled": UNLABELED})
    assert "The first row is like the others" in told(app)
    assert "The labels are numbers" in told(app)
    field = next(one for one in app.text_input if str(one.key).startswith("label_names_"))
    field.set_value("no, yes").run()
    assert "Labels: 1, 0" not in told(app)
    assert "Answer with one of: no, yes." in told(app)
    press(app, "The first row holds names")
    assert not app.exception
    assert "The first row is like the others" not in told(app)
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.counts["labeled"] == 23
    assert stored.task == Task("classification", ("no", "yes"))


def test_a_bad_file_says_why_and_spoils_nothing(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    app = visit("data", project=project.id)
    _upload(app, {"labeled": "question,answer\n"})
    assert "0 rows" in told(app)
    assert projects.find_project(store, project.id).version_id == project.version_id
    assert not list((projects.project_folder(store, project.id)).glob("**/labeled.csv"))


def test_a_test_set_split_off_takes_unlabeled_copies_and_their_hidden_gold_along(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = projects.create_project(store, "Split", Task("classification"))
    copied = "".join(LABELED.splitlines(keepends=True)[1:16])
    unlabeled = "text,team\n" + copied + "".join(f"another call {i},roads\n" for i in range(12))
    app = _upload(visit("data", project=project.id), {"labeled": LABELED, "unlabeled": unlabeled})
    app.toggle(key="hide_gold").set_value(True)
    app.toggle(key="split_off").set_value(True).run()
    read = app.dataframe[0].value.set_index("Split")[["Left out", "Moved to test"]]
    press(app, "Import records")
    assert not app.exception
    stored = projects.find_project(store, project.id)
    assert stored.version_id is not None
    counts, gold = stored.counts, hidden_gold(store, stored.version_id)
    assert counts["labeled"] + counts["test"] == 24
    assert counts["test"] > 0
    assert list(read.loc["labeled"]) == [0, counts["test"]]
    assert list(read.index) == ["labeled", "unlabeled", "test"]
    assert list(read.loc["unlabeled"]) == [27 - counts["unlabeled"], 0]
    assert counts["unlabeled"] == len(gold) < 27


def test_19_the_same_file_again_is_recognised(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Twice", Task("classification"))
    app = _upload(visit("data", project=project.id), {"labeled": LABELED, "unlabeled": UNLABELED})
    press(app, "Import records")
    app = visit("data", project=project.id)
    app.file_uploader(key="upload_labeled_0").upload("renamed.csv", LABELED.encode()).run()
    assert "identical to the labeled file of version 1" in told(app)
    assert "The 24 labeled records of version 1 are replaced: 0 removed, 0 new. Version 2 will have 24." in told(app)


def test_20_other_content_under_the_same_name_is_a_new_version_and_the_mapping_is_remembered(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = projects.create_project(store, "Again", Task("classification"))
    app = visit("data", project=project.id)
    _upload(app, {"labeled": LABELED.replace("text,team", "team,text"), "unlabeled": UNLABELED.replace("text", "team")})
    next(box for box in app.selectbox if box.label == "Question").select("team").run()
    next(box for box in app.selectbox if box.label == "Answer").select("text").run()
    press(app, "Import records")
    app = visit("data", project=project.id)
    changed = LABELED.replace("text,team", "team,text").replace("call 0 about", "letter 0 about")
    app.file_uploader(key="upload_labeled_0").upload("labeled.csv", changed.encode()).run()
    _replacing(app, "labeled")
    assert "The columns mean the same as in version 1." in told(app)
    assert next(b.value for b in app.selectbox if b.label == "Question") == "team"
    press(app, "Import records")
    first, second = versions.versions(store, project.id)
    assert first.sources[0]["name"] == second.sources[0]["name"] == "labeled.csv"
    found = versions.changes(store, first.id, second.id)
    assert (found.added, found.gone, found.relabeled, found.moved) == (1, 1, 0, 0)


def test_pasted_text_is_read_like_a_file(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Pasted", Task("classification"))
    app = visit("data", project=project.id)
    app.text_area(key="paste_labeled").input(LABELED.replace(",", "\t")).run()
    app.button(key="use_labeled").click().run()
    assert not app.exception
    assert "24 rows" in told(app)
    press(app, "Import records")
    assert projects.find_project(store, project.id).counts["labeled"] == 24


def test_a_remedy_is_one_press(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Twins", Task("classification"))
    twice = LABELED + LABELED.splitlines()[1] + "\n"
    app = _upload(visit("data", project=project.id), {"labeled": twice, "unlabeled": UNLABELED})
    remedy = next(one for one in app.segmented_control if one.key == "remedy_duplicates")
    remedy.select("take").run()
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.counts["labeled"] == 24
    [version] = versions.versions(store, project.id)
    assert next(f for f in version.findings if f["kind"] == "duplicates")["done"] == "Keep one of each"


def test_another_sheet_can_be_chosen(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Book", Task("classification"))
    raw = xlsx_bytes([["question", "answer"], *[[f"q {i}", "ab"[i % 2]] for i in range(20)]], sheets=("Data", "Notes"))
    app = visit("data", project=project.id)
    app.file_uploader(key="upload_labeled_0").upload("book.xlsx", raw).run()
    assert "20 rows" in told(app)
    next(box for box in app.selectbox if box.label == "Sheet").select("Notes").run()
    assert not app.exception
    assert "white space" in told(app) or "0 rows" in told(app) or "0 records" in told(app)


def test_a_choice_among_sheets_is_a_finding_with_a_button(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Sheets", Task("classification"))
    rows = [["question", "answer"], *[[f"call {i} from a street", "ab"[i % 2]] for i in range(20)]]
    raw = xlsx_bytes(
        rows, sheets=("Data", "Codes"), others=[["question", "answer"], ["one", "a"], ["two", "b"], ["three", "b"]]
    )
    app = visit("data", project=project.id)
    app.file_uploader(key="upload_unlabeled_0").upload("pool.csv", UNLABELED.encode()).run()
    app.file_uploader(key="upload_labeled_0").upload("book.xlsx", raw).run()
    assert "3 rows" in told(app)
    press(app, 'Read "Data"')
    assert not app.exception
    assert "20 rows" in told(app)
    assert _box(app, "Sheet").value == "Data"


def _box(app: AppTest, label: str) -> Selectbox:
    return next(box for box in app.selectbox if box.label == label)


def test_the_first_sheet_is_one_press_away_from_one_that_holds_nothing(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = projects.create_project(store, "Book", Task("classification"))
    raw = xlsx_bytes([["question", "answer"], *[[f"q {i}", "ab"[i % 2]] for i in range(20)]], sheets=("Data", "Notes"))
    app = visit("data", project=project.id)
    app.file_uploader(key="upload_labeled_0").upload("book.xlsx", raw).run()
    _box(app, "Sheet").select("Notes").run()
    assert "20 rows" not in told(app)
    press(app, "Read the first sheet")
    assert "20 rows" in told(app)
    assert _box(app, "Sheet").value == "Data"


def test_an_encoding_can_be_chosen_and_taken_back(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Said", Task("classification"))
    text = LABELED.replace("call", "звонок")
    app = visit("data", project=project.id)
    app.file_uploader(key="upload_labeled_0").upload("labeled.csv", text.encode("cp1251")).run()
    assert "Windows-1252" in told(app)
    _box(app, "Encoding").select("cp1251").run()
    assert "звонок" in told(app)
    _box(app, "Encoding").select("utf-8").run()
    assert "is not valid UTF-8" in told(app)
    _box(app, "Encoding").select(slots.DETECTED).run()
    assert "read as Windows-1252" in told(app)
    assert not app.exception


def test_a_file_whose_encoding_is_not_known_can_still_be_read(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Unknown", Task("classification"))
    raw = LABELED.replace("call", "\x81\x8dcall").encode("latin-1")
    app = visit("data", project=project.id)
    app.file_uploader(key="upload_labeled_0").upload("labeled.csv", raw).run()
    assert "encoding of the text is not known" in told(app)
    _box(app, "Encoding").select("iso8859-1").run()
    assert "24 rows" in told(app)
    _box(app, "Columns are separated by").select(";").run()
    assert "has no semicolons; the rows are separated by commas" in told(app)
    _box(app, "Columns are separated by").select(slots.DETECTED).run()
    assert "24 rows" in told(app)


def test_files_with_other_column_names_are_read_together(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Names", Task("classification"))
    app = _upload(
        visit("data", project=project.id), {"labeled": LABELED, "unlabeled": UNLABELED.replace("text", "message")}
    )
    assert '"message" is read as "text"' in told(app)
    press(app, "Import records")
    assert projects.find_project(store, project.id).counts["unlabeled"] == 12


def test_files_on_the_server_are_read_only_from_opened_folders(
    visit: Callable[..., AppTest], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, closed = tmp_path / "opened", tmp_path / "closed"
    for folder in (opened, closed):
        folder.mkdir()
        (folder / "labeled.csv").write_text(LABELED, encoding="utf-8")
    (opened / "link.csv").symlink_to(closed / "labeled.csv")
    monkeypatch.setenv(intake.FOLDERS, str(opened))
    project = projects.create_project(store, "Server", Task("classification"))
    app = visit("data", project=project.id)
    for outside in (closed / "labeled.csv", opened / ".." / "closed" / "labeled.csv", opened / "link.csv", "a\0b"):
        app.text_input(key="path_labeled").input(str(outside)).run()
        app.button(key="use_path_labeled").click().run()
        assert "not in a folder that the operator has allowed" in told(app)
    app.text_input(key="path_labeled").input(str(opened / "labeled.csv")).run()
    app.button(key="use_path_labeled").click().run()
    assert "24 rows" in told(app)
    press(app, "Import records")
    assert (opened / "labeled.csv").exists()


def test_two_tabs_with_the_same_file_do_not_take_it_from_each_other(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = projects.create_project(store, "Tabs", Task("classification"))
    tabs = [_upload(visit("data", project=project.id), {"labeled": LABELED}) for _ in range(2)]
    for tab in tabs:
        press(tab, "Import records")
        assert "An unexpected error" not in told(tab)
    assert [version.number for version in versions.versions(store, project.id)] == [1, 2]


def test_an_upload_is_still_there_after_another_page(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Back", Task("classification"))
    app = _upload(visit("data", project=project.id), {"labeled": LABELED})
    app.switch_page("pages/settings.py").run()
    app.switch_page("pages/data.py").run()
    assert "24 rows" in told(app)
    app.button(key="remove_labeled").click().run()
    assert "24 rows" not in told(app)


def test_what_a_new_version_would_lose_is_said_before(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    app = _upload(visit("data", project=project.id), {"labeled": LABELED})
    assert "Version 2 will have none" not in told(app)
    _keeping(app, "unlabeled").set_value(False).run()
    assert "Removed: the 60 unlabeled records of version 1. Version 2 will have none." in told(app)


def test_storing_goes_on_where_the_page_is_left(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    project = projects.create_project(store, "Left", Task("classification"))
    monkeypatch.setattr(session.st, "session_state", {})
    tables: dict[Split, Table] = {"labeled": read_table(LABELED.encode(), "l.csv")}
    path = store.home / "l.csv"
    path.write_text(LABELED, encoding="utf-8")
    given = import_draft.Given(path, "l.csv", "key", sha256(path))
    upload.store(store, project, intake.prepare(tables), {"labeled": given})
    session.shell().jobs["storing"].future.result(30)
    assert projects.find_project(store, project.id).counts["labeled"] == 24


def test_answers_can_be_counted_otherwise_and_back_also_where_none_is_left(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = projects.create_project(store, "Counted", Task("multiple_choice"))
    labeled = "question,A,B,answer\n" + "".join(f"which is {i}?,this {i},that {i},2\n" for i in range(12))
    app = _upload(visit("data", project=project.id), {"labeled": labeled})

    def control() -> ButtonGroup:
        return next(one for one in app.segmented_control if one.label.startswith("Numeric answers"))

    control().set_value(0).run()
    assert not app.exception
    assert "None of the 12 labeled rows can be used" in told(app)
    assert "count from 1" in told(app)
    control().set_value(1).run()
    assert "12 records will become dataset version 1" in told(app)


def test_hidden_gold_is_switched_without_comparing_the_splits_again(
    visit: Callable[..., AppTest], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    monkeypatch.setattr(build, "small_edits", lambda records, *_: compared.append(len(records)) or {})
    project = projects.create_project(store, "Switched", Task("classification"))
    unlabeled = "text,team\n" + "".join(f"another call {i},roads\n" for i in range(12))
    app = _upload(visit("data", project=project.id), {"labeled": LABELED, "unlabeled": unlabeled})
    before = list(compared)
    app.toggle(key="hide_gold").set_value(True).run()
    assert compared == before
    checked = kept(app, import_draft.Import).checked
    assert checked is not None
    assert len(dict(checked[1].gold())) == 12


def test_splits_without_a_file_are_kept_with_ids_groups_hashes_and_hidden_gold(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = made.with_data(store)
    assert project.version_id is not None
    known = [r.content_hash for r in load_records(store, project.version_id, "unlabeled")]
    gold = hidden_gold(store, project.version_id)
    app = _replacing(_upload(visit("data", project=project.id), {"labeled": LABELED}), "labeled")
    assert "Keep the 60 unlabeled records of version 1" in [one.label for one in app.toggle]
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.version_id is not None
    assert {**stored.counts} == {"labeled": 24, "unlabeled": 60, "test": 40, "calibration": 0}
    assert [r.content_hash for r in load_records(store, stored.version_id, "unlabeled")] == known
    assert sorted(hidden_gold(store, stored.version_id).values()) == sorted(gold.values())
    sources = {source["split"]: source for source in versions.versions(store, project.id)[1].sources}
    assert sources["unlabeled"]["kept_from"] == sources["test"]["kept_from"] == 1
    assert sources["labeled"]["form"] == "Commas between the cells, UTF-8"


def test_the_task_of_kept_labeled_records_stands(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    test = "text,team\nA question of its own,roads\nAnother one,parks\n"
    app = _replacing(_upload(visit("data", project=project.id), {"test": test}), "test")
    assert "Task: Classification, as in version 1" in told(app)
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.task == project.task
    assert (stored.counts["labeled"], stored.counts["unlabeled"], stored.counts["test"]) == (40, 60, 1)


def test_records_of_another_task_are_not_kept_and_it_is_said(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    numbers = "text,answer\n" + "".join(f"How many are {i} and {i}?,{2 * i}\n" for i in range(30))
    app = _upload(visit("data", project=project.id), {"labeled": numbers})
    assert "Most answers of the new file are new labels." in told(app)
    _replacing(app, "labeled")
    assert "The unlabeled records of version 1 cannot be kept" in told(app)
    press(app, "Import records")
    assert projects.find_project(store, project.id).counts["unlabeled"] == 0


def test_kept_test_records_with_a_label_that_is_gone_are_off_at_first(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = made.with_data(store)
    fewer = "".join(line for line in LABELED.splitlines(keepends=True) if "parking" not in line)
    app = _replacing(_upload(visit("data", project=project.id), {"labeled": fewer}), "labeled")
    assert "10 records of them have a label that the new labeled file lacks" in told(app)
    assert not _keeping(app, "test").value
    _keeping(app, "test").set_value(True).run()
    assert "Rejected rows (10)" in told(app)


def test_what_overlaps_with_kept_records_is_found(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    assert project.version_id is not None
    asked = load_records(store, project.version_id, "unlabeled")[0].question
    app = _upload(visit("data", project=project.id), {"labeled": LABELED + f"{asked},roads\n"})
    remedy = next(one for one in app.segmented_control if one.key == "remedy_overlap_labeled_unlabeled")
    remedy.select("take").run()
    press(app, "Import records")
    assert projects.find_project(store, project.id).counts["unlabeled"] == 59


def test_a_split_left_empty_says_beside_the_button_what_to_change(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Empty", Task("classification"))
    copies = "text\n" + "".join(line.rsplit(",", 1)[0] + "\n" for line in LABELED.splitlines()[1:])
    app = _upload(visit("data", project=project.id), {"labeled": LABELED, "unlabeled": copies})
    next(one for one in app.segmented_control if one.key == "remedy_overlap_labeled_unlabeled").select("take").run()
    assert 'do not apply "Leave out of unlabeled" (24)' in told(app)
    assert next(one for one in app.button if one.label == "Import records").disabled


def test_hidden_gold_is_kept_again_where_the_version_before_has_it(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    app = _upload(visit("data", project=project.id), {"labeled": LABELED, "unlabeled": LABELED.replace("call", "cry")})
    _replacing(app, "unlabeled")
    assert app.toggle(key="hide_gold").value
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.version_id is not None
    assert hidden_gold_count(store, stored.version_id) == 24


def test_an_older_version_is_put_in_use_again(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = _upload(visit("data", project=project.id), {"labeled": LABELED})
    press(app, "Import records")
    second = projects.find_project(store, project.id)
    app = visit("data", project=project.id)
    assert "Compared with version 2: " in told(app)
    press(app, "Use this version")
    assert not app.exception
    assert "Version 1" in told(app)
    assert projects.find_project(store, project.id).version_id == project.version_id
    press(app, "Use this version")
    assert projects.find_project(store, project.id).version_id == second.version_id


def test_a_long_column_name_is_told_whole_as_text(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Long", Task("classification"))
    name = "What did the caller say **on the phone** ![x](http://127.0.0.1:9/x.png)?"
    app = _upload(visit("data", project=project.id), {"labeled": LABELED.replace("text", f'"{name}"', 1)})
    assert name in [element.value for element in app.text]
    assert name not in "".join(str(element.value) for element in (*app.markdown, *app.caption))


def test_an_instruction_is_typed_before_the_import_and_shown_as_the_model_will_see_it(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = projects.create_project(store, "Asked", Task("classification"))
    app = _upload(visit("data", project=project.id), {"labeled": LABELED, "unlabeled": UNLABELED})
    app.text_area(key="instruction").set_value("Sort by team.").run()
    assert "[system]\nSort by team.\n\n[user]\ncall 0 about roads" in told(app)
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.task is not None
    assert stored.task.instruction == "Sort by team."


def test_another_instruction_for_stored_records_is_a_new_version(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    app = visit("data", project=project.id)
    app.text_area(key=f"instruction_of_{project.version_id}").set_value("Say who has to go.")
    press(app, "Save instruction")
    now = projects.find_project(store, project.id)
    assert now.version_number == 2
    assert now.task is not None
    assert now.task.instruction == "Say who has to go."
    assert now.counts == project.counts
    press(app, "Save instruction")
    assert projects.find_project(store, project.id).version_number == 2, "the same one is no new version"


def test_a_paste_joins_the_records_of_the_version_in_use(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    assert project.version_id is not None
    app = visit("data", project=project.id)
    app.text_area(key="paste_unlabeled").input("text\nA new call\nAnother new call\n").run()
    app.button(key="use_unlabeled").click().run()
    assert "Added to the 60 unlabeled records of version 1: 2. Version 2 will have 62." in told(app)
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.version_id is not None
    assert {**stored.counts} == {"labeled": 40, "unlabeled": 62, "test": 40, "calibration": 0}
    assert sorted(hidden_gold(store, stored.version_id).values()) == sorted(
        hidden_gold(store, project.version_id).values()
    )
    before, now = (load_records(store, id, "unlabeled") for id in (project.version_id, stored.version_id))
    assert [record.content_hash for record in now[:60]] == [record.content_hash for record in before]
    assert [record.question for record in now[60:]] == ["A new call", "Another new call"]
    sources = versions.versions(store, project.id)[1].sources
    assert [source["name"] for source in sources if source["split"] == "unlabeled"] == ["version 1", "pasted.txt"]


def test_records_that_are_replaced_are_counted_before(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    app = _replacing(_upload(visit("data", project=project.id), {"unlabeled": UNLABELED}), "unlabeled")
    assert "The 60 unlabeled records of version 1 are replaced: 60 removed, 12 new. Version 2 will have 12." in told(
        app
    )


def test_labeled_records_that_join_others_may_bring_a_new_label(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    app = _upload(visit("data", project=project.id), {"labeled": "text,team\nA dead tree,parks\nA hole,roads\n"})
    assert "New labels: parks (1 record)." in told(app)
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.task is not None
    assert stored.task.labels == (*made.LABELS, "parks")
    assert stored.counts["labeled"] == 42


def test_the_suggested_answer_column_can_be_the_hidden_gold(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Gold", Task("classification"))
    app = _upload(visit("data", project=project.id), {"labeled": LABELED, "unlabeled": LABELED.replace("call", "cry")})
    next(box for box in app.selectbox if box.label == "Hidden gold").select("team").run()
    assert 'Hidden gold is kept from "team".' in told(app)
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.version_id is not None
    assert hidden_gold_count(store, stored.version_id) == 24


def _joining(app: AppTest, split: str) -> str:
    """Whether the new file of a split is added to the records that are there, or replaces them."""
    return str(next(one for one in app.segmented_control if str(one.key).startswith(f"join_{split}_")).value)


def _two_imports(visit: Callable[..., AppTest], project: int, second: dict[str, str]) -> AppTest:
    """The page with a second import, after a first one whose answer column nobody would guess."""
    first = "text,note,crew\n" + "".join(f"call {i},a note on {i},{made.LABELS[i % 4]}\n" for i in range(24))
    app = _upload(visit("data", project=project), {"labeled": first, "unlabeled": UNLABELED})
    press(app, "Import records")
    return _upload(visit("data", project=project), second)


def test_a_part_of_the_records_again_removes_none_and_adds_none(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Part", Task("classification"))
    app = _upload(visit("data", project=project.id), {"labeled": LABELED, "unlabeled": UNLABELED})
    press(app, "Import records")
    app = _upload(visit("data", project=project.id), {"unlabeled": "".join(UNLABELED.splitlines(keepends=True)[:5])})
    assert "Every record of the new unlabeled file is in version 1 already; none is new." in told(app)
    assert _joining(app, "unlabeled") == carried_over.ADD
    assert "Already in the version in use: 4 records." in told(app)
    assert "In unlabeled (unlabeled.csv)" in told(app)
    assert "Added to the 12 unlabeled records of version 1: 0. Version 2 will have 12." in told(app)


def test_a_few_more_records_keep_the_mapping_and_the_task(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "More", Task("classification"))
    app = _two_imports(
        visit, project.id, {"labeled": "text,note,crew\nA hole,It is deep,roads\nA leak,It is wet,water\n"}
    )
    assert _joining(app, "labeled") == carried_over.ADD
    assert _box(app, "Answer").value == "crew"
    assert "Task: Classification, as in version 1" in told(app)
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert (stored.counts["labeled"], stored.counts["unlabeled"]) == (26, 12)
    assert stored.task == Task("classification", tuple(sorted(made.LABELS)))


def test_where_more_records_differ_from_the_mapping_is_said(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Differ", Task("classification"))
    app = _two_imports(visit, project.id, {"labeled": "text,category\nA hole,roads\nA leak,water\n"})
    assert 'The answer is read from "category": there is no column "crew".' in told(app)


def test_a_labeled_file_that_cannot_join_replaces_the_others_only_if_one_says_so(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = projects.create_project(store, "Choices", Task("multiple_choice"))
    choices = "text,A,B,team\n" + "".join(f"which is {i}?,this {i},that {i},{'AB'[i % 2]}\n" for i in range(12))
    app = _upload(visit("data", project=project.id), {"labeled": choices})
    press(app, "Import records")
    app = visit("data", project=project.id)
    app.file_uploader(key="upload_labeled_0").upload("labeled.csv", LABELED.encode()).run()
    assert "The labeled file cannot be added to version 1." in told(app)
    assert "Import records" not in [button.label for button in app.button]
    next(one for one in app.toggle if one.label == "Replace the 12 labeled records").set_value(True).run()
    assert "The 12 labeled records of version 1 are replaced: 12 removed, 24 new." in told(app)


def test_numbers_of_options_are_counted_as_before(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Counted again", Task("multiple_choice"))
    head = "question,A,B,C,answer\n"
    rows = "".join(f"which is {i}?,this {i},that {i},it {i},{i % 3}\n" for i in range(12))
    press(_upload(visit("data", project=project.id), {"labeled": head + rows}), "Import records")
    few = head + "which is new?,this,that,it,1\nwhich is newer?,this,that,it,2\n"
    app = _upload(visit("data", project=project.id), {"labeled": few})
    assert "Numbers read as positions counted from 0" in told(app)
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.version_id is not None
    assert [record.answer for record in load_records(store, stored.version_id, "labeled")][-2:] == ["B", "C"]


def test_new_answers_to_some_records_take_the_place_of_the_earlier_ones(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = projects.create_project(store, "Corrected", Task("classification"))
    press(_upload(visit("data", project=project.id), {"labeled": LABELED}), "Import records")
    line = LABELED.splitlines()[1].rsplit(",", 1)[0]
    app = _upload(visit("data", project=project.id), {"labeled": f"text,team\n{line},water\n"})
    assert "In the version in use with another answer: 1 record." in told(app)
    next(one for one in app.segmented_control if one.key == "remedy_new_answers").select("take").run()
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.version_id is not None
    known = {one.question: one.answer for one in load_records(store, stored.version_id, "labeled")}
    assert (len(known), known[line]) == (24, "water")


def test_misspelled_labels_are_read_as_others_and_so_are_those_of_later_files(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = projects.create_project(store, "Typos", Task("classification"))
    typos = "one more call,raods\nand another,watre\n"
    app = _upload(visit("data", project=project.id), {"labeled": LABELED + typos, "unlabeled": UNLABELED})
    assert '"raods" (1) like "roads"' in told(app)
    press(app, "Read all as suggested (2)")
    box = next(one for one in app.selectbox if one.value == "water")
    box.select("").run()
    assert '"watre" (1) like "water"' in told(app)
    press(app, "Import records")
    first = projects.find_project(store, project.id)
    assert first.task is not None
    assert set(first.task.labels) == {*made.LABELS, "watre"}
    assert first.version_id is not None
    assert {one.question: one.answer for one in load_records(store, first.version_id, "labeled")}["one more call"] == (
        "roads"
    )

    app = _upload(visit("data", project=project.id), {"labeled": "text,team\nyet another call,raods\n"})
    assert '"raods" (1) read as "roads"' in told(app)
    press(app, "Import records")
    second = projects.find_project(store, project.id)
    assert second.task == first.task
