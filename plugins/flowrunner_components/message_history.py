"""Message History: earlier messages of the session, or a message stored in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowrunner import Component, ConversationMemory, Input, Message, Output, RunContext

from .senders import MACHINE, sender_or
from .stores import memory_of, store
from .templates import Lookup, field_text, fill_rows, is_name
from .values import Data, message_data

RETRIEVE: Final = "Retrieve"
STORE: Final = "Store"
#: No store counts further than this, and no session is as long.
_MOST: Final = 2**31 - 2
BOTH: Final = "Machine and User"


class MessageHistory(Component):
    """Read earlier messages of the session, or store one, depending on ``mode``."""

    type_name = "Memory"
    aliases = ("MemoryComponent",)
    display_name = "Message History"
    inputs = (
        Input("mode", "str", default=RETRIEVE, options=(RETRIEVE, STORE)),
        Input("message", info="in Store: the message to store"),
        Input("memory", "Memory", info="an external memory; default: the runner's own"),
        Input(
            "sender_type",
            "str",
            default=BOTH,
            options=(BOTH, "Machine", "User"),
            info="in Retrieve: the senders",
        ),
        Input("sender", "str", info="in Store: the sender; in Retrieve: older name of sender_type"),
        Input("sender_name", "str", info="in Retrieve: only messages of this sender name; in Store: the sender name"),
        Input("n_messages", "int", default=100, info="maximum number of messages, the newest; 0 for none"),
        Input("context_id", "str", info="in Retrieve: only messages of this context; in Store: the context"),
        Input("order", "str", default="Ascending", options=("Ascending", "Descending")),
        Input("template", "str", default="{sender_name}: {text}", aliases=("record_template",)),
    )
    outputs = (
        Output("messages_text"),
        Output("dataframe", "Table", aliases=("messages",)),
        Output("stored_messages"),
    )

    def run(
        self,
        context: RunContext,
        /,
        *,
        mode: str,
        message: Any,
        memory: Any,
        sender_type: str,
        sender: str,
        sender_name: str,
        n_messages: int,
        context_id: str,
        order: str,
        template: str,
    ) -> Mapping[str, Any]:
        """Return what was read, as text and as rows, or what was stored; nothing where nothing is given to store.

        :raises ValueError: for a mode or order that there is not, or a template with an unknown field.
        """
        _refuse_other("mode", mode, (RETRIEVE, STORE))
        _refuse_other("order", order, ("Ascending", "Descending"))
        sender = "" if sender == BOTH else sender
        place = memory_of(context, memory)
        if mode == STORE:
            if message == "" and context.source_of("message") is None:
                return {}
            stored = store(context, place, message, sender=sender, sender_name=sender_name, context_id=context_id)
            return {"stored_messages": stored}
        whose = sender_type if sender_type not in ("", BOTH) else sender
        filters = {
            "sender": sender_or(whose, ""),
            "sender_name": sender_name,
            "context_id": context_id,
        }
        found = _read(context, place, n_messages, {name: value for name, value in filters.items() if value})
        if order == "Descending":
            found.reverse()
        rows = [message_data(one) for one in found]
        text = fill_rows(template, (_lookup(row) for row in rows), "\n", context.text_budget())
        return {"messages_text": Message(text=text, flow_id=context.flow_id), "dataframe": rows}

    def outputs_for(self, settings: Mapping[str, Any]) -> Sequence[Output]:
        """Return the outputs of the mode."""
        stored = [o for o in self.outputs if o.name == "stored_messages"]
        return stored if _stores(settings) else [o for o in self.outputs if o not in stored]

    def reads_history_with(self, settings: Mapping[str, Any]) -> bool:
        """It reads unless its mode is Store."""
        return not _stores(settings)

    def stores_messages_with(self, settings: Mapping[str, Any]) -> bool:
        """It stores if its mode is Store."""
        return _stores(settings)


def _stores(settings: Mapping[str, Any]) -> bool:
    return settings.get("mode") == STORE


def _read(context: RunContext, memory: ConversationMemory, count: int, filters: Mapping[str, Any]) -> list[Message]:
    """Return the newest messages that the filters keep, oldest first.

    A window that was cut begins with a question, not with the answer to one that was cut off; a
    single message is what it is.
    """
    if count <= 0:
        return []
    count = min(count, _MOST)
    found = list(memory.fetch(session_id=context.session_id, limit=count + 1, **filters))
    if len(found) <= count or "sender" in filters or "sender_name" in filters:
        return found[-count:]
    kept = found[-count:]
    while len(kept) > 1 and kept[0].sender == MACHINE:
        kept.pop(0)
    return kept


def _lookup(row: Data) -> Lookup:
    def lookup(name: str) -> str | None:
        if name in row:
            return field_text(row[name])
        if is_name(name):
            raise ValueError(
                f"the template uses {name}, which is not a field of a message; fields are {', '.join(row)}"
            )
        return None

    return lookup


def _refuse_other(field: str, value: str, known: Sequence[str]) -> None:
    if value and value not in known:
        raise ValueError(f"{field} is {value!r}; must be {' or '.join(known)}")
