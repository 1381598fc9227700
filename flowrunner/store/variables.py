"""Variables of an owner, encrypted at rest, which flows read by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Engine, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from flowrunner.errors import BadRequest, NotFound, RequestInvalid
from flowrunner.memory import EVERY_OWNER, Owner
from flowrunner.memory.message import new_id, utc_now
from flowrunner.store.bounds import NO_BOUND, Bound
from flowrunner.store.engine import go_alone, reading, writing
from flowrunner.store.secretbox import SecretBox
from flowrunner.store.stamp import Stamp, stamp_beside
from flowrunner.store.tables import variables
from flowrunner.text.json_text import is_unicode
from flowrunner.text.timestamps import moment_text

GENERIC: Final = "Generic"
CREDENTIAL: Final = "Credential"
VARIABLE_TYPES: Final = (GENERIC, CREDENTIAL)

#: In characters; longer values should be files.
LONGEST_VALUE: Final = 65_536
#: The maximum number of names in ``default_fields``, and of characters in each.
_MOST_FIELDS: Final = 100
_LONGEST_FIELD: Final = 255

_LEAST_SECRET: Final = 6
_MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as lists show it: the value of a credential is never shown."""

    id: str
    owner: str
    name: str
    type: str
    value: str | None
    has_value: bool
    default_fields: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the variable as the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "value": self.value,
            "has_value": self.has_value,
            "default_fields": list(self.default_fields),
            "is_owner": True,
            "can_manage_shares": True,
            "validation_error": None,
            "is_valid": None,
        }


class KeptVariable(NamedTuple):
    """A value, or None if it was encrypted with another key, and whether it is a credential."""

    value: str | None
    is_credential: bool


