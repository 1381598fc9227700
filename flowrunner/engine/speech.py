"""Text that reaches a reader while it is being made: tokens of a reply, and replies cut short."""

from __future__ import annotations

import threading

from flowrunner.components import text_of
from flowrunner.engine.plan import PlannedVertex
from flowrunner.engine.state import RunState
from flowrunner.messages import Message, make_properties, new_id
from flowrunner.session import Session


class Speech:
    """Sends the tokens of one run to the chat output that will show them.

    The reply's message id is promised with the first token, and the message is announced once,
    empty and partial; the chat output stores the finished message under the same id.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._promised: dict[int, str] = {}
        self._spoken: dict[int, list[str]] = {}
        self._sessions: dict[int, Session] = {}

    def wanted_from(self, planned: PlannedVertex) -> bool:
        """Say whether anybody reads the tokens of a vertex."""
        return self._state.request.streaming and planned.stream_target is not None

    def promised(self, index: int) -> str | None:
        """Return the id that was promised for the message of a chat output."""
        return self._promised.get(index)

    def say(self, planned: PlannedVertex, session: Session, text: str) -> None:
        """Send a part of a vertex's text on."""
        target = planned.stream_target
        if target is None or not self._state.request.streaming:
            return
        with self._lock:
            first = target not in self._spoken
            self._spoken.setdefault(target, []).append(text)
            message_id = self._promised.setdefault(target, new_id())
            self._sessions.setdefault(target, session)
            if first and self._stores(target):
                self._state.memory.announce(self._opening(target, planned))
            self._state.events.send("token", text=text, message_id=message_id, vertex_id=planned.vertex.id)

    def keep(self) -> None:
        """Store what was said of replies that did not end, marked as partial."""
        for target, parts in self._spoken.items():
            if target not in self._state.results and self._stores(target):
                opening = self._opening(target, self._state.vertices[target])
                self._state.memory.append(opening.replace(text="".join(parts)))

    def _stores(self, index: int) -> bool:
        return self._state.vertices[index].values.get("should_store_message", True) is not False

    def _opening(self, target: int, speaker: PlannedVertex) -> Message:
        output, state = self._state.vertices[target], self._state
        session_id = state.frame.payload or output.session_setting or self._sessions[target].id
        return Message(
            id=self._promised[target],
            sender=text_of(output.values.get("sender")) or "Machine",
            sender_name=text_of(output.values.get("sender_name")) or "AI",
            session_id=session_id,
            flow_id=state.plan.flow.id,
            run_id=state.run_id,
            properties=make_properties(state="partial", source=speaker.source.to_json()),
            session_metadata={"graph_run_id": state.run_id},
        )
