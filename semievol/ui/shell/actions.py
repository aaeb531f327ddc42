"""What buttons do: each passes one request to the store or the launcher, then confirms it. Nothing is computed here."""

from __future__ import annotations

from semievol.config import Config, Policy
from semievol.errors import UserError
from semievol.jobs import intake, launch, planning
from semievol.jobs.launch import Span
from semievol.selection.summary import Selection
from semievol.store.data.projects import Project, find_project
from semievol.store.database import Store, open_store
from semievol.store.decisions import selections
from semievol.store.results import results
from semievol.store.runs import rounds, runs
from semievol.store.runs.rounds import Round
from semievol.store.runs.runs import Run
from semievol.ui.shell import formats, notices, policies, router, state


def open_sample() -> None:
    """Creates the bundled sample project, or finds it, and opens it."""
    project = intake.open_sample(open_store(), notices.say)
    router.go("overview", project=project.id, round=None)


def from_the_start(store: Store, project: Project, config: Config, span: Span, parent_id: int | None = None) -> Run:
    """Runs a span that begins with `warm_up`, in the round that belongs to these settings. Of a span that includes
    `select`, the selection is frozen by the policy that the visitor sees."""
    config = _to_start(store, project, config, span, parent_id)
    return _started(launch.start(store, project, config, span.first, span.until, parent_id=parent_id))


def fine_tune(store: Store, project: Project, config: Config, round_: Round | None) -> Run:
    """Runs `tune` and `evaluate` on the newest frozen selection. Without one, the current policy is frozen first.

    An empty selection counts as none.
    """
    round_, config, number = _to_tune(store, project, config, round_)
    if number is None:
        number = _frozen(store, project, round_, config.policy).number
    first, until = launch.FINE_TUNE
    return _started(launch.start(store, project, config, first, until, selection=number, round_id=round_.id))


def obstacle(
    store: Store, project: Project, config: Config, span: Span, round_: Round | None, parent_id: int | None = None
) -> str:
    """Why a run of this span would be refused or do nothing, in a sentence; empty where there is something to do.

    round_: the one that fine-tuning works in.
    """
    try:
        if span == launch.FINE_TUNE:
            _to_tune(store, project, config, round_)
        else:
            _to_start(store, project, config, span, parent_id)
    except UserError as error:
        return f"{error.what} {error.remedy}".strip()
    return ""


def repeated(
    store: Store, project: Project, config: Config, span: Span, round_: Round | None, parent_id: int | None = None
) -> str:
    """That a finished run did just what a run of this span would do, in a sentence; empty where none did, and for runs
    that would be refused."""
    number: int | None = None
    try:
        if span == launch.FINE_TUNE:
            round_, config, number = _to_tune(store, project, config, round_)
        else:
            config = _to_start(store, project, config, span, parent_id)
            round_ = planning.propagated(store, project, config, parent_id)
    except UserError:
        return ""
    if round_ is None or (span == launch.FINE_TUNE) != (number is not None):
        return ""
    config = rounds.with_settings_of(round_, config)
    for run in runs.list_runs(store, project.id):
        same = (run.round_id, run.status, run.first, run.until) == (round_.id, "done", *span)
        same = same and rounds.with_settings_of(round_, run.config) == config
        if same and (number is None or run.selection_used == number):
            unless = "" if number else ", unless decisions were made since"
            return (
                f"Run {run.id} did this with the same seed ({config.seed}), so the numbers will be the same{unless}. "
                "Another seed gives others."
            )
    return ""


def freeze(store: Store, project: Project, round_: Round, policy: Policy) -> None:
    """Freezes what the policy and the experts' decisions keep, as a numbered selection. Saves the policy, too."""
    made = _frozen(store, project, round_, policy)
    notices.say(f"Selection {made.number} is frozen with {formats.plural(len(made.answers), 'record')}.")


def _frozen(store: Store, project: Project, round_: Round, policy: Policy) -> Selection:
    made = selections.freeze(store, round_.id, policy)
    if policy != policies.saved(project, round_):
        policies.save(store, project, policy)
    return made


