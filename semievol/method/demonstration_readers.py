"""Who reads demonstrations before answering, in a sentence. Knows nothing of what the demonstrations are."""

from __future__ import annotations

from semievol import wording
from semievol.config import VOTERS, Propagation


def anybody(settings: Propagation) -> bool:
    """Whether a collaborator that is a language model, or the judge, reads demonstrations."""
    return bool(_reading(settings))


def sentence(settings: Propagation) -> str:
    """Which collaborators read the demonstrations, and what else is done with similar records."""
    models = [one for one in settings.collaborators if one.model not in VOTERS]
    reading = _reading(settings)
    if not reading:
        voting = any(one.model == "neighbours" for one in settings.collaborators)
        votes = "; the neighbours' vote takes the answers of similar labeled records" if voting else ""
        votes += ", and those of unlabeled ones that were answered before" if voting and settings.second_pass else ""
        return f"In this project no model reads demonstrations before it answers{votes}."
    count = "the most similar labeled record" if settings.k == 1 else f"the {settings.k} most similar labeled records"
    read = f"{wording.series(reading)} {'reads' if len(reading) == 1 else 'read'} {count} before the question"
    others = "; the others answer without them" if len(models) > sum(one.demonstrations for one in models) else ""
    return f"{read[0].upper()}{read[1:]}{others}."


def _reading(settings: Propagation) -> list[str]:
    if not settings.k:
        return []
    reading = [f"“{one.name}”" for one in settings.collaborators if one.model not in VOTERS and one.demonstrations]
    return [*reading, "the judge of disputes"] if settings.justify and settings.judge.demonstrations else reading
