"""The flow model: vertices and edges, independent of the file format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal


@dataclass(frozen=True, slots=True)
class Port:
    """An output that a flow file lists for a vertex: name, port types, and whether it is always live."""

    name: str
    types: tuple[str, ...] = ()
    group: bool = False


@dataclass(frozen=True, slots=True)
class Vertex:
    """One component of a flow.

    ``settings`` are the values that the flow's author set, by field name, as they stand in the
    file (without ``code`` and without hidden fields). ``hidden`` holds the values of fields that
    the file does not show; they apply only when tweaked by name. ``variables`` names the fields
    whose value is the name of a variable (``load_from_db``). ``field_types`` gives a field's type
    in the file, where it has one; ``protected`` the fields that a tweak may not touch; ``secrets``
    those that the author's form did not show in clear (they are masked in what is kept of a run).
    ``listed_outputs`` are the outputs in the file; ``selected_output`` the one its author chose.
    ``tool_name`` and ``description`` are what an agent is told of it in tool mode.
    ``position`` is ``(x, y)`` on the author's canvas. ``parent`` names the group it stood in.
    """

    id: str
    type: str
    display_name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    hidden: Mapping[str, Any] = field(default_factory=dict)
    variables: frozenset[str] = frozenset()
    field_types: Mapping[str, str] = field(default_factory=dict)
    protected: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    listed_outputs: tuple[Port, ...] = ()
    selected_output: str | None = None
    frozen: bool = False
    tool_mode: bool = False
    is_input: bool | None = None
    is_output: bool | None = None
    edited: bool = False
    description: str = ""
    tool_name: str = ""
    position: tuple[float, float] | None = None
    parent: str | None = None

    @property
    def shown_name(self) -> str:
        """The name for people, where no component is at hand to give one."""
        return self.display_name or self.type


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge from an output of one vertex to an input of another.

    ``output`` is None and ``input`` empty where the file names none (the only one is meant; see
    :class:`flowrunner.flows.ports.VertexPorts`). ``output_types`` and
    ``input_types`` are the port types in the file, empty where it gives none. ``feedback`` marks
    the edge that leads back into a loop's output.
    """

    source: str
    output: str | None
    target: str
    input: str
    output_types: tuple[str, ...] = ()
    input_types: tuple[str, ...] = ()
    feedback: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a reader of a flow noticed.

    ``level`` is ``error`` where the flow cannot run as it is, ``note`` where it runs as it should and there is
    something to know, else ``warning``. ``needs`` holds, for an unknown type, the fields and ports that a plugin
    would have to offer.
    """

    code: str
    message: str
    vertex: str | None = None
    type: str | None = None
    level: Literal["error", "warning", "note"] = "warning"
    needs: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as ``flowrunner check --json`` shows it."""
        shown: dict[str, Any] = {"code": self.code, "vertex": self.vertex, "type": self.type, "message": self.message}
        shown["level"] = self.level
        if self.needs is not None:
            shown["needs"] = dict(self.needs)
        return shown


#: Fields in which a component names the flow that it runs.
_NAMING: Final = ("flow_name_selected", "flow_name", "flow_id_selected", "flow_id")


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow: what is run.

    ``id`` is a UUID in canonical spelling. ``owner`` is None for a flow of a folder, which every
    owner may read and run. ``content_hash`` depends on what decides a run, and on nothing else.
    ``idempotent`` says that a run of it may be begun twice, after its process ended in the middle of it.
    ``examples`` are inputs that people may try. ``findings`` are what the reader noticed; ``name`` is
    for people, ``endpoint_name`` for addresses.
    """

    id: str
    name: str
    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]
    endpoint_name: str | None = None
    description: str = ""
    owner: str | None = None
    is_component: bool = False
    findings: tuple[Finding, ...] = ()
    content_hash: str = ""
    idempotent: bool = False
    examples: tuple[str, ...] = ()

    def names(self, text: str) -> bool:
        """Return whether the author of the flow named another one with this text: in a field for that, not in any."""
        return any(
            text == fields.get(name) for v in self.vertices for fields in (v.settings, v.hidden) for name in _NAMING
        )

    def vertex(self, vertex_id: str) -> Vertex | None:
        """Return the vertex of that id, or None."""
        return next((v for v in self.vertices if v.id == vertex_id), None)


def hash_content(vertices: tuple[Vertex, ...], edges: tuple[Edge, ...]) -> str:
    """Return the content hash of a graph: SHA-256, hexadecimal, over everything that decides a run.

    What is masked in the record of a run is part of it, since flows of one hash share a plan.
    """
    parts = [
        [
            [
                v.id,
                v.type,
                v.display_name,
                dict(v.settings),
                dict(v.hidden),
                sorted(v.variables),
                v.frozen,
                v.tool_mode,
                v.is_input,
                v.is_output,
                sorted(v.protected),
                sorted(v.secrets),
                dict(v.field_types),
                [[p.name, p.types, p.group] for p in v.listed_outputs],
                v.selected_output,
                [v.tool_name, v.description] if v.tool_mode else [],
            ]
            for v in vertices
        ],
        [[e.source, e.output, e.target, e.input, e.output_types, e.input_types, e.feedback] for e in edges],
    ]
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
