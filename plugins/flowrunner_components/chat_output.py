"""Chat Output: the answer of a flow, as a message of the conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner import Component, Input, Message, Output, RunContext, make_properties

from .appearance import LOOKS, look_changes
from .senders import AI, MACHINE, sender_or
from .templates import fill, look_into
from .turns import is_turn_of, may_become_reply
from .values import shown_text

#: The template that stands in every export and means: show the object itself.
_PLAIN: Final = ("", "{text}")


class ChatOutput(Component):
    """Answer in the conversation with a text, an object or a table, and store the answer."""

    type_name = "ChatOutput"
    display_name = "Chat Output"
    output_kind = "chat"
    stores_messages = True
    streams_through = ("input_value",)
    inputs = (
        Input(
            "input_value",
            required=True,
            accepts=("Data", "Table"),
            aliases=("message",),
            info="the answer",
        ),
        Input("should_store_message", "bool", default=True, aliases=("store_message",)),
        Input("sender", "str", default=MACHINE),
        Input("sender_name", "str", default=AI),
        Input("context_id", "str"),
        Input(
            "data_template",
            "str",
            default="{text}",
            aliases=("record_template",),
            info="template for an object; default: as JSON",
        ),
        Input("clean_data", "bool", default=True, info="leave out empty rows of a table"),
        *LOOKS,
    )
    outputs = (Output("message", aliases=("message_response",)),)

    def run(
        self,
        context: RunContext,
        /,
        *,
        input_value: Any,
        should_store_message: bool,
        sender: str,
        sender_name: str,
        context_id: str,
        data_template: str,
        clean_data: bool,
        **looks: str,
    ) -> Mapping[str, Any]:
        """Return the answer; stored if it should be."""
        text = _text(context, input_value, data_template, clean=clean_data)
        message = _reply(
            context,
            input_value,
            text,
            look_changes(looks),
            sender=sender_or(sender, MACHINE),
            sender_name=sender_name or AI,
            session_id=context.session_id,
            context_id=context_id,
            flow_id=context.flow_id,
        )
        if should_store_message:
            return {"message": context.memory.append(message)}
        return {"message": message.replace(id=None, run_id=None, session_metadata=None) if message.id else message}

    def stores_messages_with(self, settings: Mapping[str, Any]) -> bool:
        """It stores unless it is told not to."""
        return settings.get("should_store_message", True) is not False


def _text(context: RunContext, value: Any, template: str, *, clean: bool) -> str:
    if isinstance(value, Mapping) and template not in _PLAIN:
        return fill(template, look_into(value), context.text_budget())
    return shown_text(value, clean=clean)


def _reply(context: RunContext, value: Any, text: str, looks: Mapping[str, Any], **fields: Any) -> Message:
    """Return the message to answer with.

    What a model or an agent says keeps its token counts, its content blocks and its files; the
    user's own turn, given straight back, starts afresh.
    """
    source = context.source_of("input_value")
    shown: dict[str, Any] = {} if source is None else {"source": source.to_json()}
    if not isinstance(value, Message) or (source is not None and is_turn_of(context, source.id)):
        return Message(text=text, properties=make_properties(**shown, **looks), **fields)
    named = value.properties.get("source") or {}
    if source is not None and named.get("source") and named.get("id") in (None, source.id):
        shown["source"]["source"] = named["source"]
    properties = make_properties(**{**value.properties, **shown, **looks, "state": "complete"})
    if may_become_reply(context, value):
        return value.replace(properties=properties, **fields)
    return Message(
        text=text,
        files=value.files,
        properties=properties,
        content_blocks=value.content_blocks,
        duration=value.duration,
        **fields,
    )
