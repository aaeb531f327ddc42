"""Whether the answers of a file are numbers, or labels and texts that hold digits (P1, Tier 2, cat_17, 007, (2.5)).

A number may have a unit, if it is one, and all answers have the same. A column writes all its numbers with a decimal
point or all with a decimal comma. Knows nothing of files and tasks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from semievol.task.answers import parse_number

_DIGITS = r"[-+\u2212]?(?:\d|\.\d)(?:[\d.,\s'’\u00a0\u202f\u2009]*\d)?(?:[eE][-+]?\d+)?"
_NUMBER = re.compile(rf"(?P<before>[^\d+\-\u2212.]*?)\s*(?P<number>{_DIGITS})\s*(?P<after>.*)", re.DOTALL)
_LONGEST = 60
"""Characters of a number with its unit; a longer text is none, and is not searched."""
_MEASURES = """
kg g mg lb lbs oz km m cm mm mi ft in yd ha s sec secs min mins h hr hrs day days week weeks month months year
years ml kwh kw kj cal kcal hz khz mhz ghz °c °f ° pa kpa bar mol km/h m/s mph m² m³ m^2 m^3 cm² cm³ km² percent
pp px pt ct cent cents euro euros dollar dollars pound pounds
"""
_MONEY = "usd eur gbp chf jpy inr us$ $ € £ ¥ ₹ rs rs."
_CURRENCIES = frozenset(_MONEY.split())
_UNITS = frozenset(_MEASURES.split()) | _CURRENCIES
_COMMA = re.compile(r"[^\d,.]*?[-+\u2212]?(?P<whole>[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,(?P<part>\d+))?[^\d,.]*\.?")
_NO_THOUSANDS = re.compile(r"\d,(?:\d{1,2}|\d{4,})(?![\d,])")
_PARENTHESES = re.compile(r"\(\s*[$€£¥₹]?\s*\d[\d.,\s]*%?\s*\)")


def in_parentheses(answer: str) -> bool:
    """Whether the answer is a number in parentheses, which bookkeeping writes for a negative one."""
    text = answer.strip()
    return len(text) <= _LONGEST and _PARENTHESES.fullmatch(text) is not None


def decimal_comma(answers: Iterable[str]) -> bool:
    """Whether all of these are numbers that can have a decimal comma (1.234,50), and one of them surely has."""
    sure = False
    for answer in answers:
        match = _COMMA.fullmatch(answer.strip()) if len(answer) <= _LONGEST else None
        if match is None:
            return False
        part, whole = match["part"], match["whole"]
        sure = sure or (part is not None and ("." in whole or len(part) != 3 or whole == "0"))
    return sure


def has_decimal_comma(answer: str) -> bool:
    """Whether a comma in the answer cannot stand between thousands: 12,5."""
    return _NO_THOUSANDS.search(answer) is not None


def unclear_points(answers: Iterable[str]) -> list[str]:
    """The answers with points that may stand between thousands (2.500), if no answer has a point that stands elsewhere;
    two and a half or two thousand five hundred is then anybody's guess."""
    found = []
    for answer in answers:
        for number in re.findall(r"\d[\d.]*", answer.strip().rstrip(".")):
            if "." in number:
                if not re.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3})+", number):
                    return []
                found.append(answer)
    return found


def with_point(answer: str) -> str:
    """The same number with a decimal point, without dots between thousands."""
    return re.sub(r"\d[\d.]*(?:,\d+)?", lambda match: match[0].replace(".", "").replace(",", "."), answer, count=1)


def unit_of(answer: str) -> str | None:
    """The unit of a number, "" for none; None where the answer is no number."""
    text = answer.strip()
    for sign in ("####", "="):
        text = text.rpartition(sign)[2].strip()
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or re.match(r"[-+\u2212]?0\d", match["number"]) or parse_number(text) is None:
        return None
    if match["after"].strip(" .") in ("M", "K"):
        return None  # five million, not five metres
    before, after = match["before"].strip().casefold(), match["after"].strip().casefold().removesuffix(".")
    if before and before not in _CURRENCIES and before not in ("~", "≈"):
        return None
    if before and after and after != "%":
        return None
    unit = after if after else before.strip("~≈")
    return "" if unit in ("", "%") else unit if unit in _UNITS else None


def numbers(answers: Iterable[str]) -> tuple[bool, str]:
    """Whether all answers are numbers that can be compared, and the unit that they have; "" for none."""
    units: Counter[str] = Counter()
    answers = list(answers)
    for answer in map(with_point, answers) if decimal_comma(answers) else answers:
        unit = unit_of(answer)
        if unit is None:
            return False, ""
        units[unit] += 1
    del units[""]
    return len(units) <= 1, next(iter(units), "")
