"""Where a message history is read from: the runner's memory, or an external memory on an edge."""

from __future__ import annotations

from typing import Any

from flowrunner import ConversationMemory, Message, RunContext

from .senders import AI, MACHINE, sender_or
from .turns import is_own_row


def memory_of(context: RunContext, external: Any) -> ConversationMemory:
    """Return the external memory that an edge brought, else the run's own.

    :raises ValueError: if what came cannot keep messages.
    """
    if external is None or external == "" or external == []:
        return context.memory
    if not (callable(getattr(external, "append", None)) and callable(getattr(external, "fetch", None))):
        raise ValueError(f"the external memory is a {type(external).__name__}, which cannot store messages")
    found: ConversationMemory = external
    return found


def store(
    context: RunContext, memory: ConversationMemory, value: Any, *, sender: str, sender_name: str, context_id: str = ""
) -> Message:
    """Store a text or message in the component's session and return it as stored.

    A message that this run has stored in this session already gets no second row; its row is
    changed if the settings say another sender.
    """
    message = value if isinstance(value, Message) else Message(text=value, flow_id=context.flow_id)
    wanted = message.replace(
        sender=sender_or(sender, message.sender or MACHINE),
        sender_name=sender_name or message.sender_name or AI,
        context_id=context_id or message.context_id,
    )
    if is_own_row(context, message):
        return message if wanted == message else memory.append(wanted)
    return memory.append(wanted.replace(id=None, session_id=context.session_id, flow_id=context.flow_id))
