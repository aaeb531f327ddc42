"""Decisions from another tool are stored in one transaction, signed, with the tool's name, and never twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from semievol.annotation.exchange import Annotation, AnnotationKind, Returned
from semievol.config import Policy
from semievol.errors import UserError
from semievol.records import Record
from semievol.store.data.records import load_records
from semievol.store.decisions import decisions, history, reviews
from semievol.store.decisions.external_review import expected, import_decisions
from semievol.store.results.results import candidate_frame
from tests.store.world import World


def record_of(world: World, record_id: str) -> Record:
    return next(one for one in load_records(world.store, world.round.version_id) if one.id == record_id)


def returned(world: World, record_id: str, *said: tuple[str, AnnotationKind, str | None]) -> Returned:
    record = record_of(world, record_id)
    suggested = "water" if record_id == "u3" else "road"
    annotations = tuple(Annotation(*one) for one in said)
    return Returned(record.id, record.content_hash, record.content_hash, record.question, suggested, annotations)


def reviewed(world: World) -> list[Returned]:
    return [
        returned(world, "u3", ("bo", "answer", "road"), ("cy", "answer", "road"), ("di", "answer", "water")),
        returned(world, "u0", ("bo", "answer", "road")),
        returned(world, "u1", ("bo", "reject", None)),
        returned(world, "u2", ("bo", "ambiguous", None)),
        returned(world, "u4", ("bo", "skip", None)),
    ]


def test_decisions_come_home_signed_with_the_tools_name(full: World) -> None:
    imported, made = import_decisions(full.store, full.round, reviewed(full), "Label Studio", " Ada ")
    assert {(one.record_id, one.action, one.answer, one.note) for one in made} == {
        ("u3", "edit", "road", "Label Studio, 2 of 3 annotators"),
        ("u0", "accept", "road", "Label Studio"),
        ("u1", "reject", None, "Label Studio"),
        ("u2", "ambiguous", None, "Label Studio"),
    }
    assert {one.reviewer for one in made} == {"Ada"}
    assert list(imported.not_stored) == ["skipped"]
    pool = candidate_frame(full.store, full.round.id)
    assert pool["decision"].to_dict() | {"u5": None} == {
        "u0": "accept",
        "u1": "reject",
        "u2": "ambiguous",
        "u3": "edit",
        **dict.fromkeys(("u4", "u5", "u6", "u7")),
    }


def test_the_same_file_again_stores_nothing(full: World) -> None:
    import_decisions(full.store, full.round, reviewed(full), "Argilla", "Ada")
    again, made = import_decisions(full.store, full.round, reviewed(full), "Argilla", "Ada", replace=True)
    assert (made, again.decisions, len(again.not_stored["known"])) == ([], [], 4)
    key = "press-1"
    later = [returned(full, "u5", ("bo", "answer", "road"))]
    first = import_decisions(full.store, full.round, later, "Argilla", "Ada", key=key)[1]
    assert import_decisions(full.store, full.round, later, "Argilla", "Ada", key=key)[1] == first


def test_a_decision_made_here_stays_unless_it_is_to_be_replaced(full: World) -> None:
    decisions.decide(full.store, full.project.id, full.round.id, "u0", "edit", "road", "waste", reviewer="Eve")
    imported, _ = import_decisions(full.store, full.round, reviewed(full), "Prodigy", "Ada")
    assert len(imported.not_stored["contrary"]) == 1
    assert candidate_frame(full.store, full.round.id).loc["u0", "decided_answer"] == "waste"
    imported, made = import_decisions(full.store, full.round, reviewed(full), "Prodigy", "Ada", replace=True)
    assert (imported.replaced, [one.record_id for one in made]) == (1, ["u0"])
    assert candidate_frame(full.store, full.round.id).loc["u0", "decided_answer"] == "road"


def test_one_undo_takes_all_of_them_back(full: World) -> None:
    _, made = import_decisions(full.store, full.round, reviewed(full), "Prodigy", "Ada")
    assert not decisions.in_bulk(full.store, full.project.id), "somebody looked at each of them"
    assert len(history.take_back(full.store, full.project.id, made[1].id)) == len(made)
    assert candidate_frame(full.store, full.round.id)["decision"].isna().all()


def test_what_is_expected_is_what_is_stored_and_stores_nothing(full: World) -> None:
    before = expected(full.store, full.round, reviewed(full))
    assert history.last_entry(full.store, full.project.id) == 0
    assert import_decisions(full.store, full.round, reviewed(full), "Argilla", "Ada")[0] == before


def test_nothing_is_half_stored(full: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(decisions, "_refresh_candidates", breaks)
    with pytest.raises(KeyboardInterrupt):
        import_decisions(full.store, full.round, reviewed(full), "Argilla", "Ada")
    assert history.last_entry(full.store, full.project.id) == 0


def test_records_of_other_splits_and_of_an_open_random_review_stay_as_they_are(full: World) -> None:
    reviews.begin(full.store, full.round.id, Policy(), ["u0", "u1"], "fixed", 2)
    labeled = replace(returned(full, "l1", ("bo", "answer", "road")), suggested="road")
    imported, made = import_decisions(full.store, full.round, [*reviewed(full), labeled], "Argilla", "Ada")
    assert {one.record_id for one in made} == {"u2", "u3"}
    assert (len(imported.not_stored["reserved"]), len(imported.not_stored["unknown"])) == (2, 1)


def test_decisions_need_a_name(full: World) -> None:
    with pytest.raises(UserError, match="name"):
        import_decisions(full.store, full.round, reviewed(full), "Argilla", "  ")
