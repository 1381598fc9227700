"""Questions without an answer: marked in the conversation, and not sent to models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flowrunner.memory.backend import OwnerMemory
from flowrunner.memory.message import SENDER_USER, Message
from flowrunner.memory.query import MessageChanges

#: The property that a question without an answer carries: the state in which its run ended.
UNANSWERED: Final = "unanswered"


def unanswered(messages: Iterable[Message]) -> list[Message]:
    """Return the questions among a run's messages that no answer follows in their session."""
    waiting: dict[str, list[Message]] = {}
    for message in messages:
        if message.sender == SENDER_USER:
            waiting.setdefault(message.session_id, []).append(message)
        elif not message.error:
            waiting.pop(message.session_id, None)
    return [
        question for questions in waiting.values() for question in questions if UNANSWERED not in question.properties
    ]


def as_unanswered(question: Message, state: str) -> Message:
    """Return a question marked as one that got no answer.

    It counts as an error, so that no history that a model is sent has two questions in a row.

    :param state: how its run ended: ``error``, ``cancelled`` or ``lost``.
    """
    return question.replace(error=True, properties={**question.properties, UNANSWERED: state})


def mark_unanswered(memory: OwnerMemory, run_id: str, state: str) -> int:
    """Mark the questions of a run that is over; return how many there were.

    :raises MemoryFailed: if the store fails.
    """
    found = unanswered(memory.fetch(run_id=run_id))
    for question in found:
        marked = as_unanswered(question, state)
        memory.update(MessageChanges(error=True, properties=dict(marked.properties)), ids=(str(question.id),))
    return len(found)
