"""Transfer flows, variables, uploads and run records from one owner to another."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, update

from flowrunner.store.engine import go_alone, reading, writing
from flowrunner.store.files import FileStore
from flowrunner.store.flowrecord import free_endpoint_name, free_name
from flowrunner.store.projects import USUAL_NAME, usual_project_id
from flowrunner.store.stamp import stamp_beside
from flowrunner.store.tables import answers, files, flows, projects, runs, variables
from flowrunner.store.titles import give_titles


@dataclass(slots=True)
class Given:
    """The numbers of transferred things by kind, and a sentence for each one renamed or not transferred."""

    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def count_things(engine: Engine, owner: str) -> dict[str, int]:
    """Return the numbers of flows, variables, files and runs of an owner."""
    kinds = {"flows": flows, "variables": variables, "files": files, "runs": runs}
    with reading(engine) as connection:
        return {
            word: connection.execute(select(func.count()).select_from(table).where(table.c.owner == owner)).scalar_one()
            for word, table in kinds.items()
        }


def give_things(engine: Engine, folder: Path, source: str, target: str) -> Given:
    """Transfer flows, variables and records of runs, in one transaction.

    If the new owner has a flow or variable of the same name, it is renamed with a number, or not transferred.

    :param folder: the data folder, to notify other processes.
    """
    given = Given()
    with writing(engine) as connection:
        for owner in sorted((source, target)):
            go_alone(connection, f"flows of {owner}")
        _give_projects(connection, source, target)
        give_titles(connection, source, target)
        _give_flows(connection, source, target, given)
        _give_variables(connection, source, target, given)
        # Answers with a run id are results; the others belong to idempotency keys of their sender.
        results = answers.c.id == answers.c.run_id
        connection.execute(update(answers).where(answers.c.owner == source, results).values(owner=target))
        moved = connection.execute(update(runs).where(runs.c.owner == source).values(owner=target))
        given.counts["runs"] = moved.rowcount
    for word in ("flows", "variables"):
        stamp_beside(engine, folder, word).touch()
    return given


def plan_files(engine: Engine, store: FileStore, source: str, target: str) -> list[dict[str, Any]]:
    """Return the steps for :func:`give_files`, each with the id, old path, new path and new name of a file."""
    with reading(engine) as connection:
        taken = set(connection.execute(select(files.c.path).where(files.c.owner == target)).scalars())
        rows = connection.execute(
            select(files).where(files.c.owner == source).order_by(files.c.created_at, files.c.id)
        ).all()
    plan = []
    for row in rows:
        name, number = row.name, 0
        while (path := store.path_for(target, row.flow_id, name)) in taken:
            number += 1
            stem, dot, suffix = row.name.rpartition(".")
            name = f"{stem} ({number}){dot}{suffix}" if stem else f"{row.name} ({number})"
        taken.add(path)
        plan.append({"id": row.id, "old": row.path, "new": path, "name": name})
    return plan


def give_files(engine: Engine, store: FileStore, plan: Sequence[Mapping[str, Any]], source: str, target: str) -> int:
    """Transfer uploads as planned; files that were transferred before are skipped."""
    for step in plan:
        old, new = store.place_of(source, step["id"]), store.place_of(target, step["id"])
        new.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            new.hardlink_to(old)
        values = {
            "owner": target,
            "path": step["new"],
            "name": step["name"],
            "stored_name": new.name,
        }
        with writing(engine) as connection:
            connection.execute(update(files).where(files.c.id == step["id"], files.c.owner == source).values(**values))
        if new.exists():
            old.unlink(missing_ok=True)
    return len(plan)


def _give_projects(connection: Connection, source: str, target: str) -> None:
    """Transfer the projects of the owner; flows in the default project move to the new owner's default project."""
    names = set(connection.execute(select(projects.c.name).where(projects.c.owner == target)).scalars())
    names.add(USUAL_NAME)
    for row in connection.execute(select(projects).where(projects.c.owner == source)).all():
        same = (projects.c.owner == source, projects.c.id == row.id)
        if row.id == usual_project_id(source):
            connection.execute(delete(projects).where(*same))
            continue
        name = free_name(row.name, names)
        names.add(name)
        connection.execute(update(projects).where(*same).values(owner=target, name=name))


def _give_flows(connection: Connection, source: str, target: str, given: Given) -> None:
    rows = connection.execute(select(flows).where(flows.c.owner == source)).all()
    theirs = connection.execute(select(flows).where(flows.c.owner == target)).all()
    ids = {row.id for row in theirs}
    names = {row.name for row in theirs}
    endpoints = {row.endpoint_name for row in theirs if row.endpoint_name}
    given.counts["flows"] = 0
    for row in rows:
        if row.id in ids:
            given.notes.append(
                f"The flow {row.name} ({row.id}) was not transferred: the new owner has a flow with this id."
            )
            continue
        name = free_name(row.name, names)
        endpoint = free_endpoint_name(row.endpoint_name, endpoints) if row.endpoint_name else None
        if (name, endpoint) != (row.name, row.endpoint_name):
            given.notes.append(f"The flow {row.name} was renamed to {name} ({endpoint or 'no endpoint name'}).")
        names.add(name)
        endpoints.add(endpoint)
        same = (flows.c.id == row.id, flows.c.owner == source)
        connection.execute(update(flows).where(*same).values(owner=target, name=name, endpoint_name=endpoint))
        given.counts["flows"] += 1


def _give_variables(connection: Connection, source: str, target: str, given: Given) -> None:
    theirs = set(connection.execute(select(variables.c.name).where(variables.c.owner == target)).scalars())
    mine = connection.execute(select(variables.c.name).where(variables.c.owner == source)).scalars().all()
    for name in sorted(set(mine) & theirs):
        given.notes.append(f"The variable {name} was not transferred: the new owner has one of this name.")
    free = set(mine) - theirs
    for name in free:
        same = (variables.c.owner == source, variables.c.name == name)
        connection.execute(update(variables).where(*same).values(owner=target))
    given.counts["variables"] = len(free)
