"""Reading the run log: builds, transactions and runs, as the monitor API shows them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, Row, Table, func, select, update

from flowrunner.engine.result import VertexResult
from flowrunner.errors import NotFound
from flowrunner.memory import EVERY_OWNER, Owner
from flowrunner.memory.message import parse_timestamp
from flowrunner.store.engine import reading, writing
from flowrunner.store.masking import mask
from flowrunner.store.messagerecord import read_message
from flowrunner.store.tables import runs, vertex_runs

_ROWS: Final = uuid.UUID("3a2f6a52-0d0c-5d7e-8a53-5f2f6f0f6a10")
_VERTEX: Final = ("id", "type", "status", "duration", "session")


class RunRecords:
    """What is kept of past runs. Every reading names its owner, or all of them.

    :param per_vertex: builds shown of a vertex at most.
    """

    def __init__(self, engine: Engine, per_vertex: int) -> None:
        self._engine = engine
        self._per_vertex = per_vertex

    def builds(self, flow_id: str, owner: Owner, *, every: bool = False) -> dict[str, list[dict[str, Any]]]:
        """Return the builds of a flow by vertex id.

        :param every: all attempts that are kept, newest first, failed ones too; else of each
            vertex the newest that succeeded.
        """
        table = vertex_runs.c
        wanted = (table.flow_id == flow_id, table.build, *_of(vertex_runs, owner))
        statement = select(vertex_runs).where(*wanted).order_by(table.seq.desc())
        if not every:
            newest = select(func.max(table.seq)).where(*wanted, table.status == "success").group_by(table.vertex_id)
            statement = select(vertex_runs).where(table.seq.in_(newest)).order_by(table.seq)
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self._rows(statement):
            builds = found.setdefault(json.loads(row.vertex_id), [])
            if len(builds) < self._per_vertex:
                builds.append(_build(row))
        return found

    def delete_builds(self, flow_id: str, owner: Owner) -> int:
        """Remove the builds of a flow and return how many that were; its transactions stay."""
        table = vertex_runs.c
        statement = update(vertex_runs).where(table.flow_id == flow_id, table.build, *_of(vertex_runs, owner))
        with writing(self._engine) as connection:
            return connection.execute(statement.values(build=False)).rowcount

    def transactions(self, flow_id: str, owner: Owner, *, page: int = 1, size: int = 50) -> dict[str, Any]:
        """Return a page of transactions of a flow, newest first, with the totals."""
        table = vertex_runs.c
        wanted = (table.flow_id == flow_id, *_of(vertex_runs, owner))
        statement = select(vertex_runs).where(*wanted).order_by(table.seq.desc()).limit(size).offset((page - 1) * size)
        with reading(self._engine) as connection:
            total = connection.execute(select(func.count()).select_from(vertex_runs).where(*wanted)).scalar_one()
            rows = connection.execute(statement).all()
        return {
            "items": [_transaction(row) for row in rows],
            "total": total,
            "page": page if total else 1,
            "size": size,
            "pages": -(-total // size),
        }

    def runs(
        self, owner: Owner, *, flow_id: str | None = None, flows: Sequence[str] | None = None,
        session_id: str | None = None, status: str | None = None, before: str | None = None, limit: int = 50,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Return runs, newest first, without their vertices.

        :param flows: ids of the only flows whose runs may be seen; None for all.
        :param before: id of a run; only those before it.
        """
        table = runs.c
        statement = select(runs).where(*_of(runs, owner)).order_by(table.seq.desc()).limit(limit)
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

    def run(self, run_id: str, owner: Owner) -> dict[str, Any]:
        """Return one run with its vertices and their timings.

        :raises NotFound: if there is none of that id for this owner.
        """
        statement = select(runs).where(runs.c.id == run_id, *_of(runs, owner)).order_by(runs.c.seq.desc()).limit(1)
        for row in self._rows(statement):
            return _run(row, vertices=True)
        raise NotFound("Run not found")

    def _rows(self, statement: Any) -> list[Row[Any]]:
        with reading(self._engine) as connection:
            return list(connection.execute(statement).all())


def _of(table: Table, owner: Owner) -> tuple[ColumnElement[bool], ...]:
    return () if owner is EVERY_OWNER else (table.c.owner == owner,)


def _result(row: Row[Any], record: dict[str, Any]) -> VertexResult:
    """Return the result as it was, but for what was masked and cut."""
    return VertexResult(
        vertex_id=json.loads(row.vertex_id),
        type=record["type"],
        display_name=record["name"],
        status=row.status,
        session=None,
        inputs=record["inputs"],
        outputs={name: _output(value, row) for name, value in record["outputs"].items()},
        kind=record["kind"],
        started_at=parse_timestamp(row.at),
        duration=record["seconds"],
        used_frozen_result=record["frozen"],
        error=record["error"],
        untaken=tuple(record["untaken"]),
    )


def _id(row: Row[Any]) -> str:
    """Return the id of a build or transaction: always the same for a row, and none needs to be kept."""
    return str(uuid.uuid5(_ROWS, f"{row.run_id}/{row.seq}"))


def _output(value: Any, row: Row[Any]) -> Any:
    if not isinstance(value, dict):
        return value
    return read_message(value["message"], row.flow_id, row.run_id) if "message" in value else value.get("value")


def _build(row: Row[Any]) -> dict[str, Any]:
    record = mask(json.loads(row.record), cut=False)
    result = _result(row, record)
    data = result.to_json()
    return {
        "id": result.vertex_id,
        "build_id": _id(row),
        "flow_id": row.flow_id,
        "job_id": row.run_id,
        "valid": row.status == "success",
        "timestamp": row.at,
        "params": record["error"],
        "artifacts": data["artifacts"],
        "data": data,
    }


def _transaction(row: Row[Any]) -> dict[str, Any]:
    record = mask(json.loads(row.record), cut=False)
    worked = row.status == "success"
    return {
        "id": _id(row),
        "timestamp": row.at,
        "vertex_id": json.loads(row.vertex_id),
        "target_id": None,
        "inputs": record["inputs"] if worked else {},
        "outputs": _shown_outputs(record, row) if worked else None,
        "status": row.status,
    }


def _shown_outputs(record: dict[str, Any], row: Row[Any]) -> dict[str, Any]:
    shown = {name: _shown(value, row) for name, value in record["outputs"].items()}
    shown.update({name: {"message": "", "type": "text"} for name in record["untaken"]})
    return shown


def _shown(value: Any, row: Row[Any]) -> Any:
    if not isinstance(value, dict):
        return value
    if "message" in value:
        return {"message": _output(value, row).text, "type": "text"}
    return {"message": value.get("value"), "type": value["kind"]}


def _run(row: Row[Any], *, vertices: bool = False) -> dict[str, Any]:
    record = mask(json.loads(row.record), cut=False) if row.record else {}
    # What ended a run from outside, such as a stop of the server, says more than the run's own record.
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
    """Return the session of a run that has no record of its own yet; what decided it is not known."""
    if row.session_id is None:
        return None
    return {"id": json.loads(row.session_id), "source": None, "component": None}