class VariableStore:
    """The stored variables of one runner.

    :param folder: the data folder; see :func:`~flowrunner.store.stamp.stamp_beside`.
    :param each: the limit for one owner.
    """

    def __init__(self, engine: Engine, folder: Path, box: SecretBox, *, each: Bound = NO_BOUND) -> None:
        self._engine = engine
        self._each = each
        self._box = box
        self._stamp = stamp_beside(engine, folder, "variables")
        # Only a SQLite file is certain to be used by this machine alone, so only there is the stamp reliable.
        self._may_remember = engine.dialect.name == "sqlite"
        self._cache: tuple[Stamp, dict[tuple[str, str], KeptVariable | None]] = (None, {})
        self._shown_once: dict[str, None] = {}

    def list(self, owner: Owner) -> list[Variable]:
        """Return the variables of an owner, by name."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(variables).where(*_of(owner)).order_by(variables.c.name)).all()
        return [self._variable(row) for row in rows]

    def get(self, variable_id: str, owner: Owner) -> Variable:
        """Return a variable.

        :raises NotFound: if the owner has no variable with this id.
        """
        with reading(self._engine) as connection:
            row = connection.execute(select(variables).where(variables.c.id == variable_id, *_of(owner))).first()
        if row is None:
            raise NotFound("Variable not found")
        return self._variable(row)

    def create(
        self, owner: str, name: str, value: str, *, type: str = GENERIC, default_fields: Sequence[str] = ()
    ) -> Variable:
        """Store a new variable.

        :raises BadRequest: if the name or value is empty or too long, the type is unknown, the name is
            already used, or the owner already has the maximum number of variables.
        """
        now = moment_text(utc_now())
        row = {
            "id": new_id(),
            "owner": owner,
            "created_at": now,
            "updated_at": now,
            **self._columns({"name": name, "value": value, "type": type, "default_fields": default_fields}),
        }
        try:
            with writing(self._engine) as connection:
                if not self._each.is_none:
                    go_alone(connection, f"variables of {owner}")
                    mine = select(func.count()).select_from(variables).where(variables.c.owner == owner)
                    self._each.check(connection.execute(mine).scalar_one())
                connection.execute(insert(variables).values(**row))
        except IntegrityError as error:
            raise BadRequest("Variable name already exists") from error
        self._stamp.touch()
        return self.get(row["id"], owner)

    def declare(self, owner: str, name: str, *, type: str = GENERIC, default_fields: Sequence[str] = ()) -> Variable:
        """Store a variable without a value, to be set later.

        :raises BadRequest: as in :meth:`create`.
        """
        made = self.create(owner, name, "-", type=type, default_fields=default_fields)
        with writing(self._engine) as connection:
            connection.execute(update(variables).where(variables.c.id == made.id).values(value=None))
        self._stamp.touch()
        return self.get(made.id, owner)

    def update(self, variable_id: str, owner: Owner, changes: Mapping[str, Any]) -> Variable:
        """Change a variable: ``name``, ``value``, ``type`` or ``default_fields``.

        :raises NotFound: if the owner has no variable with this id.
        :raises BadRequest: as in :meth:`create`, and for a change that would reveal the value of a credential.
        """
        if changes.get("type") == GENERIC and changes.get("value") is None:
            self._refuse_showing(variable_id, owner)
        values = {"updated_at": moment_text(utc_now()), **self._columns(changes)}
        statement = update(variables).where(variables.c.id == variable_id, *_of(owner)).values(**values)
        try:
            with writing(self._engine) as connection:
                changed = connection.execute(statement).rowcount
        except IntegrityError as error:
            raise BadRequest("Variable name already exists") from error
        if not changed:
            raise NotFound("Variable not found")
        self._stamp.touch()
        return self.get(variable_id, owner)

    def _refuse_showing(self, variable_id: str, owner: Owner) -> None:
        if self.get(variable_id, owner).type == CREDENTIAL:
            raise BadRequest(
                "The value of a credential is never shown: set a new value together with the type Generic."
            )

    def delete(self, variable_id: str, owner: Owner) -> None:
        """Delete a variable.

        :raises NotFound: if the owner has no variable with this id.
        """
        with writing(self._engine) as connection:
            gone = connection.execute(delete(variables).where(variables.c.id == variable_id, *_of(owner))).rowcount
        if not gone:
            raise NotFound("Variable not found")
        self._stamp.touch()

    def find(self, owner: str, name: str) -> KeptVariable | None:
        """Return a variable of an owner with its value, or None if it does not exist."""
        stamp = self._stamp.read()
        cache = self._cache
        if cache[0] != stamp or not self._may_remember or len(cache[1]) > _MOST_REMEMBERED:
            cache = self._cache = (stamp, {})
        key = (owner, name)
        if key not in cache[1]:
            cache[1][key] = self._look_up(owner, name)
        return cache[1].get(key)

    def known_secrets(self) -> Sequence[str]:
        """Return the values that this process has read, so that the run log can mask them."""
        return tuple(self._shown_once)

    def _look_up(self, owner: str, name: str) -> KeptVariable | None:
        wanted = select(variables.c.value, variables.c.type).where(variables.c.owner == owner, variables.c.name == name)
        with reading(self._engine) as connection:
            row = connection.execute(wanted).first()
        if row is None or row.value is None:
            return None
        value = self._box.open(row.value)
        if value is not None and row.type == CREDENTIAL and len(value) >= _LEAST_SECRET:
            if len(self._shown_once) >= _MOST_REMEMBERED:
                self._shown_once.pop(next(iter(self._shown_once)), None)
            self._shown_once[value] = None
        return KeptVariable(value, row.type == CREDENTIAL)

    def _columns(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Validate members and return them as columns; members that are None are left unchanged."""
        given = {name: value for name, value in changes.items() if value is not None}
        columns: dict[str, Any] = {}
        for member in given.keys() & {"name", "value", "type"}:
            if not isinstance(given[member], str):
                entry = {"type": "string_type", "loc": ["body", member], "msg": "Input should be a valid string"}
                raise RequestInvalid(f"{member}: Input should be a valid string", [entry])
        if "name" in given:
            name = given["name"].strip()
            if not name:
                raise BadRequest("Variable name cannot be empty")
            if "\0" in name or len(name) > 255 or not is_unicode(name):
                raise BadRequest("A variable name must be plain text of at most 255 characters")
            columns["name"] = name
        if "value" in given:
            if not given["value"]:
                raise BadRequest("Variable value cannot be empty")
            if len(given["value"]) > LONGEST_VALUE:
                raise BadRequest(f"The value of a variable must be a string of at most {LONGEST_VALUE} characters")
            columns["value"] = self._box.close(given["value"])
        if "type" in given:
            if given["type"] not in VARIABLE_TYPES:
                raise BadRequest(f"The type of a variable must be {' or '.join(VARIABLE_TYPES)}")
            columns["type"] = given["type"]
        if "default_fields" in given:
            columns["default_fields"] = json.dumps(_texts("default_fields", given["default_fields"]))
        return columns

    def _variable(self, row: Row[Any]) -> Variable:
        shown = None if row.type == CREDENTIAL or row.value is None else self._box.open(row.value)
        return Variable(
            id=row.id,
            owner=row.owner,
            name=row.name,
            type=row.type,
            value=shown,
            has_value=bool(row.value),
            default_fields=tuple(json.loads(row.default_fields)),
        )


def _of(owner: Owner) -> tuple[ColumnElement[bool], ...]:
    return () if owner is EVERY_OWNER else (variables.c.owner == owner,)


def _texts(member: str, value: Any) -> list[str]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        message = "Input should be a list of strings"
        raise RequestInvalid(f"{member}: {message}", [{"type": "list_type", "loc": ["body", member], "msg": message}])
    if len(value) > _MOST_FIELDS or any(len(item) > _LONGEST_FIELD for item in value):
        raise BadRequest(f"{member} may have at most {_MOST_FIELDS} names of at most {_LONGEST_FIELD} characters each")
    return list(value)
