"""Stream text to readers while a model generates it, including replies that are cut short."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowrunner.components.values import text_of
from flowrunner.engine.planned import PlannedVertex
from flowrunner.engine.state import RunState
from flowrunner.memory.message import Message, make_properties, new_id
from flowrunner.session import Session


@dataclass(slots=True)
class _Said:
    """The text of one reply so far, and the id under which it will be stored."""

    speaker: PlannedVertex
    session: Session
    message_id: str
    parts: list[str] = field(default_factory=list)
    blocks: tuple[Mapping[str, Any], ...] = ()
    taken: int | None = None


class Speech:
    """Sends the tokens of one run to the chat output that will show them.

    The first token announces the message once, empty and marked as partial, with its final id; the chat output stores
    the finished message under that id. Behind a router, the chat output that runs takes over the id.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._said: dict[tuple[int, ...], _Said] = {}

    def wanted_from(self, planned: PlannedVertex) -> bool:
        """Return whether the tokens of a vertex are streamed."""
        return self._state.request.streaming and bool(planned.stream_targets)

    def promised(self, index: int) -> str | None:
        """Return the id announced for the message of a chat output, and mark it as used."""
        if not self._said:
            return None
        with self._lock:
            for targets, said in self._said.items():
                if index in targets and said.taken is None:
                    said.taken = index
                    return said.message_id
        return None

    def say(self, planned: PlannedVertex, session: Session, text: str) -> None:
        """Send a part of a vertex's text to readers."""
        if not self.wanted_from(planned):
            return
        with self._lock:
            said = self._opened(planned, session)
            if said.speaker is not planned:
                # Parts of two vertices at a time would be mixed up; the finished message has both.
                return
            said.parts.append(text)
            self._state.events.send("token", text=text, message_id=said.message_id, vertex_id=planned.vertex.id)

    def show(self, planned: PlannedVertex, session: Session, message: Message) -> None:
        """Show the steps of an agent. The text so far becomes a step, and the reply starts again."""
        if not self.wanted_from(planned):
            return
        with self._lock:
            said = self._opened(planned, session)
            said.parts.clear()
            said.blocks = message.content_blocks
            if self._stores(planned):
                self._state.memory.announce(self._opening(said))

    def keep(self) -> None:
        """Store unfinished replies, marked as partial."""
        with self._lock:
            cut = [said for said in self._said.values() if said.taken not in self._state.results]
        for said in cut:
            if self._stores(said.speaker):
                self._state.memory.append(self._opening(said).replace(text="".join(said.parts)))

    def _opened(self, planned: PlannedVertex, session: Session) -> _Said:
        said = self._said.get(planned.stream_targets)
        if said is None:
            said = _Said(planned, session, new_id())
            self._said[planned.stream_targets] = said
            if self._stores(planned):
                self._state.memory.announce(self._opening(said))
        return said

    def _stores(self, speaker: PlannedVertex) -> bool:
        target = self._state.vertices[speaker.stream_targets[0]]
        return target.values.get("should_store_message", True) is not False

    def _opening(self, said: _Said) -> Message:
        output, state = self._state.vertices[said.speaker.stream_targets[0]], self._state
        session_id = state.frame.payload or output.session_setting or said.session.id
        return Message(
            id=said.message_id,
            sender=text_of(output.values.get("sender")) or "Machine",
            sender_name=text_of(output.values.get("sender_name")) or "AI",
            session_id=session_id,
            flow_id=state.plan.flow.id,
            run_id=state.run_id,
            properties=make_properties(state="partial", source=said.speaker.source.to_json()),
            content_blocks=said.blocks,
            session_metadata={"graph_run_id": state.run_id},
        )
