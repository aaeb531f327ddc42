"""Settings of a round and a run: what can be set, and the default of each.

Settings are validated once, when they are read, and do not change afterwards; unknown keys are refused; every run
stores all of its settings. Knows nothing of what the settings do.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from semievol.endpoints import PREFIX, is_endpoint, name_of, tuned_of
from semievol.installed import MODEL_STATES, STARTER, default_embedder, default_model
from semievol.tuning import Settings, Tuning

Measure = Literal["mean_nll", "token_entropy", "answer_entropy", "vote_entropy", "answer_nll", "verifier_nll"]
MEASURES: tuple[Measure, ...] = (
    "answer_nll",
    "verifier_nll",
    "answer_entropy",
    "mean_nll",
    "token_entropy",
    "vote_entropy",
)
Voter = Literal["neighbours", "regression"]
VOTERS: tuple[Voter, ...] = ("neighbours", "regression")
"""Values of a collaborator's `model` that are no language model: these answer from the embedder's vectors alone."""
LONGEST_NAME, MOST_COLLABORATORS = 60, 16


class Collaborator(Settings):
    """One way of answering: which model, with or without demonstrations, at which temperature."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME, description="Name of the collaborator on the screen.")
    model: str = Field(
        "warm_up",
        description="`base`, `warm_up`, another model (a folder or hub id), or `endpoint:NAME` (a server of the "
        "Settings page). Two choices use no language model: `neighbours` (the vote of the nearest labeled records) "
        "and `regression` (on the embedder's vectors).",
    )
    demonstrations: bool = Field(True, description="Show the most similar labeled records before the question.")
    order: Literal["similar_last", "shuffled"] = Field("similar_last", description="Order of the demonstrations.")
    variant: Literal["standard", "bare"] = Field("standard", description="`bare` leaves out the system message.")
    temperature: float = Field(0.0, ge=0, le=2, description="0 takes the most probable answer, above 0 it is sampled.")
    seed: int = Field(0, ge=0, description="Random seed. Give equal collaborators different seeds.")

    @model_validator(mode="after")
    def _voters_have_no_temperature(self) -> Collaborator:
        if self.model in VOTERS and self.temperature:
            raise ValueError(f"{self.model} has no language model, so its temperature is 0")
        if self.model == PREFIX or tuned_of(self.model if is_endpoint(self.model) else ""):
            raise ValueError(f"no endpoint is named; write {PREFIX}NAME")
        return self


