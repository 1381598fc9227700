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

#: The input that every vertex has for its session, declared or not.
SESSION_INPUT: Final = "session_id"


@dataclass(frozen=True, slots=True)
class PlannedEdge:
    """An edge joined to ports: positions of its vertices in the plan, names of output and input.

    ``output`` is None for a tool edge. ``back`` says that it closes a cycle: what it brings begins the
    next round.
    """

    source: int
    output: str | None
    target: int
    input: str
    back: bool = False


@dataclass(slots=True)
class PlannedVertex:
    """A vertex with its component.

    ``values`` are its settings, converted, with defaults filled in; ``variables`` the names of
    variables by input; ``own`` the names of inputs that no edge feeds. ``undeclared`` are settings
    of the file that the component does not take; they are only shown. ``outputs`` says the port type
    of each output. ``incoming`` are its edges
    in the order of the file, ``outgoing`` the edges that leave it. ``wanted`` names the outputs
    from which one leads on, ``returned`` those from which one leads back into a loop. ``in_cycle`` says
    that it may run several times, ``leads_back`` names the outputs that lead to it again. ``watched``
    says that a frozen vertex makes something of what it gives, or that it is one.
    ``stream_targets`` are the chat outputs that may show its text as it is: its tokens are theirs.
    ``is_guarded`` says that it has an address and asks no policy, so that secrets are left out where
    they may not go there.
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

    ``vertices`` stand in the order of the file. ``scope`` are the positions of those that a run may
    run, ``waiting`` says of each how many edges it waits for, ``dependants`` which edges wait for
    it. ``loops`` are those vertices of the scope whose bodies run again for each item; the members of
    the bodies are not in the scope. ``cycles`` are those whose head is in the scope; their other members are
    not. ``warnings`` are sentences about what is left out.
    ``conversation`` is row 5 of the session rule: the setting of the first chat input. ``targets`` is
    what tweaks can name.
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
        """The positions of all that a run may run: the scope, and what stands in loops and cycles."""
        inside: tuple[PlannedLoop | PlannedCycle, ...] = (*self.loops.values(), *self.cycles.values())
        return set(self.scope).union(*(part.members for part in inside))

    @property
    def conversation(self) -> Session | None:
        """The session that the first chat input's own setting names, if any."""
        if self.chat_input is None:
            return None
        planned = self.vertices[self.chat_input]
        text = planned.session_setting
        return Session(text, "component", planned.vertex.id) if text else None
