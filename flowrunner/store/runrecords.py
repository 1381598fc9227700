"""Read the run log: builds, transactions and runs for the monitor API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from itertools import count
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, Row, Table, func, select, update

from flowrunner.engine.result import VertexResult
from flowrunner.errors import NotFound
from flowrunner.memory import EVERY_OWNER, Owner
from flowrunner.memory.message import Message, parse_timestamp
from flowrunner.memory.paging import fitting
from flowrunner.store.engine import reading, writing
from flowrunner.store.masking import mask
from flowrunner.store.messagerecord import read_message
from flowrunner.store.steps import HAS_STEPS, ROW, Step, marked_steps, newest_steps, page_of_steps, steps_of
from flowrunner.store.tables import runs
from flowrunner.store.token_usage import USAGE, spent_in
from flowrunner.text.timestamps import moment_text

_ROWS: Final = uuid.UUID("3a2f6a52-0d0c-5d7e-8a53-5f2f6f0f6a10")
#: The columns of a run without its steps, which are read on demand.
_SHOWN: Final = tuple(column for column in runs.c if column.name not in ("request", "steps", "cleared", "vertices"))
#: In place of the contents of builds that are too many characters together.
_LEFT_OUT: Final = "Not shown, since the builds are too large together: see GET /api/v1/runs/{job_id}/steps."
_VERTEX: Final = ("id", "type", "status", "duration", "session")


class RunRecords:
    """Reads the records of runs, one row per run with its steps. Every call names an owner, or all owners.

    :param per_vertex: the maximum number of builds shown per vertex.
    """

    def __init__(self, engine: Engine, per_vertex: int) -> None:
        self._engine = engine
        self._per_vertex = per_vertex

    def builds(self, flow_id: str, owner: Owner, *, every: bool = False) -> dict[str, list[dict[str, Any]]]:
        """Return the builds of a flow by vertex id.

        :param every: return all stored builds, newest first, including failed ones; otherwise the newest
            successful one of each vertex.
        """
        found: dict[str, list[Step]] = {}
        with reading(self._engine) as connection:
            for step in newest_steps(connection, self._of_flow(flow_id, owner)):
                if step.is_build and (every or step.status == "success"):
                    builds = found.setdefault(step.vertex_id, [])
                    if len(builds) < (self._per_vertex if every else 1):
                        builds.append(step)
        # The newest builds are returned in the order in which they were made.
        order = list(found.items() if every else reversed(found.items()))
        rest = fitting(len(step.record) for _, steps in order for step in steps)
        numbers = count()
        return {vertex_id: [_build(step, whole=next(numbers) < rest) for step in steps] for vertex_id, steps in order}

    def delete_builds(self, flow_id: str, owner: Owner) -> int:
        """Delete the builds of a flow and return their number; its transactions are kept."""
        wanted = (runs.c.steps > runs.c.cleared, *self._of_flow(flow_id, owner))
        with writing(self._engine) as connection:
            left = select(func.coalesce(func.sum(runs.c.steps - runs.c.cleared), 0)).where(HAS_STEPS, *wanted)
            count = int(connection.execute(left).scalar_one())
            connection.execute(update(runs).where(HAS_STEPS, *wanted).values(cleared=runs.c.steps))
        return count

    def transactions(self, flow_id: str, owner: Owner, *, page: int = 1, size: int = 50) -> dict[str, Any]:
        """Return a page of transactions of a flow, newest first, with the totals.

        Those for whose contents there is no room have null for them.
        """
        with reading(self._engine) as connection:
            steps, total = page_of_steps(connection, self._of_flow(flow_id, owner), (page - 1) * size, size)
        rest = fitting(len(step.record) for step in steps)
        return {
            "items": [_transaction(step, whole=number < rest) for number, step in enumerate(steps)],
            "total": total,
            "page": page if total else 1,
            "size": size,
            "pages": -(-total // size),
        }

    def runs(
        self,
        owner: Owner,
        *,
        flow_id: str | None = None,
        flows: Sequence[str] | None = None,
        session_id: str | None = None,
        status: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """Return runs, newest first, without their vertices.

        :param flows: the ids of the flows whose runs may be seen; None for all.
        :param before: only runs older than the run with this id.
        """
        table = runs.c
        statement = select(*_SHOWN).where(*_of(runs, owner)).order_by(table.seq.desc()).limit(limit)
        if flow_id is not None:
            statement = statement.where(table.flow_id == flow_id)
        if flows is not None:
            statement = statement.where(table.flow_id.in_(flows))
        if session_id is not None:
            statement = statement.where(table.session_id == json.dumps(session_id))
        if status is not None:
            statement = statement.where(table.status == status)
        if before is not None:
            edge = select(func.max(table.seq)).where(table.id == before, *_of(runs, owner)).scalar_subquery()
            statement = statement.where(table.seq < edge)
        return [_run(row) for row in self._rows(statement)]

    def page_of_runs(
        self,
        owner: Owner,
        *,
        flow_id: str | None = None,
        flows: Sequence[str] | None = None,
        session_id: str | None = None,
        states: Sequence[str] | None = None,
        page: int = 1,
        size: int = 50,
    ) -> tuple[list[dict[str, Any]], int]:
        """Return a page of runs, newest first, and the total number of runs.

        :param flows: the ids of the flows whose runs may be seen; None for all.
        """
        table = runs.c
        wanted = list(_of(runs, owner))
        if flow_id is not None:
            wanted.append(table.flow_id == flow_id)
        if flows is not None:
            wanted.append(table.flow_id.in_(flows))
        if session_id is not None:
            wanted.append(table.session_id == json.dumps(session_id))
        if states is not None:
            wanted.append(table.status.in_(states))
        (total,) = self._rows(select(func.count()).select_from(runs).where(*wanted))[0]
        # Rows are written in batches, so their numbers are only roughly in order of time.
        newest = (table.accepted_at.desc(), table.seq.desc())
        statement = select(*_SHOWN).where(*wanted).order_by(*newest).limit(size).offset((page - 1) * size)
        return [_run(row) for row in self._rows(statement)], total

    def run(self, run_id: str, owner: Owner) -> dict[str, Any]:
        """Return a run with its vertices and their timings.

        :raises NotFound: if the owner has no run with this id.
        """
        statement = select(*_SHOWN).where(runs.c.id == run_id, *_of(runs, owner)).order_by(runs.c.seq.desc()).limit(1)
        for row in self._rows(statement):
            return _run(row, vertices=True)
        raise NotFound("Run not found")

    def steps(
        self, run_id: str, owner: Owner, *, after: int = -1, limit: int = 100
    ) -> tuple[list[dict[str, Any]], bool]:
        """Return the steps of a run, in the order in which they ended, and whether there are more.

        If steps are large, fewer than ``limit`` are returned.

        :param after: only steps after the one with this number.
        :raises NotFound: if the owner has no run with this id.
        """
        rows = self._rows(select(*ROW).where(runs.c.id == run_id, *_of(runs, owner)).limit(1))
        if not rows:
            raise NotFound("Run not found")
        found = [step for step in steps_of(rows[0]) if step.number > after]
        number = fitting(len(step.record) for step in found[:limit])
        return [_shown_step(step) for step in found[:number]], len(found) > number

    def tokens(self, run_ids: Sequence[str], owner: Owner) -> dict[str, int]:
        """Return the number of tokens used by each run; 0 for runs without a model."""
        counts = dict.fromkeys(run_ids, 0)
        with reading(self._engine) as connection:
            for step in marked_steps(connection, run_ids, _of(runs, owner), USAGE):
                counts[step.run_id] += spent.total_tokens if (spent := spent_in(step)) is not None else 0
        return counts

    def _of_flow(self, flow_id: str, owner: Owner) -> tuple[ColumnElement[bool], ...]:
        return (runs.c.flow_id == flow_id, *_of(runs, owner))

    def _rows(self, statement: Any) -> list[Row[Any]]:
        with reading(self._engine) as connection:
            return list(connection.execute(statement).all())


def _of(table: Table, owner: Owner) -> tuple[ColumnElement[bool], ...]:
    return () if owner is EVERY_OWNER else (table.c.owner == owner,)


def _result(step: Step, record: dict[str, Any]) -> VertexResult:
    """Return the recorded result, in which secrets are masked and long values truncated."""
    return VertexResult(
        vertex_id=step.vertex_id,
        type=record["type"],
        display_name=record["name"],
        status="success" if step.status == "success" else "error",
        session=None,
        inputs=record["inputs"],
        outputs={name: _output(value, step) for name, value in record["outputs"].items()},
        kind=record["kind"],
        started_at=parse_timestamp(step.at),
        duration=record["seconds"],
        used_frozen_result=record["frozen"],
        error=record["error"],
        untaken=tuple(record["untaken"]),
    )


def _id(step: Step) -> str:
    """Return the id of a build or transaction, derived from the step so that it need not be stored."""
    return str(uuid.uuid5(_ROWS, f"{step.run_id}/{step.number}"))


def _read(step: Step, *, whole: bool = True) -> dict[str, Any]:
    """Return the record of a step with secrets masked; inputs and outputs may have been cut out of a large one.

    :param whole: with inputs and outputs.
    """
    record: dict[str, Any] = json.loads(step.record)
    if not whole:
        # Before secrets are looked for: that takes thirty times as long as reading it.
        record.update(inputs={}, outputs={})
    record = mask(record, cut=False)
    for name in ("inputs", "outputs"):
        if not isinstance(record.get(name), dict):
            record[name] = {}
    return record


def _output(value: Any, step: Step) -> Any:
    if not isinstance(value, dict):
        return value
    if "message" not in value:
        return value.get("value")
    try:
        return read_message(value["message"], step.flow_id, step.run_id)
    except (AttributeError, LookupError, TypeError, ValueError):
        # A part of it was cut.
        return "..."


def _build(step: Step, *, whole: bool) -> dict[str, Any]:
    record = _read(step, whole=whole)
    result = _result(step, record)
    data = result.to_json()
    return {
        "id": result.vertex_id,
        "build_id": _id(step),
        "flow_id": step.flow_id,
        "job_id": step.run_id,
        "valid": step.status == "success",
        "timestamp": step.at,
        "params": record["error"] if whole else _LEFT_OUT.format(job_id=step.run_id),
        "artifacts": data["artifacts"],
        "data": data,
    }


def _transaction(step: Step, *, whole: bool) -> dict[str, Any]:
    worked = step.status == "success"
    record = _read(step) if whole else {}
    return {
        "id": _id(step),
        "timestamp": step.at,
        "vertex_id": step.vertex_id,
        "target_id": None,
        "inputs": (record["inputs"] if worked else {}) if whole else None,
        "outputs": _shown_outputs(record, step) if worked and whole else None,
        "status": "success" if worked else "error",
    }


def _shown_step(step: Step) -> dict[str, Any]:
    record = _read(step)
    ended, spent = parse_timestamp(step.at), spent_in(step)
    outputs = {name: _shown(value, step) for name, value in record["outputs"].items()}
    return {
        "number": step.number,
        "vertex_id": step.vertex_id,
        "name": record["name"],
        "type": record["type"],
        "status": step.status,
        "started_at": moment_text(ended - timedelta(seconds=record["seconds"])),
        "ended_at": step.at,
        "duration": record["seconds"],
        "inputs": record["inputs"],
        "outputs": {name: value["message"] if isinstance(value, dict) else value for name, value in outputs.items()},
        "untaken": record["untaken"],
        "used_frozen_result": record["frozen"],
        "error": record["error"],
        "usage": asdict(spent) if spent is not None else None,
    }


def _shown_outputs(record: dict[str, Any], step: Step) -> dict[str, Any]:
    shown = {name: _shown(value, step) for name, value in record["outputs"].items()}
    shown.update({name: {"message": "", "type": "text"} for name in record["untaken"]})
    return shown


def _shown(value: Any, step: Step) -> Any:
    if not isinstance(value, dict):
        return value
    if "message" in value:
        found = _output(value, step)
        return {"message": found.text if isinstance(found, Message) else found, "type": "text"}
    return {"message": value.get("value"), "type": value.get("kind", "unknown")}


def _run(row: Row[Any], *, vertices: bool = False) -> dict[str, Any]:
    record = mask(json.loads(row.record), cut=False) if row.record else {}
    # An external reason for the end of a run, such as a server shutdown, takes precedence over its own record.
    error = json.loads(row.error) if row.error else record.get("error")
    shown = {
        "id": row.id,
        "flow_id": row.flow_id,
        "flow_name": record.get("flow_name"),
        "content_hash": record.get("content_hash"),
        "session": record.get("session") or _session(row),
        "status": row.status,
        "kind": row.kind,
        "error": error and {"code": error[0], "message": error[1]},
        "accepted_at": row.accepted_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "duration": record.get("duration"),
        "warnings": record.get("warnings", []),
    }
    if vertices:
        known = record.get("vertices", [])
        entries = (dict(zip(_VERTEX, entry, strict=False)) for entry in known if type(entry) is list)
        shown["vertices"] = [{**entry, "session": entry["session"] or record["session"]} for entry in entries]
    return shown


def _session(row: Row[Any]) -> dict[str, Any] | None:
    """Return the session of a run without a record yet; its source is unknown."""
    if row.session_id is None:
        return None
    return {"id": json.loads(row.session_id), "source": None, "component": None}
