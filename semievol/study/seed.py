"""One seed of a study: carries out arms on the same splits. Every arm begins with what earlier ones have computed.

An arm is a run of the method's own stages with changed settings, so that it gives what a run with these settings would
give. All arms share the warm-up, the demonstrations, and the answers of the collaborators that they have in common.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from semievol.config import VOTERS, Config, Voter
from semievol.errors import UserError
from semievol.method import comparison, earned_weights, ensemble, label_errors, metrics, voters
from semievol.method.evolve import evolve
from semievol.method.local_models import warm_up_is_used
from semievol.method.protocols import Engine, Plan
from semievol.method.suited import suited
from semievol.method.voters import TUNED_REGRESSION
from semievol.records import Response
from semievol.selection.policy import Cut
from semievol.selection.summary import Selection
from semievol.study.arms import IN_ENSEMBLE, LEFT_OUT, SHARES
from semievol.study.journal import MemoryJournal, Watcher
from semievol.study.redraw import Material
from semievol.study.variants import VARIANTS, Unavailable, with_propagation, without_collaborator
from semievol.task.answers import same

_NOT_EVOLVED = ("base", "base_demonstrations", *comparison.SIMPLER)
"""Rows of an evaluation that are the same whichever model stands as evolved."""


@dataclass(frozen=True)
class Result:
    """What an arm found: which test records it has right, and figures of its pseudo-labels, where it made some.

    skipped: why the settings or the records do not have this arm, a sentence; all else is then empty.
    """

    right: Mapping[str, bool]
    pseudo: Mapping[str, float] | None = None
    seconds: float = 0.0
    skipped: str = ""


class Seed:
    """The splits of one seed, and what its arms have computed so far.

    folder: for adapters and checkpoints; a seed that is begun again with the same folder finds its finished trainings.
    """

    def __init__(
        self,
        material: Material,
        config: Config,
        number: int,
        engine: Engine,
        folder: Path,
        watcher: Watcher | None = None,
    ) -> None:
        plain = config.model_copy(update={"evaluate_demonstrations": False, "seed": number})
        self.plan = material.plan(plain, number)
        self.truth = material.truth
        self._config, self._labeled = plain, material.sizes["labeled"]
        self.engine = engine
        self._folder, self._watcher = folder, watcher
        self.main = self._journal(self.plan, "semievol")
        self._rounds = [self.main]
        self._found: dict[str, Result] = {}
        self._asked: dict[tuple[str | None, bool], list[Response]] = {}

    def result(self, arm: str) -> Result:
        """Carries the arm out. Raises `Stopped` when the watcher asks for it."""
        began = time.monotonic()
        try:
            found = self._carry_out(arm)
        except Unavailable as reason:
            return Result({}, skipped=str(reason))
        return replace(found, seconds=round(time.monotonic() - began, 3))

    def _carry_out(self, arm: str) -> Result:
        if arm in comparison.SIMPLER:
            return Result(self._right(self._simpler(arm)))
        if arm in ("base", "base_demonstrations"):
            return self._base(arm)
        if arm == "warm_up":
            return Result(self._right(self._answers(self._warm_up())))
        if arm in IN_ENSEMBLE:
            return self._ensemble(arm)
        if arm == "matched_updates":
            return self._matched_updates()
        if arm == "all_gold":
            return self._all_gold()
        if arm.startswith("evolved"):
            return self._of_round(int(arm.removeprefix("evolved").removeprefix("_round_") or 1))
        if arm in SHARES:
            return self._with_unlabeled(int(arm.removeprefix("unlabeled_")))
        if arm in LEFT_OUT:
            number = int(arm.rpartition("_")[2])
            return self._variant(
                arm, replace(self.plan, config=without_collaborator(self.plan.config, number)), "respond"
            )
        if arm == "without_suspects":
            return self._without_suspects()
        if arm == "cleaned_tokens" and self.plan.task.closed:
            raise Unavailable("The task has fixed answers, which are never cleaned.")
        change, first = VARIANTS[arm]
        return self._variant(arm, replace(self.plan, config=change(self.plan.config)), first)

    # --- baselines --------------------------------------------------------------------------------------------------

    def _simpler(self, arm: str) -> list[Response]:
        plan, queries = self.plan, self.plan.test
        if arm == "majority":
            return voters.majority(plan, queries)
        how: Voter = "neighbours" if arm == "neighbours" else "regression"
        reason = voters.obstacle(plan.task, plan.labeled, queries, how)
        if reason and (plan.task.closed or how == "regression"):
            raise Unavailable(reason)
        if arm != TUNED_REGRESSION:
            return voters.poll(plan, self.engine, how, how, queries)
        if not voters.tunes(plan):
            raise Unavailable("The embedder cannot be fine-tuned to tell the labels apart.")
        try:
            return voters.tuned_regression(plan, self.engine, queries, lambda done, total: None, self.main.stopping)
        except UserError as problem:
            raise Unavailable(str(problem)) from None

    def _base(self, arm: str) -> Result:
        shown = arm == "base_demonstrations"
        if shown and not self.plan.config.propagation.k:
            raise Unavailable("The settings show no demonstrations.")
        return Result(self._right(self._answers(None, shown)))

    def _warm_up(self) -> str:
        evolve(self.plan, self.engine, self.main, until="warm_up")
        return self.main.adapters["warm_up"]

    def _matched_updates(self) -> Result:
        """Plain fine-tuning on the labeled records with the settings and the number of updates of SemiEvol."""
        tuning = self.plan.config.tune
        labeled = len(self.plan.labeled) if self.plan.config.tune_on == "gold_and_pseudo" else 0
        updates = tuning.steps(labeled + len(self._selected().answers))
        how = tuning.model_copy(update={"minimum_steps": updates, "epochs": 0.01})
        config = with_propagation(self.plan.config, warm_up=how, warm_up_demonstrations="none")
        own = self._journal(replace(self.plan, config=config), "matched_updates")
        evolve(replace(self.plan, config=config), self.engine, own, until="warm_up")
        return self._judged(own, own.adapters["warm_up"])

    def _all_gold(self) -> Result:
        if any(record.id not in self.truth for record in self.plan.unlabeled):
            raise Unavailable("The true answers of the unlabeled records are not known.")
        own = self._journal(self.plan, "all_gold")
        if self.plan.config.tune_from == "warm_up":
            own.save_adapter("warm_up", self._warm_up())
        own.frozen = Selection(None, {record.id: self.truth[record.id] for record in self.plan.unlabeled})
        evolve(self.plan, self.engine, own, first="tune", until="tune")
        return self._judged(own, own.adapters["tune"])

    # --- the method and its variants --------------------------------------------------------------------------------

    def _propagated(self) -> MemoryJournal:
        if not self.main.merged:
            evolve(self.plan, self.engine, self.main, until="justify")
        return self.main

    def _selected(self) -> Selection:
        main = self._propagated()
        evolve(self.plan, self.engine, main, first="select", until="select")
        assert main.frozen is not None, "it was frozen a moment ago"
        return main.frozen

    def _of_round(self, number: int) -> Result:
        """SemiEvol after this round; each later one starts from the model of the one before."""
        key = f"evolved {number}"
        if key in self._found:
            return self._found[key]
        if number == 1:
            self._propagated()
            evolve(self.plan, self.engine, self.main, first="select", until="tune")
            own = self.main
        else:
            self._of_round(number - 1)
            own = self._journal(self._next_plan(self._rounds[number - 2]), f"round {number}")
            assert own.plan is not None
            evolve(own.plan, self.engine, own, until="tune")
            self._rounds.append(own)
        right = self._right(self._answers(own.adapters["tune"]))
        self._found[key] = Result(right, self._pseudo(own))
        return self._found[key]

    def _next_plan(self, before: MemoryJournal) -> Plan:
        """The plan of the next round: it starts from this round's model, and what this one accepted is no evidence."""
        plan = before.plan
        assert plan is not None
        found = before.considered()
        cut = Cut(plan.config.policy, found.pool, found.calibration)
        spent = {*found.pool["content_hash"][cut.mask], *found.calibration["content_hash"][cut.known]}
        config = self._config.model_copy(update={"cross_fit": 0})  # its model has seen every labeled record
        config = suited(config, plan.task, [*plan.labeled, *plan.calibration], plan.unlabeled, later_round=True)
        later = replace(plan, config=config, parent=before.adapters["tune"], round_number=plan.round_number + 1)
        return replace(later, spent=plan.spent | spent)

    def _without_suspects(self) -> Result:
        """SemiEvol fine-tuned without the labeled records whose label looks wrong; its selection is the same."""
        plan = self.plan
        if not plan.task.closed:
            raise Unavailable("Free answers have no probabilities of other answers.")
        frozen = self._selected()
        found = label_errors.spreads(
            plan.task, plan.labeled, self.main.responses("respond"), earned_weights.stored(self.main)
        )
        if not found:
            raise Unavailable("No labeled record was given probabilities by models that had not seen it: cross-fit.")
        if plan.config.tune_on == "pseudo":
            raise Unavailable("The settings do not fine-tune on labeled records.")
        suspects = {one.record.id for one in label_errors.suspects(plan.task, plan.labeled, found)}
        fewer = replace(plan, labeled=[record for record in plan.labeled if record.id not in suspects])
        own = self._begun(plan, "without_suspects")
        own.frozen = frozen
        evolve(fewer, self.engine, own, first="tune", until="tune")
        return self._judged(own, own.adapters["tune"], pseudo=True)

    def _with_unlabeled(self, share: int) -> Result:
        """SemiEvol with the first unlabeled records only, `share` per 100 labeled ones."""
        count, there = round(share * self._labeled / 100), len(self.plan.unlabeled)
        if count > there:
            raise Unavailable(f"{count:,} unlabeled records are needed, and there are {there:,}.")
        if count == there:
            return self._of_round(1)
        plan = replace(self.plan, unlabeled=self.plan.unlabeled[:count])
        return self._variant(f"unlabeled_{share}", plan, "respond")

    def _variant(self, name: str, plan: Plan, first: str) -> Result:
        """SemiEvol with another plan, run from the first stage that differs. A plan that two arms share is run once."""
        key = f"{len(plan.unlabeled)} {plan.config.model_dump_json()}"
        if key not in self._found:
            if plan == self.plan:
                return self._of_round(1)
            own = self._begun(plan, name, first)
            untrained = "warm_up" not in own.adapters and warm_up_is_used(plan, "warm_up", "tune")
            evolve(plan, self.engine, own, "warm_up" if untrained else first, until="tune")
            self._found[key] = self._judged(own, own.adapters["tune"], pseudo=True)
        return self._found[key]

    def _begun(self, plan: Plan, name: str, first: str = "tune") -> MemoryJournal:
        """A journal that begins with those results of SemiEvol's own journal that `plan` would compute alike."""
        main, own = self._propagated(), self._journal(plan, name)
        mine, theirs = plan.config.propagation, self.plan.config.propagation
        if (mine.warm_up, mine.warm_up_demonstrations) == (theirs.warm_up, theirs.warm_up_demonstrations):
            if "warm_up" in main.adapters:  # it is not trained where nothing needs it
                own.adapters["warm_up"] = main.adapters["warm_up"]
            own.of_folds = dict(main.of_folds)
            own.near, own.compared = main.near, main.compared
            there = {record.id for record in [*plan.unlabeled, *plan.calibration, *plan.labeled]}
            alike = {one.name for one in mine.collaborators if one in theirs.collaborators}
            if len(plan.unlabeled) < len(self.plan.unlabeled):  # voters may have learned from the others
                alike -= {one.name for one in mine.collaborators if one.model in VOTERS}
            own.save_responses(
                "respond", [r for r in main.responses("respond") if r.record_id in there and r.collaborator in alike]
            )
        if first != "respond":
            own.weighed = main.weighed
        if first in ("select", "tune"):
            own.merged = dict(main.merged)
        return own

    def _ensemble(self, arm: str) -> Result:
        """A model of SemiEvol together with the voters, with the weights of its round."""
        self._need_ensemble(None)
        main = self._propagated()
        self._need_ensemble(main.weighed)
        evolved = arm == comparison.ENSEMBLES["evolved"]
        if evolved:
            self._of_round(1)
        said = self._answers(main.adapters["tune"] if evolved else self._warm_up())
        frozen = main.frozen if evolved else None
        found = comparison.in_ensemble(self.plan, self.engine, said, arm, main.weighed, frozen)
        if not found:
            raise Unavailable("The model gives no probabilities, or no simple model fits the test records.")
        return Result(self._right(found))

    def _need_ensemble(self, fitted: Mapping[str, Any] | None) -> None:
        if reason := ensemble.obstacle(self.plan.task, self.plan.config, fitted):
            raise Unavailable(f"There is no ensemble. {reason}")

    # --- what an arm found ------------------------------------------------------------------------------------------

    def _answers(self, adapter: str | None, shown: bool = False) -> list[Response]:
        """The test answers of the model with this adapter, or of the base model; shown: with demonstrations. A model is
        asked once."""
        if (adapter, shown) in self._asked:
            return self._asked[adapter, shown]
        plan = replace(self.plan, config=self.plan.config.model_copy(update={"evaluate_demonstrations": shown}))
        own = self._journal(plan, "evaluate")
        own.adapters = {} if adapter is None else {"tune": adapter}
        shared = self.main.predicted
        own.predicted = {row: dict(shared[row]) for row in _NOT_EVOLVED if row in shared}
        evolve(plan, self.engine, own, first="evaluate")
        shared |= {row: own.predicted[row] for row in _NOT_EVOLVED if row in own.predicted}
        found = own.predictions("evolved" if adapter else "base_demonstrations" if shown else "base")
        self._asked[adapter, shown] = found
        return found

    def _right(self, responses: Iterable[Response]) -> dict[str, bool]:
        said = {response.record_id: response.answer for response in responses}
        return {record.id: same(self.plan.task, said.get(record.id), record.answer) for record in self.plan.test}

    def _judged(self, own: MemoryJournal, adapter: str, pseudo: bool = False) -> Result:
        """The result of an arm that nothing else builds on; its adapters are deleted."""
        found = Result(self._right(self._answers(adapter)), self._pseudo(own) if pseudo else None)
        shutil.rmtree(own.place, ignore_errors=True)
        return found

    def _pseudo(self, journal: MemoryJournal) -> dict[str, float]:
        """Shares of the candidates: accepted, agreed, and right if all of their true answers are known."""
        pool = journal.considered().pool
        if journal.frozen is None or pool.empty:
            return {}
        accepted = pool.index.isin(list(journal.frozen.answers))
        found = {"accepted": float(accepted.mean()), "agreed": float(pool["agreed"].mean())}
        if all(i in self.truth for i in pool.index):
            task = self.plan.task
            answers = zip(pool.index, pool["answer"], strict=True)
            right = np.array([same(task, answer, self.truth[i]) for i, answer in answers])
            found["right"] = float(right.mean())
            if accepted.any():
                found["right_accepted"] = float(right[accepted].mean())
            measure = self.plan.config.policy.measure
            area = metrics.risk_coverage(pool[measure], right).area
            found |= {} if np.isnan(area) else {"risk_coverage_area": area}
        return found

    def _journal(self, plan: Plan, name: str) -> MemoryJournal:
        return MemoryJournal(plan, self._folder / name, self._watcher)