def evaluate_demonstrations(store: Store, project: Project, run: Run) -> Run:
    """Asks the models of an evaluated run once more, now with demonstrations. Earlier answers stay."""
    config = run.config.model_copy(update={"evaluate_demonstrations": True})
    return _started(launch.start(store, project, config, "evaluate", "evaluate", round_id=run.round_id))


@notices.errors_kept()
def cross_fit(project: Project, round_: Round, folds: int) -> None:
    """Cross-fits the round: models that never saw a labeled record answer it. Existing results of the round stay."""
    store = open_store()
    config = rounds.with_settings_of(round_, state.config_of(project, cross_fit=folds))
    _started(launch.start(store, project, config, until=launch.PROPAGATE.until, round_id=round_.id))


@notices.errors_kept()
def stop(run: Run) -> None:
    launch.stop(open_store(), run.id)


@notices.errors_kept()
def resume(run: Run) -> None:
    """Resumes a run. If its budget stopped it, it goes on with the budget that the project's settings have now."""
    store, budget = open_store(), None
    if run.error and run.error.get("where") == "budget":
        budget = state.config_of(find_project(store, run.project_id)).budget
    launch.resume(store, run.id, budget)


@notices.errors_kept()
def put_first(run: Run) -> None:
    """Moves a queued run to the front of the queue."""
    runs.reorder(open_store(), run.id, 0)


def _to_start(store: Store, project: Project, config: Config, span: Span, parent_id: int | None) -> Config:
    """The settings of a run from the start. Raises UserError if it would be refused or do nothing."""
    missing = [split for split in ("labeled", "unlabeled") if not project.counts.get(split)]
    if missing:
        raise UserError(
            f"The project has no {' and no '.join(missing)} records.", "data", "Import them on the Data page."
        )
    if span == launch.EVERYTHING:
        config = config.model_copy(update={"policy": policies.on_trial(project) or config.policy})
    config = planning.config_to_run(store, project, config, parent_id)
    for run in _ahead(store, project, config, span):
        round_ = rounds.get_round(store, run.round_id)
        if (round_.version_id, round_.parent_id) == (project.version_id, parent_id):
            raise _twin(store, run)
    if span == launch.PROPAGATE and (made := planning.propagated(store, project, config, parent_id)):
        raise UserError(
            f"{made.title} has the answers of these settings already.",
            "Training",
            "Choose what to keep, or change a setting first.",
        )
    return config


def _to_tune(store: Store, project: Project, config: Config, round_: Round | None) -> tuple[Round, Config, int | None]:
    """Round, settings and selection of a fine-tuning; None where a selection must be frozen first. Raises UserError if
    it would be refused or do nothing."""
    if round_ is None or not results.has_candidates(store, round_.id):
        raise UserError("There are no candidates to select from yet.", "round", 'Press "Propagate" first.')
    policy = policies.shown(project, round_)
    newest = max(selections.selections(store, round_.id), key=lambda one: one["number"], default=None)
    number = newest["number"] if newest and newest["size"] else None
    config = rounds.with_settings_of(round_, config.model_copy(update={"policy": policy}))
    for run in _ahead(store, project, config, launch.FINE_TUNE):
        if number is not None and (run.round_id, run.selection) == (round_.id, number):
            raise _twin(store, run)
    return round_, config, number


def _ahead(store: Store, project: Project, config: Config, span: Span) -> list[Run]:
    """The project's queued and running runs with this span and these settings."""
    return [
        run
        for run in runs.list_runs(store, project.id)
        if run.status in ("queued", "running") and ((run.first, run.until), run.config) == (span, config)
    ]


def _twin(store: Store, run: Run) -> UserError:
    what = f"Run {run.id} {state.doing(store, run)} and does the same."
    return UserError(what, "Training", "To start another run, change a setting.")


def _started(run: Run) -> Run:
    notices.say(f"Run {run.id} {state.doing(open_store(), run)}.")
    state.visit(run.project_id, run.round_id)
    return run
