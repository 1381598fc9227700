"""A session as LangChain's ``BaseChatMessageHistory`` (extra ``[langchain]``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage, RemoveMessage

from flowrunner.integrations.langchain_messages import ReadFile, from_langchain, stored_id, to_langchain
from flowrunner.memory import OwnerMemory
from flowrunner.memory.context import find_memory
from flowrunner.memory.conversations import add_messages as store_all
from flowrunner.memory.conversations import delete_messages, update_messages

#: The id by which LangGraph means all messages so far.
_ALL = "__remove_all__"

__all__ = ["ConversationHistory", "from_langchain", "to_langchain"]


class ConversationHistory(BaseChatMessageHistory):
    """The messages of one session, for chains and agents that keep their history by LangChain's interface.

    :param session_id: the conversation.
    :param flow_id: the flow under which new messages are stored, if any.
    :param context_id: only messages of this context; new ones are stored under it.
    :param memory: whose messages; without it those of the run or request around each call.
    :param read_file: returns the bytes of an upload by its name, so that pictures reach a model.
    :raises ValueError: for an empty session id.
    """

    def __init__(
        self,
        session_id: str,
        *,
        flow_id: str | None = None,
        context_id: str | None = None,
        memory: OwnerMemory | None = None,
        read_file: ReadFile | None = None,
    ) -> None:
        if not session_id:
            raise ValueError("a history needs a session_id")
        self.session_id = session_id
        self.flow_id = flow_id
        self.context_id = context_id
        self._memory = memory
        self._read_file = read_file

    @classmethod
    def factory(
        cls,
        memory: OwnerMemory,
        *,
        flow_id: str | None = None,
        context_id: str | None = None,
        read_file: ReadFile | None = None,
    ) -> Callable[..., ConversationHistory]:
        """Return what makes histories of one memory, for programs in which no run and no request is in progress.

        It takes ``session_id``, ``flow_id`` and ``context_id``, by name or ``session_id`` alone, as
        ``RunnableWithMessageHistory`` gives them; those that are not given are the ones of here.

        :param memory: whose messages, such as ``runner.memory.for_owner("local")``.
        """
        usual_flow, usual_context = flow_id, context_id

        def make(session_id: str, flow_id: str | None = None, context_id: str | None = None) -> ConversationHistory:
            return cls(
                session_id,
                flow_id=flow_id or usual_flow,
                context_id=context_id or usual_context,
                memory=memory,
                read_file=read_file,
            )

        return make

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """The messages, oldest first, without those that tell of an error."""
        found = self._source().fetch(session_id=self.session_id, context_id=self.context_id or None, error=False)
        return [to_langchain(message, read_file=self._read_file) for message in found]

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Store messages, all new ones together; one that was stored or read here before is changed instead.

        A ``RemoveMessage`` removes the message of its id, or all that came before it.

        :raises ValueError: for one whose message is not there; then nothing has changed.
        """
        source = self._source()
        messages = self._remove(source, messages)
        rows = [
            from_langchain(
                one, self.session_id, owner=str(source.owner), flow_id=self.flow_id, context_id=self.context_id or ""
            )
            for one in messages
        ]
        ids = tuple(row.id for row in rows if row.id is not None)
        known = {stored.id: stored for stored in source.fetch(ids=ids)} if ids else {}
        changed = [
            row
            for row, one in zip(rows, messages, strict=True)
            if row.id in known and to_langchain(known[row.id], read_file=self._read_file) != one
        ]
        store_all([row for row in rows if row.id not in known], memory=source)
        update_messages(changed, memory=source)

    def _remove(self, source: OwnerMemory, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Remove what is to be removed and return the messages that are to be stored."""
        kept: list[BaseMessage] = []
        gone: dict[str, None] = {}
        everything = False
        for message in messages:
            if not isinstance(message, RemoveMessage):
                kept.append(message)
            elif message.id == _ALL:
                kept, everything = [], True
            else:
                found = next((m for m in kept if m.id == message.id), None)
                if found is None:
                    gone[str(stored_id(message.id, str(source.owner), self.session_id))] = None
                else:
                    kept.remove(found)
        if everything:
            self.clear()
        elif gone:
            there = source.fetch(session_id=self.session_id, ids=tuple(gone))
            if len(there) < len(gone):
                raise ValueError("a RemoveMessage names a message that is not in this conversation")
            source.delete(session_id=self.session_id, ids=tuple(gone))
        return kept

    def clear(self) -> None:
        """Delete the messages of the session, or of the context in it."""
        delete_messages(self.session_id, self.context_id, memory=self._source())

    async def aget_messages(self) -> list[BaseMessage]:
        """Return the messages; see :attr:`messages`."""
        return await asyncio.to_thread(lambda: self.messages)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Store messages; see :meth:`add_messages`."""
        await asyncio.to_thread(self.add_messages, messages)

    async def aclear(self) -> None:
        """Delete the messages; see :meth:`clear`."""
        await asyncio.to_thread(self.clear)

    def _source(self) -> OwnerMemory:
        return self._memory or find_memory()
