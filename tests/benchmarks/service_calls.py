"""Texts of calls to a city's service line, in eight classes, 60 to 300 characters each; drawn, and so never alike."""

from __future__ import annotations

import random

LABELS = ("roads", "waste", "water", "parking", "parks", "noise", "lighting", "permits")
SHARES = (22, 19, 14, 13, 11, 9, 7, 5)

OPENINGS = (
    "Good morning,", "Hello,", "I am calling because", "For the third time this month",
    "My neighbour says that", "Just to let you know,", "We live here with two small children and",
    "As I already told your colleague,", "Could somebody please look into this:", "I would like to report that",
    "Since the last storm", "It may be nothing, but",
)  # fmt: skip
TROUBLES = {
    "roads": (
        "there is a deep pothole in front of", "the asphalt has sunk by a hand's width at",
        "a kerb stone lies loose at", "the cycle lane ends in gravel at",
        "a manhole cover rattles and sits too low at", "the pavement is broken up at",
    ),
    "waste": (
        "the grey bin was not emptied at", "somebody dumped a sofa and two mattresses at",
        "the paper container overflows at", "the garden waste has been standing for nine days at",
        "rats have found the open bags at", "our bin was stolen from",
    ),
    "water": (
        "brown water comes out of the tap at", "the drain is blocked and the cellar floods at",
        "a pipe must have burst near", "the pressure is gone on the upper floors of",
        "it smells of sewage from the gully at", "the meter was not read at",
    ),
    "parking": (
        "a van has blocked the driveway for days at", "the ticket machine swallows coins at",
        "cars stand on the footpath at", "my resident's bay is taken every evening at",
        "the disabled bay is not marked any more at", "a wreck without plates stands at",
    ),
    "parks": (
        "the swing hangs by one chain in the playground at", "a large branch is about to fall in the green at",
        "the fountain has not run since spring at", "the hedge covers half the path at",
        "dog bags are missing in the park at", "the benches were torn out at",
    ),
    "noise": (
        "the bar plays music until three at night at", "a generator has been humming day and night at",
        "building work starts at five at", "fireworks are set off every evening near",
        "the ventilation whistles all night at", "motorbikes race up and down at",
    ),
    "lighting": (
        "the street lamp flickers at", "three lamps in a row are dark at", "a lamp burns all day long at",
        "the underpass is pitch dark at", "a lamp post leans over the path at", "the crossing is not lit at",
    ),
    "permits": (
        "I have heard nothing about my application for the shop sign at",
        "which form do I need for scaffolding at", "can I hold a street party in front of",
        "my permit for the terrace expires, and I need it renewed at", "is a permit needed for a dormer at",
        "how long does the building permit take for",
    ),
}  # fmt: skip
NAMES = (
    "Mill", "Station", "Church", "Garden", "Harbour", "Castle", "Chestnut", "Market", "Bridge", "School",
    "Linden", "Tower", "River", "Abbey", "Orchard", "Quarry", "Weaver", "Cooper", "Saddler", "Bishop", "Meadow",
    "Forge", "Vineyard", "Canal",
)  # fmt: skip
KINDS = ("Street", "Lane", "Road", "Square", "Hill", "Row", "Gate", "Walk")
SIDES = (
    "", "right beside the bakery", "opposite the bus stop", "behind the old post office",
    "on the side of the school", "where the road narrows", "next to the chemist's",
    "at the corner with the new building site",
)  # fmt: skip
ENDINGS = (
    "", "Please call me back.", "It has been like this for {n} days.", "When will somebody come?",
    "I have sent {n} pictures by mail.", "Somebody is going to get hurt there.",
    "Last year it took {n} weeks until anything happened.", "My reference is {n}-{m}.",
    "You can reach me after {h} o'clock.", "My mother is {m} years old and cannot get past it.",
    "Thank you very much in advance.",
    "The people from number {m} complain as well, and nobody feels responsible for it.",
)  # fmt: skip


def call(chance: random.Random, label: str) -> str:
    """One call about `label`; now and then another class is mentioned too, as callers do."""
    pick = chance.choice
    place = f"{pick(NAMES)} {pick(KINDS)} {chance.randint(1, 240)}"
    parts = [f"{pick(OPENINGS)} {pick(TROUBLES[label])} {place}{' ' if (side := pick(SIDES)) else ''}{side}."]
    if chance.random() < 0.15:
        parts.append(f"And by the way, {pick(TROUBLES[pick(LABELS)])} number {chance.randint(1, 240)}.")
    numbers = {"n": chance.randint(2, 60), "m": chance.randint(61, 99), "h": chance.randint(13, 20)}
    parts += [ending.format(**numbers) for ending in chance.sample(ENDINGS, chance.randint(1, 3)) if ending]
    return " ".join(parts)[:300]
