"""The parts of a plan: vertices with their components, and the edges between their ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from flowrunner.components.context import Source
from flowrunner.components.contract import Component
from flowrunner.components.ports import Input
from flowrunner.engine.targets import TweakTargets
from flowrunner.flows.model import Flow, Vertex
from flowrunner.session import Session

if TYPE_CHECKING:
    from flowrunner.engine.cycles import PlannedCycle
    from flowrunner.engine.loops import PlannedLoop

#: The name of the session input, which every vertex has, declared or not.
SESSION_INPUT: Final = "session_id"


@dataclass(frozen=True, slots=True)
class PlannedEdge:
    """An edge between ports: the positions of its vertices in the plan, and the names of output and input.

    ``output`` is None for an edge that passes a tool. ``back`` means that the edge closes a cycle: its value is used
    in the next round.
    """

    source: int
    output: str | None
    target: int
    input: str
    back: bool = False


@dataclass(slots=True)
class PlannedVertex:
    """A vertex with its component.

    ``values`` are its converted settings with defaults filled in, ``variables`` the names of variables by input,
    ``own`` the names of inputs without an edge. ``undeclared`` are settings in the file that the component does not
    declare; they are only shown. ``outputs`` has the port type of each output. ``incoming`` holds its incoming edges
    in the order of the file, ``outgoing`` the outgoing ones. ``wanted`` names the outputs with an edge, ``returned``
    those with an edge back into a loop. ``in_cycle`` means that it may run several times; ``leads_back`` names the
    outputs with edges inside its cycle. ``watched`` means that it is frozen, or that a frozen vertex depends on it.
    ``stream_targets`` are the chat outputs that may show its text unchanged, and so stream its tokens. ``is_guarded``
    means that it has an address and does not ask the policy itself, so secrets that may not be sent to the address
    are removed from its values.
    """

    index: int
    vertex: Vertex
    component: Component
    display_name: str
    inputs: dict[str, Input]
    values: dict[str, Any]
    variables: dict[str, str]
    session_setting: str
    source: Source
    outputs: Mapping[str, str] = field(default_factory=dict)
    incoming: list[PlannedEdge] = field(default_factory=list)
    outgoing: list[PlannedEdge] = field(default_factory=list)
    connected: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()
    is_guarded: bool = False
    undeclared: dict[str, Any] = field(default_factory=dict)
    kind: str | None = None
    is_input: bool = False
    is_output: bool = False
    as_tool: bool = False
    reads_history: bool = False
    stream_targets: tuple[int, ...] = ()
    wanted: frozenset[str] = frozenset()
    returned: tuple[str, ...] = ()
    in_cycle: bool = False
    leads_back: frozenset[str] = frozenset()
    watched: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A flow ready to run.

    ``vertices`` are in the order of the file. ``scope`` holds the positions of the vertices that run; ``waiting`` has
    the number of edges that each waits for, ``dependants`` the edges that wait for it. ``loops`` are the vertices of
    the scope whose bodies run once per item; the bodies themselves are not in the scope. ``cycles`` are those whose
    head is in the scope; their other members are not. ``warnings`` are sentences about parts that are left out.
    ``conversation`` is row 5 of the session rule: the setting of the first chat input. ``targets`` indexes what
    tweaks can name.
    """

    flow: Flow
    vertices: tuple[PlannedVertex, ...]
    scope: tuple[int, ...]
    warnings: tuple[str, ...]
    chat_input: int | None
    dependants: Mapping[int, tuple[PlannedEdge, ...]]
    waiting: Mapping[int, int]
    targets: TweakTargets
    loops: Mapping[int, PlannedLoop] = field(default_factory=dict)
    cycles: Mapping[int, PlannedCycle] = field(default_factory=dict)

    @property
    def running(self) -> set[int]:
        """The positions of all vertices that may run: the scope, and the members of loops and cycles."""
        inside: tuple[PlannedLoop | PlannedCycle, ...] = (*self.loops.values(), *self.cycles.values())
        return set(self.scope).union(*(part.members for part in inside))

    @property
    def conversation(self) -> Session | None:
        """The session in the settings of the first chat input, or an empty string."""
        if self.chat_input is None:
            return None
        planned = self.vertices[self.chat_input]
        text = planned.session_setting
        return Session(text, "component", planned.vertex.id) if text else None
