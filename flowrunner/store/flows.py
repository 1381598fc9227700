"""The store of flows created over the API, each with an owner."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, literal, or_, select, update

from flowrunner.errors import BadRequest, Conflict, FlowNotFound, RequestInvalid
from flowrunner.flows.model import Flow
from flowrunner.flows.naming import canonical_uuid, is_endpoint_name
from flowrunner.flows.parsing import Limits
from flowrunner.flows.reading import read_flow
from flowrunner.memory import EVERY_OWNER, Owner
from flowrunner.memory.message import new_id, utc_now
from flowrunner.store.bounds import NO_BOUND, Bound
from flowrunner.store.engine import go_alone, reading, writing
from flowrunner.store.flowrecord import StoredFlow, check_values, extra_of, free_endpoint_name, free_name, read_row
from flowrunner.store.secretbox import SecretBox
from flowrunner.store.stamp import Stamp, stamp_beside
from flowrunner.store.tables import flows
from flowrunner.text.timestamps import moment_text

_MOST_FOUND: Final = 10_000
_MOST_PARSED: Final = 500


class FlowStore:
    """The stored flows of one runner.

        :param folder: the data folder; see :func:`~flowrunner.store.stamp.stamp_beside`.
    :param taken: returns whether a flow from a folder has an id or endpoint name, so that stored flows cannot use it.
    :param box: encrypts the credentials in flows; without it they are stored unchanged.
    :param each: the limit for one owner.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        max_vertices: int = 5000,
        taken: Callable[[str], bool] = lambda name: False,
        box: SecretBox | None = None,
        each: Bound = NO_BOUND,
    ) -> None:
        self._engine = engine
        self._box = box
        self._limits = Limits(max_vertices=max_vertices)
        self._taken = taken
        self._each = each
        self._stamp = stamp_beside(engine, folder, "flows")
        # Only a SQLite file is certain to be used by this machine alone, so only there is the stamp reliable.
        self._may_remember = engine.dialect.name == "sqlite"
        self._found: tuple[Stamp, dict[tuple[str, str], Flow | None]] = (None, {})
        self._parsed: dict[tuple[str, str], tuple[str, Flow]] = {}

    def find(self, id_or_name: str, owner: str) -> Flow | None:
        """Return the owner's flow with an id (in any spelling of a UUID) or endpoint name, or None.

        :raises FlowInvalid: if the stored data cannot be read as a flow.
        """
        stamp = self._stamp.read()
        found = self._found
        if found[0] != stamp or not self._may_remember or len(found[1]) > _MOST_FOUND:
            found = self._found = (stamp, {})
        key = (owner, id_or_name)
        if key not in found[1]:
            found[1][key] = self._look_up(id_or_name, owner)
        return found[1].get(key)

    def find_named(self, name: str, owner: str) -> Flow | None:
        """Return the owner's flow with a name, or None.

        :raises FlowInvalid: if the stored data cannot be read as a flow.
        """
        with reading(self._engine) as connection:
            wanted = select(flows.c.id).where(flows.c.owner == owner, flows.c.name == name)
            found = connection.execute(wanted).scalar()
        return self.find(found, owner) if found is not None else None

    def get(self, flow_id: str, owner: Owner) -> StoredFlow:
        """Return a flow as it is stored.

        :raises FlowNotFound: if the owner has no flow with this id.
        """
        with reading(self._engine) as connection:
            return self._fetch(connection, flow_id, owner)

    def list(
        self, owner: Owner, *, is_component: bool | None = None, limit: int | None = None, offset: int = 0
    ) -> list[StoredFlow]:
        """Return the flows of an owner, oldest first."""
        statement = select(flows).where(*_of(owner), *_components(is_component))
        statement = statement.order_by(flows.c.created_at, flows.c.id).limit(limit).offset(offset)
        with reading(self._engine) as connection:
            return [read_row(row, self._box) for row in connection.execute(statement)]

    def count(self, owner: Owner, *, is_component: bool | None = None) -> int:
        """Return the number of flows of an owner."""
        statement = select(func.count()).select_from(flows).where(*_of(owner), *_components(is_component))
        with reading(self._engine) as connection:
            return connection.execute(statement).scalar_one()

    def create(self, owner: str, values: Mapping[str, Any]) -> StoredFlow:
        """Store a new flow. A name or endpoint name that is already used gets a number.

        :param values: the members of the flow, as in the API.
        :raises RequestInvalid: if a member cannot be stored.
        :raises Conflict: if the id is already used.
        :raises BadRequest: if the owner already has the maximum number of flows.
        :raises BodyTooLarge: if the owner's flows would be too large in total.
        """
        return self._insert_all(owner, [self._check_new(values)])[0]

    def create_many(self, owner: str, several: Iterable[Mapping[str, Any]]) -> Sequence[StoredFlow]:
        """Store several new flows, all or none; see :meth:`create`.

        :raises RequestInvalid: if a flow cannot be stored, naming it as an entry of ``flows``.
        """
        checked = []
        for index, values in enumerate(several):
            try:
                checked.append(self._check_new(values))
            except RequestInvalid as error:
                raise _among_flows(error, index) from None
        return self._insert_all(owner, checked)

    def update(self, flow_id: str, owner: Owner, changes: Mapping[str, Any]) -> StoredFlow:
        """Change members of a flow.

        :raises FlowNotFound: if the owner has no flow with this id.
        :raises BadRequest: if the name or endpoint name is already used.
        :raises RequestInvalid: if a member cannot be stored.
        """
        columns = check_values(changes, self._limits.max_vertices, self._box)
        with writing(self._engine) as connection:
            found = self._fetch(connection, flow_id, owner)
            go_alone(connection, f"flows of {found.owner}")
            stored = self._change(connection, found, columns, extra_of(changes))
        self._stamp.touch()
        return stored

    def put(self, flow_id: str, owner: str, values: Mapping[str, Any]) -> tuple[StoredFlow, bool]:
        """Replace a flow, or create it with this id; return the flow, and whether it is new.

        :raises BadRequest, RequestInvalid, Conflict: as :meth:`update` and :meth:`create` do.
        """
        try:
            return self.update(flow_id, owner, values), False
        except FlowNotFound:
            return self.create(owner, {**values, "id": flow_id}), True

    def delete(self, flow_id: str, owner: Owner) -> None:
        """Delete a flow; its messages are kept.

        :raises FlowNotFound: if the owner has no flow with this id.
        """
        if not self.delete_many([flow_id], owner):
            raise FlowNotFound("Flow not found")

    def delete_many(self, flow_ids: Iterable[str], owner: Owner) -> int:
        """Delete the flows that belong to the owner, and return their number."""
        ids = [found for flow_id in flow_ids if (found := canonical_uuid(flow_id))]
        with writing(self._engine) as connection:
            gone = connection.execute(delete(flows).where(flows.c.id.in_(ids), *_of(owner))).rowcount
        if gone:
            self._stamp.touch()
        return gone

    def _look_up(self, id_or_name: str, owner: str) -> Flow | None:
        canonical = canonical_uuid(id_or_name)
        if canonical is None and not is_endpoint_name(id_or_name):
            return None
        named = or_(flows.c.id == canonical, flows.c.endpoint_name == id_or_name)
        wanted = select(flows.c.id, flows.c.version).where(flows.c.owner == owner, named)
        with reading(self._engine) as connection:
            rows = sorted(connection.execute(wanted).all(), key=lambda row: row.id != canonical)
            if not rows:
                return None
            key = (owner, rows[0].id)
            known = self._parsed.get(key)
            if known is not None and known[0] == rows[0].version:
                return known[1]
            stored = self._fetch(connection, rows[0].id, owner)
        flow = _parse(stored, self._limits)
        if len(self._parsed) >= _MOST_PARSED:
            self._parsed.clear()
        self._parsed[key] = (stored.version, flow)
        return flow

    def _fetch(self, connection: Connection, flow_id: str, owner: Owner) -> StoredFlow:
        canonical = canonical_uuid(flow_id)
        row = connection.execute(select(flows).where(flows.c.id == canonical, *_of(owner))).first()
        if row is None:
            raise FlowNotFound("Flow not found")
        return read_row(row, self._box)

    def _check_new(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Validate a new flow and return its columns."""
        columns = check_values(values, self._limits.max_vertices, self._box)
        if "name" not in columns:
            raise RequestInvalid(
                "name: Field required.", [{"type": "missing", "loc": ["body", "name"], "msg": "Field required"}]
            )
        return {**columns, "id": self._new_id(values.get("id")), "extra": json.dumps(extra_of(values))}

    def _new_id(self, given: Any) -> str:
        if given is None:
            return new_id()
        flow_id = canonical_uuid(given)
        if flow_id is None:
            raise RequestInvalid(
                "id: must be a UUID.",
                [{"type": "uuid_parsing", "loc": ["body", "id"], "msg": "Input should be a valid UUID"}],
            )
        if self._taken(flow_id):
            raise Conflict("A flow in a flows folder has this id.")
        return flow_id

    def _insert_all(self, owner: str, several: Sequence[Mapping[str, Any]]) -> Sequence[StoredFlow]:
        with writing(self._engine) as connection:
            # Names depend on the existing ones, so only one transaction at a time may choose.
            go_alone(connection, f"flows of {owner}")
            if not self._each.is_none:
                have = _amount(connection, owner)
                self._each.check(*have, more=len(several), bytes_more=sum(map(_size_of, several)))
            stored = [self._insert(connection, owner, columns) for columns in several]
        self._stamp.touch()
        return stored

    def _insert(self, connection: Connection, owner: str, columns: Mapping[str, Any]) -> StoredFlow:
        flow_id = columns["id"]
        if connection.execute(select(flows.c.id).where(flows.c.id == flow_id, flows.c.owner == owner)).first():
            raise Conflict("A flow with this id already exists.")
        now = moment_text(utc_now())
        row = {
            "description": None,
            "is_component": False,
            "endpoint_name": None,
            **columns,
            "owner": owner,
            "name": free_name(columns["name"], _names(connection, owner, flows.c.name, columns["name"])),
            "version": new_id(),
            "created_at": now,
            "updated_at": now,
        }
        wanted = row["endpoint_name"]
        if wanted is not None:
            others = _names(connection, owner, flows.c.endpoint_name, wanted)
            name = free_endpoint_name(wanted, others)
            while self._taken(name):
                others.add(name)
                name = free_endpoint_name(wanted, others)
            row["endpoint_name"] = name
        connection.execute(insert(flows).values(**row))
        return self._fetch(connection, flow_id, owner)

    def _change(
        self, connection: Connection, stored: StoredFlow, columns: dict[str, Any], extra: Mapping[str, Any]
    ) -> StoredFlow:
        for field, words in (("endpoint_name", "Endpoint name"), ("name", "Name")):
            wanted = columns.get(field)
            if wanted is None or wanted == getattr(stored, field):
                continue
            taken = field == "endpoint_name" and self._taken(wanted)
            if taken or wanted in _names(connection, stored.owner, flows.c[field], wanted):
                raise BadRequest(f"{words} must be unique")
        row: dict[str, Any] = {
            **columns,
            "extra": json.dumps({**stored.extra, **extra}),
            "version": new_id(),
            "updated_at": moment_text(utc_now()),
        }
        same = (flows.c.id == stored.id, flows.c.owner == stored.owner)
        if self._each.size is not None:
            before = connection.execute(select(*(flows.c[name] for name in _SIZED)).where(*same)).one()
            growth = sum(
                len(row[name] or "") - len(kept or "") for name, kept in before._mapping.items() if name in row
            )
            if growth > 0:
                self._each.check(0, _amount(connection, stored.owner)[1], more=0, bytes_more=growth)
        connection.execute(update(flows).where(*same).values(**row))
        return self._fetch(connection, stored.id, stored.owner)


def _parse(stored: StoredFlow, limits: Limits) -> Flow:
    """Parse a flow from its data; other members come from the columns of the store."""
    raw = {"data": stored.data, "is_component": stored.is_component}
    return dataclasses.replace(
        read_flow(raw, name_hint=stored.name, limits=limits),
        id=stored.id,
        name=stored.name,
        endpoint_name=stored.endpoint_name,
        description=stored.description or "",
        owner=stored.owner,
    )


def _among_flows(error: RequestInvalid, index: int) -> RequestInvalid:
    """Return the error of a flow as the error of an entry in a list."""
    entries = [{**entry, "loc": ["body", "flows", index, *entry["loc"][1:]]} for entry in error.detail]
    return RequestInvalid(f"flows[{index}].{error.message}", entries)


def _names(connection: Connection, owner: str, column: ColumnElement[Any], wanted: str) -> set[str]:
    """Return the owner's names that begin with the requested one."""
    found = select(column).where(flows.c.owner == owner, column.startswith(wanted, autoescape=True))
    return set(connection.execute(found).scalars())


#: The columns that count for the size of a flow; all but descriptions are ASCII.
_SIZED: Final = ("data", "extra", "description")


def _size_of(columns: Mapping[str, Any]) -> int:
    return sum(len(columns.get(name) or "") for name in _SIZED)


def _amount(connection: Connection, owner: str) -> tuple[int, int]:
    """Return the number of an owner's flows, and their size in bytes."""
    bytes_each = sum((func.coalesce(func.length(flows.c[name]), 0) for name in _SIZED), start=literal(0))
    counted = select(func.count(), func.coalesce(func.sum(bytes_each), 0)).where(flows.c.owner == owner)
    number, size = connection.execute(counted).one()
    return int(number), int(size)


def _of(owner: Owner) -> tuple[ColumnElement[bool], ...]:
    return () if owner is EVERY_OWNER else (flows.c.owner == owner,)


def _components(wanted: bool | None) -> tuple[ColumnElement[bool], ...]:
    return () if wanted is None else (flows.c.is_component == wanted,)
