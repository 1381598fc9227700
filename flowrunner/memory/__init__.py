"""Conversations: the message, the contract of a memory backend, and operations on stored messages.

:mod:`~flowrunner.memory.message`, :mod:`~flowrunner.memory.query` and :mod:`~flowrunner.memory.backend`
hold the contract; the other modules build on it and go through its hooks, so that a plugin that wraps
them (to encrypt, say) takes part in exports, copies and purges too.
"""

from flowrunner.memory.backend import Memory, MemoryBackend, MemoryFactory, MemoryOperations, OwnerMemory
from flowrunner.memory.query import (
    EVERY_OWNER,
    ORDER_FIELDS,
    MessageChanges,
    MessageQuery,
    Owner,
    SessionQuery,
    SessionSummary,
    fold,
)

__all__ = [
    "EVERY_OWNER",
    "ORDER_FIELDS",
    "Memory",
    "MemoryBackend",
    "MemoryFactory",
    "MemoryOperations",
    "MessageChanges",
    "MessageQuery",
    "Owner",
    "OwnerMemory",
    "SessionQuery",
    "SessionSummary",
    "fold",
]
