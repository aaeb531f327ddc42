"""Times and names as the screen writes them: 1 min 20 s, 20 Nov, 18:43. Those of `semievol.wording` are here, too.

Knows nothing of Streamlit.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from semievol.wording import DASH as DASH
from semievol.wording import DECISION_WORDS as DECISION_WORDS
from semievol.wording import SIMPLER_WORDS as SIMPLER_WORDS
from semievol.wording import WAY_WORDS as WAY_WORDS
from semievol.wording import about as about
from semievol.wording import count as count
from semievol.wording import model_words as model_words
from semievol.wording import percent as percent
from semievol.wording import plural as plural
from semievol.wording import row_words as row_words
from semievol.wording import score as score
from semievol.wording import series as series
from semievol.wording import shorten as shorten


def duration(seconds: float | None) -> str:
    """80 -> "1 min 20 s", 3700 -> "1 h 1 min", 0.4 -> "0.4 s"."""
    if seconds is None or math.isnan(seconds):
        return DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def progress(done: int, total: int, what: str, seconds: float) -> str:
    """(320, 700, "records", 27) -> "320 of 700 records · 12 per second · 32 s left".

    Without the pace at the beginning, when it is too uncertain, and at the end.
    """
    words = f"{done:,} of {total:,} {what}"
    if not 0 < done < total or seconds < 0.2:
        return words
    return f"{words} · {pace(done / seconds)} · {duration((total - done) * seconds / done)} left"


def pace(each_second: float) -> str:
    """12.3 -> "12 per second", 0.05 -> "3 per minute", 0.005 -> "18 per hour"."""
    units = {"second": each_second, "minute": 60 * each_second, "hour": 3600 * each_second}
    unit = next((unit for unit, number in units.items() if number >= 1), "hour")
    number = units[unit]
    return f"{number:,.0f} per {unit}" if number >= 10 else f"{number:.2g} per {unit}"


def gigabytes(size: float) -> str:
    """1.04e9 -> "1.0 GB", 23.4e9 -> "23 GB"."""
    return f"{size / 1e9:.1f} GB" if size < 9.95e9 else f"{size / 1e9:,.0f} GB"


def moment(value: float | str | None) -> str:
    """A stored time (unix seconds or ISO text) as local "20 Nov, 18:43"."""
    if value is None or value == "":
        return DASH
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            return value
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
    else:
        when = datetime.fromtimestamp(value, tz=UTC)
    local = when.astimezone()
    return f"{local.day} {local:%b}, {local:%H:%M}"


def day(value: float | str | None) -> str:
    """A stored time as local "20 Nov"."""
    return moment(value).partition(",")[0]


STAGE_WORDS = {
    "warm_up": "Warm-up",
    "retrieve": "Retrieve",
    "respond": "Respond",
    "cross_fit": "Checking on labeled records",
    "justify": "Justify",
    "select": "Select",
    "tune": "Tune",
    "evaluate": "Evaluate",
}
STAGE_SENTENCES = {
    "warm_up": "The model is fine-tuned on the labeled records.",
    "retrieve": "For every record, the most similar labeled records are found.",
    "respond": "Several collaborators (ways of answering) answer every unlabeled record.",
    "justify": "Where their answers differ, the model weighs them.",
    "select": "You keep the reliable answers and correct the others.",
    "tune": "The model is fine-tuned on labeled records and kept answers.",
    "evaluate": "The base, warm-up and evolved models answer the test set.",
}
KIND_WORDS = {
    "multiple_choice": "Multiple choice",
    "classification": "Classification",
    "numeric": "Numeric",
    "text": "Free text",
}
MEASURE_WORDS = {
    "answer_nll": "Confidence in the answer",
    "verifier_nll": "Learned confidence",
    "answer_entropy": "Doubt between the answers",
    "mean_nll": "Confidence per token",
    "token_entropy": "Doubt while writing",
    "vote_entropy": "Disagreement of the collaborators",
}
"""The measures in plain words. What is called confidence is shown as a probability, what is called doubt as it is."""
MEASURE_TERMS = {
    "answer_nll": "answer NLL",
    "verifier_nll": "verifier NLL",
    "answer_entropy": "answer entropy",
    "mean_nll": "mean NLL",
    "token_entropy": "token entropy",
    "vote_entropy": "vote entropy",
}
MEASURE_FORMULAS = {
    "answer_nll": "Answer NLL, the negative log-likelihood of the final answer: −log of the probability that the "
    "collaborators give to it on average. 0 is certain, 0.69 is a probability of 50 %.",
    "verifier_nll": "Verifier NLL: −log of the probability that the answer is right, as a logistic regression on "
    "everything known of a candidate puts it. It is fitted on labeled records that no model had seen, never on the "
    "record that it judges.",
    "answer_entropy": "Answer entropy: Shannon entropy of the collaborators' averaged distribution over all allowed "
    "answers, divided by the log of the number of answers. 0 is certain, 1 is a guess.",
    "mean_nll": "Mean NLL, the mean negative log-likelihood of the final answer's tokens: −(1/T) Σ log p(y_t). The "
    "authors' code calls it entropy. 0 is certain, 0.69 is a probability of 50 % per token.",
    "token_entropy": "Token entropy: mean Shannon entropy of the next-token distributions while the answer was "
    "written. 0 is certain.",
    "vote_entropy": "Vote entropy: Shannon entropy of the collaborators' answers, counted as votes. 0 means that all "
    "agree.",
}

PROBABILITIES = ("answer_nll", "verifier_nll", "mean_nll")
"""The measures that are negative log-likelihoods, shown as probabilities."""


MEASURE_SCALES = {
    "answer_entropy": "0 is none, 1 is a guess",
    "token_entropy": "0 is none",
    "vote_entropy": "0: all agree",
}
"""What the values of the measures mean that are not shown as a probability."""


def measure(name: str) -> str:
    """ "answer_nll" -> "Confidence in the answer (answer NLL)"."""
    return f"{MEASURE_WORDS[name]} ({MEASURE_TERMS[name]})"


def confidence(name: str, value: float | None) -> str:
    """A measure's value as people read it: a negative log-likelihood as its probability, "88.4 %"; else "0.123"."""
    if value is None or math.isnan(value):
        return DASH
    return percent(math.exp(-value)) if name in PROBABILITIES else score(value)