class Propagation(Settings):
    """How the unlabeled records get their answers; a change of these settings opens a sibling round."""

    warm_up: Tuning = Tuning()
    warm_up_demonstrations: Literal["none", "some"] = Field(
        "none",
        description="`some`: half of the warm-up examples come with their nearest demonstrations (never themselves).",
    )
    k: int = Field(
        3, ge=0, le=32, description="Number of similar labeled records that the model reads before each question."
    )
    embedder: str = Field(
        default_factory=default_embedder,
        description="Turns texts into vectors, to find similar records: `minilm` (an installed package), `char-tfidf`, "
        "or a sentence-transformers folder or hub id.",
    )
    collaborators: tuple[Collaborator, ...] = Field(
        min_length=1, max_length=MOST_COLLABORATORS, description="The ways in which every record is answered."
    )
    weighting: Literal["equal", "earned", "auto"] = Field(
        "equal",
        description="`equal`: every collaborator has the same weight. `earned`: the weight follows the probability "
        "that a collaborator gives to the known answers of calibration (or cross-fitted) records; one with too little "
        "weight is left out. `auto`: `earned` if records are held out for calibration, or if there are at least 100 "
        "labeled records, which are then cross-fitted in two folds; else `equal`.",
    )
    justify: bool = Field(
        True, description="Where collaborators disagree, a judge (a model) reads all their answers and gives its own."
    )
    second_pass: bool = Field(
        False,
        description="`neighbours` and `regression` also learn from the unlabeled records: from the answers that all "
        "collaborators together give to the other records, never to the record itself.",
    )
    tune_embedder: bool = Field(
        False,
        description="`neighbours` and `regression` average over two embedders: as it is, and fine-tuned on the labeled "
        "records, so that texts with equal labels lie together (classification only).",
    )
    judge: Collaborator = Field(
        Collaborator(name="judge", demonstrations=False), description="The model that judges, at its own temperature."
    )
    verdict_confidence: Literal["judge", "everyone", "pooled"] = Field(
        "judge",
        description="How a disputed record is decided. `judge`: the judge's answer with the judge's confidence (as in "
        "the paper). `everyone`: the judge's answer with the confidence averaged over collaborators and judge. "
        "`pooled`: the answer with the highest probability on average over the collaborators and, if there is one, the "
        "judge.",
    )
    answer_rule: Literal["last", "first", "auto"] = Field(
        "last",
        description="Where the prompt says in which form to answer. `last`: after every question. `first`: once before "
        "all questions, which makes prompts shorter and their common beginning longer. `auto`: `first`, but `last` for "
        "the starter, which was trained on such prompts.",
    )
    max_answer_tokens: int = Field(64, ge=1, le=4096, description="Maximum length of a free answer, in tokens.")

    @model_validator(mode="after")
    def _names_differ(self) -> Propagation:
        names = [collaborator.name for collaborator in self.collaborators]
        if len(set(names)) < len(names):
            raise ValueError("two collaborators have the same name")
        if self.judge.model in VOTERS:
            raise ValueError(f"the judge reads candidate answers, which {self.judge.model} cannot")
        return self

    @property
    def answering(self) -> tuple[Collaborator, ...]:
        """The collaborators, and the judge if there is one."""
        return (*self.collaborators, self.judge) if self.justify else self.collaborators

    @property
    def uses_warm_up(self) -> bool:
        """Whether the warm-up model answers or judges."""
        return any(one.model == "warm_up" for one in self.answering)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Names of the endpoints that answer or judge, each one once."""
        return tuple(dict.fromkeys(name_of(one.model) for one in self.answering if is_endpoint(one.model)))


class Rule(Settings):
    """Which candidates are confident enough."""

    kind: Literal["fraction", "threshold", "target_precision"] = Field("fraction", description="What `value` is.")
    value: float = Field(
        0.5, ge=0, description="Share kept (0 to 1), largest confidence value kept, or precision (0 to 1)."
    )

    @model_validator(mode="after")
    def _share_up_to_one(self) -> Rule:
        if self.kind != "threshold" and self.value > 1:
            raise ValueError(f"value must lie between 0 and 1 for {self.kind}")
        return self


class Policy(Settings):
    """Which candidates become pseudo-labels."""

    measure: Measure = Field("answer_nll", description="The confidence measure of the rule; lower is more confident.")
    rule: Rule = Rule()
    disputed: Literal["together", "apart", "drop"] = Field(
        "together",
        description="Disputed candidates follow the same rule (`together`), follow their own rule (`apart`), or are "
        "left out (`drop`).",
    )
    disputed_rule: Rule = Field(
        Rule(value=0.3), description="The rule for disputed candidates if `disputed` is `apart`."
    )
    ungiven: bool = Field(
        True,
        description="Accept also candidates whose answer no collaborator gave: the judge's own, or one that is "
        "likeliest on average only.",
    )
    per_class: bool = Field(False, description="Apply the rule within each predicted class instead of over all.")
    quota: int | None = Field(
        None, ge=1, description="Keep at most this many of each predicted class, the most confident. None: no limit."
    )


class Config(Settings):
    """All settings that a run's numbers depend on."""

    preset: Literal["studio", "paper", "authors_code"] = "studio"
    model: str = Field(
        default_factory=default_model,
        min_length=1,
        description="`smollm2` (an installed package), `starter` (tiny), a local folder, a GGUF file, or a hub id. "
        "`endpoint:NAME`: the model of a server, which also fine-tunes it.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Random seed; the same seed gives the same random draws.")
    calibration: float = Field(
        0.2, ge=0, lt=1, description="Share of the labeled records held out to estimate how many answers are right."
    )
    calibration_minimum: int = Field(
        100, ge=1, description="No records are held out if there would be fewer than this."
    )
    cross_fit: int = Field(
        0,
        ge=0,
        le=20,
        description="Number of folds in which models answer labeled records that they never saw, to estimate the "
        "precision if no calibration split is held out. 0: none. Costs this many warm-ups, and one response of every "
        "collaborator per labeled record.",
    )
    propagation: Propagation
    policy: Policy = Policy()
    tune: Tuning = Tuning()
    tune_from: Literal["base", "warm_up"] = Field("base", description="The weights that fine-tuning starts from.")
    tune_on: Literal["gold_and_pseudo", "pseudo"] = Field(
        "gold_and_pseudo", description="Labeled records and kept answers, or kept answers (pseudo-labels) only."
    )
    token_cleaning: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the tokens of accepted free answers that fine-tuning leaves out of the loss: those whose "
        "probability the warm-up raised least over the base (token cleaning, Pang et al. 2025). 0: none. Fixed answers "
        "are never cleaned.",
    )
    evaluate_demonstrations: bool = Field(
        True,
        description="Every model also answers the test set with demonstrations. This takes longer than the evaluation "
        "without them. It can be done later on the Evaluation page.",
    )
    precision: Literal["auto", "fp32", "4bit"] = Field(
        "auto",
        description="Number format of the computation. `auto`: bf16 where that is faster. `fp32`: never bf16. `4bit`: "
        "as `auto`, but the linear layers of the model are held in 4 bits (NF4; QLoRA, Dettmers et al. 2023). The "
        "model then takes a quarter of the memory or little more, answers slightly otherwise, trains LoRA only, and "
        "needs the package bitsandbytes.",
    )
    threads: int = Field(
        0, ge=0, le=1024, description="Processor threads. 0: all cores; one is left free if there are many."
    )
    devices: int = Field(
        1,
        ge=0,
        le=64,
        description="GPUs of this machine that work together: each answers its part of the questions and trains on its "
        "part of every update. 0: all of them. Without a GPU: so many processes.",
    )
    cluster: str = Field(
        "",
        max_length=300,
        description="Address of a Ray cluster that answers and fine-tunes instead of this machine: HOST:PORT, "
        "ray://HOST:PORT, auto, or local to try it here. Devices is then the number of its workers, 0 all of them. Its "
        "nodes have to see the workspace. Empty: none.",
    )
    budget: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="The most that a run may spend on endpoints, in the unit of their prices. Before it would spend "
        "more, it stops, and can be resumed with a larger budget. 0: no limit.",
    )

    @model_validator(mode="after")
    def _a_server_can_do_it(self) -> Config:
        if not self.is_far:
            return self
        if self.model == PREFIX or tuned_of(self.model):
            raise ValueError(f"a model at a server is called {PREFIX}NAME, as on the Settings page")
        here = {
            "set cross_fit to 0, since every fold would begin a fine-tuning there": self.cross_fit,
            "set token_cleaning to 0": self.token_cleaning,
            "set tune.kl to 0": self.tune.kl,
            "set propagation.warm_up.kl to 0": self.propagation.warm_up.kl,
            f"choose another embedder than `{MODEL_STATES}`": self.propagation.embedder == MODEL_STATES,
        }
        for remedy, asked in here.items():
            if asked:
                raise ValueError(f"a server fine-tunes {self.model}, so {remedy}")
        return self

    @model_validator(mode="after")
    def _four_bits_are_not_trained(self) -> Config:
        if self.four_bits and "full" in (self.tune.method, self.propagation.warm_up.method):
            raise ValueError("weights in 4 bits are never trained, so with `4bit` the method cannot be `full`")
        return self

    @property
    def four_bits(self) -> bool:
        """Whether the model's linear layers are held in 4 bits."""
        return self.precision == "4bit"

    @property
    def is_far(self) -> bool:
        """Whether base, warm-up and evolved model are at a server."""
        return is_endpoint(self.model)

    def fitting(self) -> Config:
        """These settings, without what their model or precision does not allow, which were taken from elsewhere: what a
        server does not know, and training all weights in 4 bits."""
        tune, propagation = self.tune, self.propagation
        if self.four_bits and tune.method == "full":  # the precision is the round's
            tune = tune.model_copy(update={"method": "auto"})
        if not self.is_far:
            return self.model_copy(update={"tune": tune})
        embedder = default_embedder() if propagation.embedder == MODEL_STATES else propagation.embedder
        without = {"warm_up": propagation.warm_up.model_copy(update={"kl": 0.0}), "embedder": embedder}
        changed = {
            "propagation": propagation.model_copy(update=without),
            "tune": tune.model_copy(update={"kl": 0.0}),
        }
        return self.model_copy(update=changed | {"cross_fit": 0, "token_cleaning": 0.0})

    def at_server(self, model: str) -> bool:
        """Whether this model of a collaborator, or of the judge, is at a server."""
        return is_endpoint(model) or (self.is_far and model in ("base", "warm_up"))

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Names of the endpoints that a run asks, each one once; first that of the model, if it is at a server."""
        return tuple(dict.fromkeys((*([name_of(self.model)] if self.is_far else []), *self.propagation.endpoints)))

    @property
    def rule_first(self) -> bool:
        """Whether prompts give the answer rule before the question; see `Propagation.answer_rule`."""
        rule = self.propagation.answer_rule
        return rule == "first" or (rule == "auto" and self.model != STARTER)
