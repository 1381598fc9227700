"""Chat Input: the user's text becomes a message of the conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowrunner import BadRequest, Component, Input, Message, Output, RunContext, make_properties

from .appearance import LOOKS, look_changes
from .senders import USER, sender_or
from .turns import mark_turn


class ChatInput(Component):
    """Receive the message of a user and store it in the conversation."""

    type_name = "ChatInput"
    display_name = "Chat Input"
    input_kind = "chat"
    stores_messages = True
    streams_through = ("input_value",)
    pure = True
    inputs = (
        Input(
            "input_value",
            "str",
            aliases=("message",),
            tool=True,
            info="the user's message; set by the request's input_value",
        ),
        Input("should_store_message", "bool", default=True, aliases=("store_message",)),
        Input("sender", "str", default=USER),
        Input("sender_name", "str", default=USER),
        Input("context_id", "str", info="a part of the session, for a Message History with the same context"),
        Input("files", "list", default=[], info="names of uploaded files"),
        *LOOKS,
    )
    outputs = (Output("message", aliases=("message_response",)),)

    def run(
        self,
        context: RunContext,
        /,
        *,
        input_value: str,
        should_store_message: bool,
        sender: str,
        sender_name: str,
        context_id: str,
        files: list[Any],
        **looks: str,
    ) -> Mapping[str, Any]:
        """Return the message; stored if it should be.

        :raises BadRequest: if a file is none of the owner's.
        """
        message = Message(
            text=input_value,
            sender=sender_or(sender, USER),
            sender_name=sender_name or USER,
            session_id=context.session_id,
            context_id=context_id,
            flow_id=context.flow_id,
            files=_owned_files(context, files),
            properties=make_properties(**look_changes(looks)),
        )
        if should_store_message:
            message = context.memory.append(message)
        mark_turn(context, message)
        return {"message": message}

    def stores_messages_with(self, settings: Mapping[str, Any]) -> bool:
        """It stores unless it is told not to."""
        return settings.get("should_store_message", True) is not False


def _owned_files(context: RunContext, files: Iterable[Any]) -> tuple[str, ...]:
    """Return the names of files, after each was found among the owner's uploads."""
    names = []
    for given in files:
        name = given.get("path", "") if isinstance(given, Mapping) else given
        if name is None or name == "":
            continue
        if not isinstance(name, str):
            raise BadRequest(f"files contains a {type(name).__name__}, not a file name.")
        context.stored_file(name)
        names.append(name)
    return tuple(names)
