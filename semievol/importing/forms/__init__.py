"""The forms in which tools and data sets keep their records, unfolded to plain columns.

A module for each form: `label_studio`, `argilla`, `prodigy`, `doccano`, `categories` (spaCy), `sagemaker`, `mturk` and
`labelbox` (tools for labeling), `qualtrics` (surveys), `squad`, `reading_tests` (RACE), `scored_options` (BIG-bench),
`stems` and `snli` (data sets), `alpaca` and `conversations`. Its `unfold` returns the table with columns `question`,
`answer` or `earlier turns` added, or None where the table is something else. Other columns stay; those that held only
the form's structure do not. In any table `lists` unwraps lists of one element, `passages` writes nested passages as
text, and `objects` takes other objects apart. `unfolding` has what the forms share, `turns` what those with earlier
turns do. Knows nothing of files, mappings or tasks.
"""

from __future__ import annotations

from semievol.importing.forms import (
    alpaca,
    argilla,
    categories,
    conversations,
    doccano,
    label_studio,
    labelbox,
    lists,
    mturk,
    objects,
    passages,
    prodigy,
    qualtrics,
    reading_tests,
    sagemaker,
    scored_options,
    snli,
    squad,
    stems,
)
from semievol.importing.table import Limits, Table

FORMS = (
    label_studio.unfold,
    argilla.unfold,
    prodigy.unfold,
    doccano.unfold,
    categories.unfold,
    sagemaker.unfold,
    mturk.unfold,
    labelbox.unfold,
    scored_options.unfold,
    stems.unfold,
    snli.unfold,
    squad.unfold,
    reading_tests.unfold,
    qualtrics.unfold,
    alpaca.unfold,
    conversations.unfold,
)
"""Tried in this order; the first that knows the table unfolds it."""


def unfold(table: Table, limits: Limits) -> Table:
    """The table with the columns that its form adds. Then lists of one element become their element, nested passages
    become text, and fields of objects become columns."""
    table = objects.unwrapped(table)
    found = next((new for form in FORMS if (new := form(table, limits)) is not None), table)
    return objects.taken_apart(passages.flattened(lists.unwrapped(found, limits), limits), limits)
