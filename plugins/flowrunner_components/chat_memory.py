"""External chat memories (Redis, MongoDB, ...), answered by the memory backend of this server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner import Component, Input, Output, RunContext


class ChatMemory(Component):
    """Provide the conversations of the memory backend to a Message History or Store Message."""

    type_name = "RedisChatMemory"
    aliases = ("RedisChatMemoryComponent", "Redis")
    display_name = "Redis Chat Memory"
    answered_by = "MEMORY"
    inputs = (Input("session_id", "str", info="the session; blank for the run's own"),)
    outputs = (Output("memory", "Memory"),)

    def run(self, context: RunContext, /, *, session_id: str) -> Mapping[str, Any]:
        """Return the conversations of the run."""
        return {"memory": context.memory}


#: Type name: what it is called, and other names of the type.
_OTHERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "AstraDBChatMemory": ("Astra DB Chat Memory", ("AstraDBChatComponent",)),
    "CassandraChatMemory": ("Cassandra Chat Memory", ("CassandraChatMemoryComponent",)),
    "MongoDBChatMemory": ("MongoDB Chat Memory", ("MongoDBChatMemoryComponent",)),
    "CouchbaseChatMemory": ("Couchbase Chat Memory", ("CouchbaseChatMemoryComponent",)),
    "DynamoDBChatMemory": ("DynamoDB Chat Memory", ("DynamoDBChatMemoryComponent",)),
    "PostgresChatMemory": ("PostgreSQL Chat Memory", ("PostgresChatMemoryComponent", "PostgreSQLChatMemory")),
    "UpstashRedisChatMemory": ("Upstash Redis Chat Memory", ("UpstashRedisChatMemoryComponent",)),
    "ZepChatMemory": ("Zep Chat Memory", ("ZepChatMemoryComponent",)),
}


def _type_of(type_name: str, shown: str, aliases: tuple[str, ...]) -> type[ChatMemory]:
    """Return the component type of one name."""
    doc = f"Provide the conversations of the memory backend, in place of {shown}."
    made = {"__doc__": doc, "type_name": type_name, "aliases": aliases, "display_name": shown}
    return type(type_name, (ChatMemory,), made)


CHAT_MEMORIES: Final[tuple[type[ChatMemory], ...]] = (
    ChatMemory,
    *(_type_of(name, *rest) for name, rest in _OTHERS.items()),
)
