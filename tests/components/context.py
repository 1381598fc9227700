"""Driving one component without an engine: a context that keeps messages in a list."""

from __future__ import annotations

from typing import Any

from flowrunner import BadRequest, CancelToken, Component, Message, RunContext, Session, Source, new_id
from flowrunner.engine.values import convert

FLOW = "11111111-1111-4111-8111-111111111111"
RUN = "22222222-2222-4222-8222-222222222222"


class ListMemory:
    """What a run gives a component to store and read by, with a list behind it."""

    def __init__(self, run_id: str = RUN) -> None:
        self.run_id = run_id
        self.rows: list[Message] = []
        self.queries: list[dict[str, Any]] = []

    def append(self, message: Message) -> Message:
        missing = message.missing_to_store()
        assert not missing, f"stored without {missing}"
        bound = message.replace(
            id=message.id or new_id(),
            flow_id=FLOW,
            run_id=self.run_id,
            session_metadata={"graph_run_id": self.run_id},
            owner="ann",
        )
        for index, row in enumerate(self.rows):
            if row.id == bound.id:
                assert row.run_id == self.run_id, "a row of another run was changed"
                self.rows[index] = bound
                return bound
        self.rows.append(bound)
        return bound

    def fetch(self, *, session_id: str, limit: int | None = None, **query: Any) -> list[Message]:
        self.queries.append({"session_id": session_id, "limit": limit, **query})
        found = [
            row
            for row in self.rows
            if row.session_id == session_id
            and row.run_id != self.run_id
            and not row.error
            and all(getattr(row, name) == value for name, value in query.items())
        ]
        return found if limit is None else found[len(found) - min(limit, len(found)) :]

    @property
    def of_owner(self) -> Any:
        raise AssertionError("no component looks at other flows")


def stored_file(name: str) -> str:
    """Know one file; any other is not the owner's."""
    if name != f"{FLOW}/note.txt":
        raise BadRequest(f"The file {name} is not there.")
    return name


def make_context(memory: ListMemory | None = None, **changes: Any) -> RunContext:
    """Return a context of a vertex; ``session`` may be given as plain text."""
    session = changes.pop("session", "s1")
    members: dict[str, Any] = {
        "flow_id": FLOW,
        "flow_name": "flow",
        "run_id": RUN,
        "vertex_id": "Vertex-1",
        "display_name": "Vertex",
        "owner": "ann",
        "session": Session(session, "payload"),
        "memory": ListMemory() if memory is None else memory,
        "cancelled": CancelToken(),
        "variable": lambda name: None,
        "settings": None,
        "run_flow": None,
        "stored_file": stored_file,
        "flow_values": {},
    }
    members.update(changes)
    return RunContext(**members)


def from_vertex(vertex_id: str, display_name: str, input_name: str = "input_value") -> dict[str, list[Source]]:
    """Return the sources of a context one of whose inputs an edge feeds."""
    return {input_name: [Source(vertex_id, display_name, display_name)]}


def run(component: Component, context: RunContext | None = None, /, **values: Any) -> Any:
    """Run a component on settings and values, converted and with defaults as an engine does it.

    Values that are messages or tables are handed over as an edge would bring them.
    """
    context = make_context() if context is None else context
    given: dict[str, Any] = {}
    for declared in component.inputs_for(values):
        name = next((n for n in (declared.name, *declared.aliases) if n in values), declared.name)
        value = values.get(name)
        arrives = isinstance(value, (Message, list, dict)) or not isinstance(value, (str, int, float, bool, type(None)))
        given[declared.name] = value if arrives and not declared.many else convert(declared, value)
    return component.run(context, **given)
