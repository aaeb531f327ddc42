"""The tables, as SQLAlchemy Core sees them. Portable between SQLite and PostgreSQL; knows nothing of how they are used.

Results point at `records.key` without a declared foreign key: deleting a data set of 100,000 records would otherwise
look for children once per record. Deleting a project deletes all of its rows by the declared cascades.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from semievol.config import MEASURES
from semievol.store.columns import Json, belongs_to, numbered, response

metadata = MetaData()


migrations = Table(
    "migrations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("applied", Text, nullable=False),
)

settings = Table("settings", metadata, Column("name", Text, primary_key=True), Column("value", Json, nullable=False))

# --- projects and data ----------------------------------------------------------------------------------------------

projects = Table(
    "projects",
    metadata,
    numbered(),
    Column("name", Text, nullable=False, unique=True),
    Column("task", Json),
    Column("settings", Json, nullable=False),
    Column("created", Text, nullable=False),
    Column("archived", Boolean, nullable=False, server_default=text("false")),
    Column("current_version", Integer),  # number of the dataset version in use; NULL: the newest
    sqlite_autoincrement=True,  # a deleted project's number, and so its folder's name, is never given out again
)

calibration = Table(
    "calibration",
    metadata,
    belongs_to("project_id", "projects"),
    Column("content_hash", Text, nullable=False),
    PrimaryKeyConstraint("project_id", "content_hash"),
)

versions = Table(
    "versions",
    metadata,
    numbered(),
    belongs_to("project_id", "projects"),
    Column("number", Integer, nullable=False),
    Column("created", Text, nullable=False),
    Column("task", Json, nullable=False),
    Column("counts", Json, nullable=False),
    Column("sources", Json, nullable=False),
    Column("findings", Json, nullable=False),
    UniqueConstraint("project_id", "number"),
)

records = Table(
    "records",
    metadata,
    Column("key", Integer, primary_key=True, autoincrement=True),
    belongs_to("version_id", "versions"),
    Column("position", Integer, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("split", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("options", Json, nullable=False),
    Column("answer", Text),
    Column("row", Integer, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("source_id", Text, nullable=False, server_default=text("''")),
    Column("group_id", Text, nullable=False, server_default=text("''")),
    Column("earlier", Json),  # turns of the conversation before the question, as `records.turns_of` reads them
    UniqueConstraint("version_id", "record_id"),
    Index("records_in_order", "version_id", "split", "position"),
)

hidden_gold = Table(
    "hidden_gold",
    metadata,
    belongs_to("version_id", "versions"),
    Column("record_id", Text, nullable=False),
    Column("answer", Text, nullable=False),
    PrimaryKeyConstraint("version_id", "record_id"),
    sqlite_with_rowid=False,
)

# --- rounds and runs ------------------------------------------------------------------------------------------------

rounds = Table(
    "rounds",
    metadata,
    numbered(),
    belongs_to("project_id", "projects"),
    Column("number", Integer, nullable=False),
    belongs_to("parent_id", "rounds", nullable=True),
    belongs_to("version_id", "versions"),
    Column("identity", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("created", Text, nullable=False),
    Column("held", Json, nullable=False),
    # Content hashes of what earlier rounds accepted: pool records trained on, calibration records used up.
    Column("spent", Json),
    Column("warm_up_adapter", Text),
    Column("shift", Json),
    Column("fold_adapters", Json),
    # What every collaborator earned on records with known answers.
    Column("weights", Json),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    # How many of these revisions were decisions.
    Column("decided", Integer, nullable=False, server_default=text("0")),
    # Whether a person let this round count, see `runs.rounds.counting`.
    Column("chosen", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("project_id", "identity"),
    Index("rounds_of_parent", "parent_id"),
    Index("rounds_of_version", "version_id"),
)

ACTIVE = ("running", "stopping")
NOT_ENDED = ("queued", *ACTIVE)
"""Statuses of a run that a worker has, and of one that it has or will have."""

runs = Table(
    "runs",
    metadata,
    numbered(),
    belongs_to("project_id", "projects"),
    belongs_to("round_id", "rounds", nullable=True),  # NULL: the run carries out a study
    Column("first", Text, nullable=False),
    Column("until", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("selection", Integer),
    Column("selection_used", Integer),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("position", Integer, nullable=False),
    Column("device", Text, nullable=False, server_default=text("''")),
    Column("pid", Integer),
    Column("host", Text),
    Column("boot", Text),
    Column("process_start", Double),
    Column("heartbeat_at", Double),
    Column("heartbeat_ticks", Double),
    Column("error", Json),
    Column("environment", Json, nullable=False),
    Column("adapter", Text),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("study", Json),  # what the run's study compares, see `studies.Spec`
    Column("spent", Json),  # what the run has spent on endpoints, as `spending.stored` gives it
    Index("runs_of_project", "project_id"),
    Index("runs_of_round", "round_id"),
    # One active run per device, promised by the database itself.
    Index(
        "one_active_run",
        "device",
        unique=True,
        sqlite_where=text("status IN ('running', 'stopping')"),
        postgresql_where=text("status IN ('running', 'stopping')"),
    ),
)

stages = Table(
    "stages",
    metadata,
    belongs_to("run_id", "runs"),
    Column("stage", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("done", Integer, nullable=False, server_default=text("0")),
    Column("total", Integer, nullable=False, server_default=text("0")),
    Column("started", Double),
    Column("ended", Double),
    Column("found", Integer, nullable=False, server_default=text("0")),
    Column("worked", Double, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("run_id", "stage"),
)

metrics = Table(
    "metrics",
    metadata,
    belongs_to("run_id", "runs"),
    Column("stage", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("value", Double),
    Column("at", Double, nullable=False),
    Column("attempt", Integer, nullable=False),
    PrimaryKeyConstraint("run_id", "stage", "name", "step"),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    numbered(),
    belongs_to("run_id", "runs"),
    Column("at", Double, nullable=False),
    Column("stage", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index("events_of_run", "run_id", "id"),
)

# --- results of a round ---------------------------------------------------------------------------------------------

demonstrations = Table(
    "demonstrations",
    metadata,
    belongs_to("round_id", "rounds"),
    Column("record_key", Integer, nullable=False),
    Column("nearest", Json, nullable=False),
    Column("nearest_id", Text),
    Column("similarity", Double),
    # The record's place on the map of the round, each from -1 to 1.
    Column("x", Double),
    Column("y", Double),
    PrimaryKeyConstraint("round_id", "record_key"),
    sqlite_with_rowid=False,
)


responses = Table(
    "responses",
    metadata,
    numbered(),
    belongs_to("round_id", "rounds"),
    Column("stage", Text, nullable=False),
    Column("record_key", Integer, nullable=False),
    Column("collaborator", Text, nullable=False),
    *response(),
    belongs_to("run_id", "runs"),
    UniqueConstraint("round_id", "stage", "record_key", "collaborator", "input_hash"),
    Index("responses_of_run", "run_id"),
)

# What the responses of a run took, summed over all attempts.
costs = Table(
    "costs",
    metadata,
    belongs_to("run_id", "runs"),
    Column("stage", Text, nullable=False),
    Column("collaborator", Text, nullable=False),
    Column("records", Integer, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("answer_tokens", Integer, nullable=False),
    PrimaryKeyConstraint("run_id", "stage", "collaborator"),
    sqlite_with_rowid=False,
)

candidates = Table(
    "candidates",
    metadata,
    belongs_to("round_id", "rounds"),
    Column("record_key", Integer, nullable=False),
    Column("pool", Boolean, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("answer", Text),
    Column("agreed", Boolean, nullable=False),
    Column("justified", Boolean, nullable=False),
    Column("exactness", Text, nullable=False),
    *(Column(measure, Double) for measure in MEASURES),
    # Whether the record's text could steer the model.
    Column("flagged", Boolean, nullable=False, server_default=text("false")),
    # The standing decision on this content as it applies to this answer; every new decision updates it.
    Column("decision", Text),
    Column("decided_answer", Text),
    PrimaryKeyConstraint("round_id", "record_key"),
    Index("candidates_by_content", "content_hash"),
    sqlite_with_rowid=False,
)

predictions = Table(
    "predictions",
    metadata,
    belongs_to("run_id", "runs"),
    Column("model", Text, nullable=False),
    Column("record_key", Integer, nullable=False),
    *response(),
    Column("confidence", Double),
    PrimaryKeyConstraint("run_id", "model", "record_key"),
)

evaluations = Table(
    "evaluations", metadata, belongs_to("run_id", "runs", primary_key=True), Column("document", Json, nullable=False)
)

# --- studies --------------------------------------------------------------------------------------------------------

study_results = Table(
    "study_results",
    metadata,
    belongs_to("version_id", "versions"),
    Column("identity", Text, nullable=False),  # of the settings; studies with the same ones share their results
    Column("seed", Integer, nullable=False),
    Column("arm", Text, nullable=False),
    Column("document", Json, nullable=False),
    Column("at", Double, nullable=False),
    PrimaryKeyConstraint("version_id", "identity", "seed", "arm"),
)

# --- decisions ------------------------------------------------------------------------------------------------------

decisions = Table(
    "decisions",
    metadata,
    numbered(),
    belongs_to("project_id", "projects"),
    belongs_to("round_id", "rounds"),
    Column("record_id", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("answer_shown", Text),
    Column("answer", Text),
    Column("note", Text, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("undoes", Integer),
    Column("batch", Text),
    Column("key", Text),
    UniqueConstraint("project_id", "key"),
    UniqueConstraint("undoes"),
    Index("decisions_by_content", "project_id", "content_hash"),
    Index("decisions_by_reviewer", "project_id", "reviewer"),
    Index("decisions_of_round", "round_id"),
    sqlite_autoincrement=True,
)

selections = Table(
    "selections",
    metadata,
    numbered(),
    belongs_to("round_id", "rounds"),
    Column("number", Integer, nullable=False),
    Column("created", Text, nullable=False),
    Column("policy", Json),
    Column("evidence", Json),
    Column("size", Integer, nullable=False),
    Column("origins", Json, nullable=False),
    belongs_to("run_id", "runs", nullable=True),
    UniqueConstraint("round_id", "number"),
    Index("selections_of_run", "run_id"),
)

selected = Table(
    "selected",
    metadata,
    belongs_to("selection_id", "selections"),
    Column("record_key", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    Column("origin", Text, nullable=False),
    # The decision that asserts the answer, if one does.
    Column("decision_id", Integer),
    PrimaryKeyConstraint("selection_id", "record_key"),
    sqlite_with_rowid=False,
)

# --- random reviews -------------------------------------------------------------------------------------------------

reviews = Table(
    "reviews",
    metadata,
    numbered(),
    belongs_to("round_id", "rounds"),
    Column("number", Integer, nullable=False),
    Column("mode", Text, nullable=False),
    Column("size", Integer, nullable=False),
    # Record keys of the kept set when it began, in the order in which they are drawn.
    Column("drawn", Json, nullable=False),
    Column("policy", Json, nullable=False),
    Column("prior", Json, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("ended", Double),
    UniqueConstraint("round_id", "number"),
)

reviewed = Table(
    "reviewed",
    metadata,
    numbered(),
    belongs_to("review_id", "reviews"),
    Column("record_key", Integer, nullable=False),
    Column("repeat", Boolean, nullable=False),
    Column("action", Text, nullable=False),
    Column("answer", Text),
    # The decision stored with the answer; a repeated question has none. If it is undone, the question is open again.
    Column("decision_id", Integer),
    Column("reviewer", Text, nullable=False, server_default=text("''")),
    # A repeated question's answer that was taken back.
    Column("retracted", Boolean, nullable=False, server_default=text("false")),
    Column("key", Text),
    Index("reviewed_in_review", "review_id"),
    UniqueConstraint("review_id", "key"),
    sqlite_autoincrement=True,
)
