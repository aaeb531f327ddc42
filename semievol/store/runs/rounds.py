"""Rounds: passes of the seven stages. The same data and propagation settings find the same round again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, false, func, select, true, update

from semievol import presets
from semievol.config import Config
from semievol.errors import UserError
from semievol.store import schema
from semievol.store.data.versions import in_use, inserted_id
from semievol.store.database import Store, timestamp

IDENTITY = ("model", "seed", "precision", "propagation", "calibration", "calibration_minimum")
"""Settings that belong to a round; runs in it may differ in policy and tuning only."""
_BEFORE_THE_CHOICE = {"weighting": "equal", "answer_rule": "last", "second_pass": False, "tune_embedder": False}
_BEFORE_THE_CHOICE_WARM_UP = {"store_dtype": "fp32", "neftune_noise_alpha": 0.0, "kl": 0.0}
"""Settings of propagation, and of its warm-up, that were added later, with the value that older rounds had: so older
rounds are found again."""


@dataclass(frozen=True)
class Round:
    """config: the settings with which the round was opened. number: how many rounds lie one after the other up to this
    one, so that two rounds of a project can have the same. place, parent_place: which round of its project this is, and
    which its parent is, counted from 1: what people call it by. chosen: whether a person let it count, see
    `counting`."""

    id: int
    project_id: int
    number: int
    parent_id: int | None
    version_id: int
    config: Config
    created: str
    place: int
    parent_place: int | None
    chosen: bool

    @property
    def title(self) -> str:
        """Its name on the screen, which no other round of the project has: "Round 3"."""
        return f"Round {self.place}"

    @property
    def full_title(self) -> str:
        """The title with the round that it continues: "Round 3, after round 1"."""
        return self.title if self.parent_place is None else f"{self.title}, after round {self.parent_place}"

    @property
    def named(self) -> str:
        """The full title with the base model, of a folder only its own name: "Round 3 · smollm2, after round 1"."""
        return self.full_title.replace(self.title, f"{self.title} · {Path(self.config.model).name}", 1)


def open_round(
    store: Store,
    project_id: int,
    config: Config,
    parent_id: int | None = None,
    held: Collection[str] = (),
    warm_up_adapter: str | None = None,
    spent: Collection[str] = (),
) -> Round:
    """The project's round with the data in use, this parent and these propagation settings; opened if there is none.

    A round's identity is its data version, its parent with the adapter taken from it, and the settings of `IDENTITY`.
    held: content hashes of the calibration records that this round holds out; fixed when the round is opened.
    warm_up_adapter: the parent's evolved adapter, which takes the place of this round's warm-up.
    spent: content hashes that this round's evidence does not count, see `spent`.
    """
    adapter = None if warm_up_adapter is None else store.relative(warm_up_adapter)
    with store.write() as connection:
        version_id = _version_in_use(connection, project_id)
        number = 1 if parent_id is None else _number(connection, project_id, parent_id) + 1
        identity = identity_of(version_id, parent_id, adapter, config)
        round_id = _find(connection, project_id, identity)
        if round_id is None:
            values: dict[str, Any] = {"project_id": project_id, "number": number, "parent_id": parent_id}
            values |= {"version_id": version_id, "identity": identity, "config": config.model_dump(mode="json")}
            values |= {"created": timestamp(), "held": sorted(held), "warm_up_adapter": adapter}
            values |= {"spent": sorted(spent)}
            round_id = inserted_id(connection, schema.rounds, values)
    return get_round(store, round_id)


def find_round(
    store: Store, project_id: int, config: Config, parent_id: int | None = None, warm_up_adapter: str | None = None
) -> Round | None:
    """The round that `open_round` would find again; None where it would open one."""
    adapter = None if warm_up_adapter is None else store.relative(warm_up_adapter)
    with store.read() as connection:
        version_id = _version_in_use(connection, project_id)
        identity = identity_of(version_id, parent_id, adapter, config)
        round_id = _find(connection, project_id, identity)
    return None if round_id is None else get_round(store, round_id)


def with_settings_of(round_: Round, config: Config) -> Config:
    """`config`, with the settings of `IDENTITY` taken from the round.

    Where the round's weights are earned on cross-fitted records, its folds too: a run without them could not fit any.
    """
    settings = {name: getattr(round_.config, name) for name in IDENTITY}
    if round_.config.propagation.weighting == "earned":
        settings["cross_fit"] = config.cross_fit or round_.config.cross_fit
    return config.model_copy(update=settings).fitting()


def held(store: Store, round_id: int) -> frozenset[str]:
    """Content hashes of the calibration records that the round holds out of training."""
    return frozenset(store.value(select(schema.rounds.c.held).where(schema.rounds.c.id == round_id)))


def spent(store: Store, round_id: int) -> frozenset[str]:
    """Content hashes of what earlier rounds accepted, which this round's evidence leaves out (docs/evidence.md, Later
    rounds): pool records that its model was trained on, and calibration records that the same policies accept, as
    neither predicts the other any more; and labeled records of rounds on other data, which may be pool records here."""
    with store.read() as connection:
        return spent_in(connection, round_id)


def spent_in(connection: Connection, round_id: int) -> frozenset[str]:
    """As `spent`, inside the caller's transaction."""
    c = schema.rounds.c
    return frozenset(connection.execute(select(c.spent).where(c.id == round_id)).scalar() or ())


