"""Which dataset version of a project is in use: the newest, unless an older one was chosen."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from semievol.errors import UserError
from semievol.store import schema
from semievol.store.database import Store


def use_version(store: Store, project_id: int, number: int) -> None:
    """Puts a stored version in use, with its task: what is propagated next works on its records. Nothing is deleted."""
    v = schema.versions.c
    with store.write() as connection:
        known = select(v.task).where(v.project_id == project_id, v.number == number)
        task = connection.execute(known).scalar_one_or_none()
        if task is None:
            raise UserError(f"There is no dataset version {number}.", "dataset version", "Choose another one.")
        newest = newest_number(connection, project_id)
        put_in_use(connection, project_id, None if number == newest else number, task)


def in_use() -> ColumnElement[bool]:
    """Whether a row of `versions` is the one that its row of `projects` works on."""
    p, v = schema.projects.c, schema.versions.c
    others = schema.versions.alias("others").c
    newest = select(func.max(others.number)).where(others.project_id == p.id).correlate(schema.projects)
    return (v.project_id == p.id) & (v.number == func.coalesce(p.current_version, newest.scalar_subquery()))


def put_in_use(connection: Connection, project_id: int, number: int | None, task: dict[str, Any]) -> None:
    """As `use_version`, inside the caller's transaction. number: None for whatever is the newest."""
    known = update(schema.projects).where(schema.projects.c.id == project_id)
    if connection.execute(known.values(current_version=number, task=task)).rowcount == 0:
        raise UserError(f"There is no project {project_id}.", "project", "Choose another project.")


def newest_number(connection: Connection, project_id: int) -> int:
    """Number of the project's newest version; 0 where it has none."""
    v = schema.versions.c
    return connection.execute(select(func.max(v.number)).where(v.project_id == project_id)).scalar() or 0
