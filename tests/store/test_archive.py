"""Which tables belong to a project, what points where, and what tells of a machine."""

from __future__ import annotations

import pytest
from sqlalchemy import Integer

from semievol.store import schema
from semievol.store.archives import export_rows, ownership
from semievol.store.archives.redaction import without_paths, without_paths_inside


def test_every_table_is_archived_or_said_not_to_belong_to_a_project() -> None:
    belonging = {table.name for table in ownership.tables()}
    assert belonging | set(ownership.APART) == set(schema.metadata.tables)
    assert not belonging & set(ownership.APART)
    for table in ownership.tables():
        ownership.owned(table, 1)  # a foreign key leads to the project


def test_every_column_with_numbers_of_rows_says_of_which() -> None:
    """A record's key without a declared foreign key would else leave as it is here."""
    for table in ownership.tables():
        numbered = [c for c in table.columns if isinstance(c.type, Integer) and c is not ownership.number(table)]
        meant = [c.name for c in numbered if c.name.endswith(("_id", "_key")) or c.name in ownership.POINTERS]
        assert set(meant) == set(ownership.pointers(table)), table.name
        for target in ownership.pointers(table).values():
            assert ownership.number(schema.metadata.tables[target]) is not None, target


def test_everything_named_in_a_list_of_columns_is_there() -> None:
    named = [
        *export_rows.ADAPTERS,
        export_rows.FOLDS,
        *ownership.LISTS,
        *export_rows._MACHINE_DOCUMENTS,
        *export_rows._MACHINE_WORDS,
    ]
    named += [(table, column) for table, columns in export_rows.DROPPED.items() for column in columns]
    for table, column in named:
        assert column in schema.metadata.tables[table].c


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("loading /home/ada/models/tiny/config.json now", "loading config.json now"),
        ('File "/srv/studio/semievol/cli.py", line 3', 'File "cli.py", line 3'),
        ("see https://host/a/b and 1/2 and and/or", "see https://host/a/b and 1/2 and and/or"),
        ("/a//b//c/d", "d"),
        ("~/models/x", "x"),
    ],
)
def test_of_a_path_only_the_last_part_leaves(text: str, left: str) -> None:
    assert without_paths(text) == left == without_paths(left)


def test_values_of_keys_do_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "sk-canary-123456")
    said = {"log": ["401 for sk-canary-123456", "sent Bearer sk-parrot-123456"]}
    assert without_paths_inside(said, {"Bearer sk-parrot-123456"}) == {"log": ["401 for ***", "sent ***"]}


def test_the_users_own_folder_does_not_leave_though_its_name_has_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/john doe")
    assert without_paths('File "/home/john doe/clients/acme/model.py", line 3') == 'File "model.py", line 3'
    for home in ("/", "/app", "~nobody-there"):
        monkeypatch.setenv("HOME", home)
        assert without_paths("see https://host.org/app/b and /app/x/y") == "see https://host.org/app/b and y"


def test_names_in_documents_stay_as_other_rows_repeat_them() -> None:
    document = {"model": "/home/ada/my model", "collaborators": [{"name": "/a/b/c", "model": "~/m/x"}], "seed": 1}
    assert without_paths_inside(document) == {
        "model": "my model",
        "collaborators": [{"name": "/a/b/c", "model": "x"}],
        "seed": 1,
    }
