"""Lists of collaborators: what does nothing, who would answer alike, and that every change gives a list that can be."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semievol.config import VOTERS, Collaborator, Propagation
from semievol.errors import UserError
from semievol.method import collaborators
from semievol.method.collaborators import Around
from semievol.presets import PRESETS, STUDIO_COLLABORATORS, STUDIO_READERS, load, overlaid

AROUND = Around("starter", k=3, instructed=True)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).filter(str.strip)
MODELS = st.sampled_from(["base", "warm_up", "starter", "/models/other one", *VOTERS])


@st.composite
def one(draw: st.DrawFn, name: str | None = None) -> Collaborator:
    model = draw(MODELS)
    return Collaborator(
        name=draw(NAMES) if name is None else name,
        model=model,
        demonstrations=draw(st.booleans()),
        order=draw(st.sampled_from(["similar_last", "shuffled"])),
        variant=draw(st.sampled_from(["standard", "bare"])),
        temperature=0.0 if model in VOTERS else draw(st.sampled_from([0.0, 0.3, 1.0, 2.0])),
        seed=draw(st.integers(0, 5)),
    )


LISTS = st.lists(one(), min_size=1, max_size=16, unique_by=lambda c: c.name).map(tuple)
AROUNDS = st.builds(Around, st.sampled_from(["starter", "smollm2"]), st.integers(0, 3), st.booleans())


@given(LISTS, one("judge").filter(lambda c: c.model not in VOTERS), st.sampled_from(PRESETS))
def test_what_the_table_shows_is_what_the_settings_keep(
    mine: tuple[Collaborator, ...], judge: Collaborator, preset: str
) -> None:
    before: dict[str, Any] = {"preset": preset, "seed": 7, "propagation": {"k": 2, "judge": {"seed": 9}}}
    propagation = collaborators.kept(before, load(preset).propagation, mine, judge)
    read = overlaid(before | {"propagation": propagation})
    assert (read.propagation.collaborators, read.propagation.judge) == (mine, judge)
    assert (read.propagation.k, read.seed) == (2, 7), "nothing else changes"


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_the_presets_own_is_not_kept(preset: str) -> None:
    plain: Propagation = load(preset).propagation
    before = {"propagation": {"collaborators": [{"name": "x"}], "judge": {"seed": 3}}}
    assert collaborators.kept(before, plain, plain.collaborators, plain.judge) is None
    assert collaborators.kept({"propagation": {"k": 1}}, plain, plain.collaborators, plain.judge) == {"k": 1}


@given(LISTS, AROUNDS, st.data())
def test_a_change_gives_a_list_that_a_round_can_have_or_is_refused(
    mine: tuple[Collaborator, ...], around: Around, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(mine) - 1))
    try:
        collaborators.checked(mine, around)
    except UserError:
        return
    if len(mine) < 16:
        more = collaborators.checked(collaborators.added(mine, around), around)
        assert more[:-1] == mine
        assert more[-1].seed not in {c.seed for c in mine}
        if mine[place].model in VOTERS:
            with pytest.raises(UserError, match="same answers"):
                collaborators.copied(mine, place, around)
        else:
            twice = collaborators.checked(collaborators.copied(mine, place, around), around)
            assert twice[: place + 1] + twice[place + 2 :] == mine
            assert twice[place + 1].model == mine[place].model
    by = data.draw(st.integers(-20, 20))
    shifted = collaborators.moved(mine, place, by)
    assert shifted.index(mine[place]) == min(max(place + by, 0), len(mine) - 1)
    assert sorted(shifted, key=mine.index) == list(mine)
    assert mine[place] not in collaborators.removed(mine, place)


@given(one(), AROUNDS, st.booleans())
def test_settings_that_do_nothing_can_be_anything(c: Collaborator, around: Around, judge: bool) -> None:
    other = {"demonstrations": not c.demonstrations, "order": "shuffled", "variant": "bare", "seed": c.seed + 1}
    idle = other.keys() - collaborators.effective(c, around, judge)
    changed = c.model_copy(update={name: other[name] for name in idle})
    assert collaborators.effective(changed, around, judge) == collaborators.effective(c, around, judge)
    if "seed" in idle and not judge:
        assert collaborators.alike(
            [c.model_copy(update={"name": "1"}), changed.model_copy(update={"name": "2"})], around
        )


def test_only_what_a_setting_can_change_counts() -> None:
    plain, shuffled = Collaborator(name="a"), Collaborator(name="b", order="shuffled")
    sampled, voter = Collaborator(name="c", temperature=1), Collaborator(name="d", model="regression")

    def effective(c: Collaborator, k: int = 3, instructed: bool = True, judge: bool = False) -> set[str]:
        return set(collaborators.effective(c, Around("starter", k, instructed), judge))

    assert effective(plain) == {"model", "temperature", "demonstrations", "order", "variant"}
    assert effective(shuffled) == effective(plain) | {"seed"}
    assert effective(shuffled, k=1) == effective(plain) - {"order"}, "one demonstration has no order"
    assert effective(sampled, k=0, instructed=False) == {"model", "temperature", "seed"}
    assert effective(plain, judge=True) == effective(plain) | {"seed"}, "it decides in which order candidates are read"
    assert effective(voter) == {"model"}


def test_a_model_that_is_the_rounds_own_is_the_base() -> None:
    base, own = Collaborator(name="a", model="base"), Collaborator(name="b", model="starter")
    assert collaborators.alike([base, own], AROUND) == {"b": "a"}
    assert collaborators.alike([base, own], Around("smollm2", 3, True)) == {}


@pytest.mark.parametrize(
    ("mine", "says"),
    [
        ([], "at least one collaborator"),
        ([Collaborator(name=f"{n}", temperature=1) for n in range(17)], "at most 16"),
        ([Collaborator(name="a"), Collaborator(name="a", model="base")], 'Two collaborators are called "a"'),
        ([Collaborator(name="a"), Collaborator(name="b", seed=4)], '"b" would give exactly the same answers as "a"'),
        ([Collaborator(name=v, model="regression") for v in "ab"], "same answers"),
    ],
)
def test_a_list_that_cannot_be_is_refused_in_a_sentence(mine: list[Collaborator], says: str) -> None:
    with pytest.raises(UserError, match=says):
        collaborators.checked(mine, AROUND)


def test_one_that_becomes_a_vote_loses_what_a_vote_does_not_have() -> None:
    sampled = Collaborator(name="a", temperature=1, order="shuffled", variant="bare", seed=4)
    voter = collaborators.replaced([sampled], 0, model="neighbours")[0]
    assert (voter.temperature, voter.demonstrations, voter.order, voter.variant) == (
        0,
        False,
        "similar_last",
        "standard",
    )
    with pytest.raises(UserError, match="its temperature is 0"):
        collaborators.replaced([voter], 0, temperature=1.0)
    with pytest.raises(UserError, match="needs a name"):
        collaborators.replaced([voter], 0, name="  ")
    with pytest.raises(UserError, match="less than or equal to 2"):
        collaborators.replaced([sampled], 0, temperature=5.0)


def test_copies_have_names_that_say_what_they_are() -> None:
    mine = tuple(Collaborator(name=name, temperature=1) for name in ("sample 1", "shuffled, T = 1", "x" * 60))
    names = [collaborators.copied(mine, place, AROUND)[place + 1].name for place in range(3)]
    assert names == ["sample 2", "shuffled, T = 1 2", "x" * 56 + " 2"]
    assert set(names[0]) <= set(string.printable)


def test_what_is_added_first_is_what_the_list_does_not_have() -> None:
    mine: tuple[Collaborator, ...] = STUDIO_COLLABORATORS
    for name in ("warm-up, demonstrations", "base, demonstrations", "base alone", "sample", "sample 2"):
        mine = collaborators.added(mine, AROUND)
        assert mine[-1].name == name
    assert [c.name for c in collaborators.added(STUDIO_COLLABORATORS, Around("starter", 0, True))[3:]] == ["base alone"]


def test_a_plain_name_follows_the_model_and_one_that_somebody_gave_stays() -> None:
    mine: tuple[Collaborator, ...] = (*STUDIO_READERS, Collaborator(name="Ours", temperature=1))
    mine = collaborators.replaced(mine, 0, model="/models/small")
    mine = collaborators.replaced(mine, 1, model="base")
    assert [c.name for c in mine] == ["small, demonstrations", "base alone", "Ours"]
    mine = collaborators.replaced(mine, 0, model="base")
    mine = collaborators.replaced(mine, 0, demonstrations=False)
    mine = collaborators.replaced(mine, 2, model="endpoint:far")
    assert [c.name for c in mine] == ["base alone 2", "base alone", "Ours"]
    mine = collaborators.replaced(collaborators.replaced(mine, 0, model="endpoint:far"), 1, model="regression")
    assert [c.name for c in mine] == ["far alone", "regression", "Ours"]
    long = collaborators.replaced(mine, 0, model=f"/models/{'x' * 90}")[0].name
    assert long.endswith("x alone")
    assert len(long) <= 60


@given(LISTS, MODELS, st.data())
def test_no_change_of_a_model_gives_two_the_same_name(
    mine: tuple[Collaborator, ...], model: str, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(mine) - 1))
    after = collaborators.replaced(mine, place, model=model)
    assert len({c.name for c in after}) == len(mine)
