"""Decide which session a component uses; no other module does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from flowrunner.errors import SessionRequired

SessionSource = Literal["payload", "component", "edge", "flow", "generated"]
SESSION_POLICIES: Final = ("flow_id", "generate", "require")


@dataclass(frozen=True, slots=True)
class Session:
    """A session id and who decided it.

    ``source`` says what decided it in the first place; ``component`` is the id of the vertex whose
    setting or edge it was, also when the id arrived from upstream, and None otherwise.
    """

    id: str
    source: SessionSource
    component: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as answers and stored runs show it."""
        return {"id": self.id, "source": self.source, "component": self.component}


def resolve_session_id(
    *,
    vertex_id: str,
    edge: str | None = None,
    payload: str | None = None,
    setting: str | None = None,
    upstream: Sequence[Session | None] = (),
    conversation: Session | None = None,
    default: Session | None,
) -> Session:
    """Decide the session of one component. The first that is set wins; blank counts as not set.

    1. an edge into the vertex's own ``session_id`` input
    2. ``session_id`` in the request
    3. the component's own setting, or a tweak of it
    4. the session of the message that arrives from upstream: the first, in edge order, that has one
    5. the conversation's own id: the setting or tweak of the flow's first chat input
    6. the policy's default: the flow id or a fresh UUID

    :param vertex_id: id of the component's vertex.
    :param edge: text that an edge brought to the ``session_id`` input.
    :param payload: session id of the request.
    :param setting: the component's setting or tweak.
    :param upstream: sessions that arrive with values, in edge order; None for a value without one.
    :param conversation: row 5, where the flow has one.
    :param default: row 6; None where the policy is ``require``.
    :raises SessionRequired: if nothing is set and the policy is ``require``.
    """
    if edge:
        return Session(edge, "edge", vertex_id)
    if payload:
        return Session(payload, "payload")
    if setting:
        return Session(setting, "component", vertex_id)
    for session in upstream:
        if session is not None:
            return session
    if conversation is not None:
        return conversation
    if default is not None:
        return default
    raise SessionRequired("This server requires a session: send a session_id with the request.")