def shift(store: Store, round_id: int) -> dict[str, Any] | None:
    """The round's test of labeled against unlabeled texts (`evidence.shift.TextShift`); None if it was not made."""
    found: dict[str, Any] | None = store.value(select(schema.rounds.c.shift).where(schema.rounds.c.id == round_id))
    return found


def weights(store: Store, round_id: int) -> dict[str, Any] | None:
    """The weights of the collaborators (`method.earned_weights`); None if they were not weighed."""
    found: dict[str, Any] | None = store.value(select(schema.rounds.c.weights).where(schema.rounds.c.id == round_id))
    return found


def get_round(store: Store, id: int) -> Round:
    """The round with this id. Raises UserError where there is none."""
    found = _load(store, schema.rounds.c.id == id)
    if not found:
        raise UserError(f"There is no round {id}.", "round", "Choose another round.")
    return found[0]


def list_rounds(store: Store, project_id: int) -> list[Round]:
    """The project's rounds, newest last."""
    return _load(store, schema.rounds.c.project_id == project_id)


def in_turn(found: Sequence[Round]) -> list[Round]:
    """A project's rounds in the order in which they are taken where none is named: the one that a person chose, then
    the newest first."""
    return sorted(found, key=lambda one: (one.chosen, one.id), reverse=True)


def counting(found: Sequence[Round]) -> Round | None:
    """The round that counts: the first `in_turn`."""
    return next(iter(in_turn(found)), None)


def choose(store: Store, project_id: int, round_id: int | None) -> None:
    """Lets this round count, also when newer ones come; None: the newest, as where nobody chose."""
    c = schema.rounds.c
    with store.write() as connection:
        mine = [id for (id,) in connection.execute(select(c.id).where(c.project_id == project_id))]
        if round_id is not None and round_id not in mine:
            raise UserError(f"There is no round {round_id} in this project.", "round", "Choose another round.")
        connection.execute(update(schema.rounds).where(c.project_id == project_id).values(chosen=false()))
        connection.execute(update(schema.rounds).where(c.id == round_id).values(chosen=true()))


def bump(connection: Connection, *, round_id: int | None = None, project_id: int | None = None) -> None:
    """Marks a round's results, or the decisions on all rounds of a project, as changed (see `results.revision`)."""
    c = schema.rounds.c
    if round_id is not None:
        connection.execute(update(schema.rounds).where(c.id == round_id).values(revision=c.revision + 1))
    else:
        grown = {"revision": c.revision + 1, "decided": c.decided + 1}
        connection.execute(update(schema.rounds).where(c.project_id == project_id).values(**grown))


def revision_in(connection: Connection, round_id: int) -> int | None:
    """As `results.revision`; None where there is no such round."""
    return connection.execute(select(schema.rounds.c.revision).where(schema.rounds.c.id == round_id)).scalar()


def _version_in_use(connection: Connection, project_id: int) -> int:
    joined = schema.versions.join(schema.projects, in_use())
    query = select(schema.versions.c.id).select_from(joined).where(schema.projects.c.id == project_id)
    found = connection.execute(query).scalar()
    if found is None:
        raise UserError("The project has no data yet.", "data", "Import labeled and unlabeled records first.")
    return int(found)


def _number(connection: Connection, project_id: int, parent_id: int) -> int:
    c = schema.rounds.c
    number = connection.execute(select(c.number).where(c.id == parent_id, c.project_id == project_id)).scalar()
    if number is None:
        raise UserError(f"There is no round {parent_id} in this project.", "parent round", "Choose another round.")
    return int(number)


def _find(connection: Connection, project_id: int, identity: str) -> int | None:
    c = schema.rounds.c
    return connection.execute(select(c.id).where(c.project_id == project_id, c.identity == identity)).scalar()


def identity_of(version_id: int, parent_id: int | None, adapter: str | None, config: Config) -> str:
    """A hash of the round's identity, see `open_round`. adapter: its stored path."""
    parts = {name: value for name, value in config.model_dump(mode="json").items() if name in IDENTITY}
    if not config.calibration:
        del parts["calibration_minimum"]
    propagation = parts["propagation"]
    for chosen, earlier in ((propagation, _BEFORE_THE_CHOICE), (propagation["warm_up"], _BEFORE_THE_CHOICE_WARM_UP)):
        for name, before in earlier.items():
            if chosen[name] == before:
                del chosen[name]
    canonical = json.dumps([version_id, parent_id, adapter, parts], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _load(store: Store, where: ColumnElement[bool]) -> list[Round]:
    c, other = schema.rounds.c, schema.rounds.alias("other").c

    def place(id: ColumnElement[int]) -> ColumnElement[int]:
        """How many rounds of the project were opened up to this one."""
        return select(func.count()).where(other.project_id == c.project_id, other.id <= id).scalar_subquery()

    columns = [c[field.name] for field in fields(Round) if field.name in c]
    parent = case((c.parent_id.is_not(None), place(c.parent_id)))
    query = select(*columns, place(c.id).label("place"), parent.label("parent_place"))
    rows = store.rows(query.where(where).order_by(c.id))
    return [Round(**{**row._asdict(), "config": presets.validate(row.config)}) for row in rows]
