"""Projects: named groups of an owner's flows; every owner has at least one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from flowrunner.errors import BadRequest, NotFound
from flowrunner.flows.naming import canonical_uuid
from flowrunner.memory.message import new_id, utc_now
from flowrunner.store.engine import go_alone, reading, writing
from flowrunner.store.flowrecord import checked_text, free_name, invalid
from flowrunner.store.tables import projects
from flowrunner.text.timestamps import moment_text

#: The name of the default project.
USUAL_NAME: Final = "Starter Project"
_USUAL_DESCRIPTION: Final = "Flows that are in no other project."
_LONGEST_NAME: Final = 255
_LONGEST_DESCRIPTION: Final = 10_000
_MOST_PROJECTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Project:
    """A project of one owner."""

    id: str
    owner: str
    name: str
    description: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the project as the API shows it."""
        return {"id": self.id, "name": self.name, "description": self.description, "parent_id": None}


def usual_project_id(owner: str) -> str:
    """Return the id of an owner's default project, which holds the flows that are in no other project."""
    return str(uuid5(NAMESPACE_URL, f"flowrunner:project:{owner}"))


class ProjectStore:
    """The projects of one runner. The members of a project are recorded in the flows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self, owner: str) -> list[Project]:
        """Return the projects of an owner: the default one first, the others by name."""
        with reading(self._engine) as connection:
            return _all(connection, owner)

    def get(self, project_id: str, owner: str) -> Project:
        """Return a project.

        :raises NotFound: if the owner has no project with this id.
        """
        with reading(self._engine) as connection:
            return _one(connection, project_id, owner)

    def create(self, owner: str, name: Any, description: Any = None) -> Project:
        """Create a project. A name that is already used gets a number.

        :raises RequestInvalid: if the name or description cannot be stored.
        :raises BadRequest: if the owner already has the maximum number of projects.
        """
        name, description = _name(name), _description(description)
        with writing(self._engine) as connection:
            go_alone(connection, f"projects of {owner}")
            there = _all(connection, owner)
            if len(there) >= _MOST_PROJECTS:
                raise BadRequest(f"You already have {len(there)} projects, which is the limit.")
            found = Project(new_id(), owner, free_name(name, {one.name for one in there}), description)
            _insert(connection, found)
        return found

    def update(self, project_id: str, owner: str, changes: Mapping[str, Any]) -> Project:
        """Change the name and description of a project; missing members leave them unchanged.

        :raises NotFound: if the owner has no project with this id.
        :raises RequestInvalid: if the name or description cannot be stored.
        :raises BadRequest: if the name is already used.
        """
        with writing(self._engine) as connection:
            go_alone(connection, f"projects of {owner}")
            before = _one(connection, project_id, owner)
            name = before.name if changes.get("name") is None else _name(changes["name"])
            description = _description(changes["description"]) if "description" in changes else before.description
            if name != before.name and name in {one.name for one in _all(connection, owner)}:
                raise BadRequest("Project name must be unique")
            found = Project(before.id, owner, name, description)
            same = (projects.c.owner == owner, projects.c.id == found.id)
            values = {"name": name, "description": description}
            if not connection.execute(update(projects).where(*same).values(**values)).rowcount:
                _insert(connection, found)
        return found

    def delete(self, project_id: str, owner: str) -> None:
        """Delete a project. For the default project, its name and description are reset.

        :raises NotFound: if the owner has no project with this id.
        """
        with writing(self._engine) as connection:
            found = _one(connection, project_id, owner)
            connection.execute(delete(projects).where(projects.c.owner == owner, projects.c.id == found.id))


def _all(connection: Connection, owner: str) -> list[Project]:
    rows = connection.execute(select(projects).where(projects.c.owner == owner).order_by(projects.c.name)).all()
    usual = usual_project_id(owner)
    found = [_read(row) for row in rows]
    first = [one for one in found if one.id == usual]
    if not first:
        name = free_name(USUAL_NAME, {one.name for one in found})
        first = [Project(usual, owner, name, _USUAL_DESCRIPTION)]
    return first + [one for one in found if one.id != usual]


def _one(connection: Connection, project_id: str, owner: str) -> Project:
    canonical = canonical_uuid(project_id)
    for found in _all(connection, owner):
        if found.id == canonical:
            return found
    raise NotFound("Project not found")


def _insert(connection: Connection, found: Project) -> None:
    row = {"owner": found.owner, "id": found.id, "name": found.name, "description": found.description}
    connection.execute(insert(projects).values(**row, created_at=moment_text(utc_now())))


def _read(row: Row[Any]) -> Project:
    return Project(row.id, row.owner, row.name, row.description)


def _name(value: Any) -> str:
    text = checked_text("name", value, _LONGEST_NAME)
    if not text.strip():
        raise invalid("name", "Project name cannot be empty")
    return text


def _description(value: Any) -> str | None:
    return None if value is None else checked_text("description", value, _LONGEST_DESCRIPTION)
