"""How fast a stage advances, and how long it and its whole run will still take."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from semievol.store.runs.progress import StageProgress
from semievol.ui.shell import session

LEAST_SECONDS = 1.0
"""A pace that was seen for less than this is not told."""
EARLY = 0.1
"""Below this share of a stage, its elapsed time says little about its pace."""


def share(progress: StageProgress) -> float:
    """Done share of a stage, 0 to 1."""
    if progress.status == "done":
        return 1.0
    return min(1.0, progress.done / progress.total) if progress.total else 0.0


def pace(progress: StageProgress) -> float | None:
    """Items per second of a running stage in the present attempt, counted since this session first saw progress; None
    until that is known.

    This leaves out the time before the first item (loading a model) and what the attempt found done.
    A session that opens the page late uses the attempt's whole time until it has seen the stage advance.
    """
    if progress.status != "running" or progress.done <= progress.found or not progress.started:
        return None
    now = time.time()
    since, before = session.shell().first_seen.setdefault((progress.stage, progress.started), (now, progress.done))
    if progress.done > before and now - since >= LEAST_SECONDS:
        return float((progress.done - before) / (now - since))
    done, began = progress.done - progress.found, progress.started + progress.worked
    late = done > EARLY * (progress.total - progress.found)
    return done / (now - began) if late and now > began else None


def seconds_left(progress: StageProgress) -> float | None:
    """Time left at the present pace; None while the pace is unknown."""
    each_second = pace(progress)
    return (progress.total - progress.done) / each_second if each_second and progress.total else None


def seconds_until(working: Sequence[StageProgress], expected: Mapping[str, float]) -> float:
    """Time left until all of these stages of a run are done: at the present pace for the one that runs, as estimated
    before the start for those that wait. expected: stage -> estimated seconds."""
    left = 0.0
    for one in working:
        if one.status in ("running", "waiting"):
            known = seconds_left(one)
            left += expected.get(one.stage, 0.0) * (1 - share(one)) if known is None else known
    return left
