"""The input of ``/responses``: a text, or the items of a conversation as OpenAI's clients send it."""

from __future__ import annotations

import base64
import binascii
import io
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flowrunner.errors import FlowRunnerError
from flowrunner.flows.model import Flow
from flowrunner.memory.message import Message
from flowrunner.runner import Runner
from flowrunner.store.files import StoredFile
from flowrunner.web.auth import caller
from flowrunner.web.input import invalid

logger = logging.getLogger("flowrunner")

_MOST_ITEMS: Final = 2000
#: Types of items that are not turns of a conversation: tool calls, reasoning and the like.
_ASIDES: Final = re.compile(
    r"\w*(?:_call|_call_output|_output|_request|_response|_list_tools|_search)|reasoning|item_reference"
)
_TEXT_PARTS: Final = ("input_text", "output_text", "text", "summary_text", "refusal")
_PICTURE: Final = re.compile(r"data:(image/(?:png|jpeg|gif|webp));base64,(.+)", re.DOTALL | re.IGNORECASE)
#: Roles of instructions, which are ignored: a flow has its own.
_INSTRUCTIONS: Final = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Asked:
    """The content of a request: the user's last text and pictures, and the earlier turns, each a role and a text."""

    text: str
    pictures: tuple[tuple[str, bytes], ...] = ()
    before: tuple[tuple[str, str], ...] = ()


def read_input(given: Any) -> Asked:
    """Read the input of a request.

    In a list, the last user message is the input, and earlier messages are its history. System messages and tool
    outputs are ignored, since the flow has its own.

    :raises RequestInvalid: for an invalid item, with its location, or if there is no user message.
    """
    if isinstance(given, str):
        return Asked(given)
    if not isinstance(given, list):
        raise invalid(("body", "input"), "string_type", "Input should be a valid string or a list of items")
    if len(given) > _MOST_ITEMS:
        raise invalid(("body", "input"), "too_long", f"Input should have at most {_MOST_ITEMS} items")
    turns = [turn for number, item in enumerate(given) if (turn := _read_turn(item, number)) is not None]
    last = next((number for number in reversed(range(len(turns))) if turns[number][0] == "user"), None)
    if last is None:
        raise invalid(("body", "input"), "value_error", "Input should have at least one message with the role 'user'")
    _, text, pictures = turns[last]
    before = tuple((role, said) for role, said, _ in turns[:last] if said.strip())
    return Asked(text, pictures, before)


def keep_pictures(runner: Runner, flow: Flow, pictures: Sequence[tuple[str, bytes]]) -> Iterator[StoredFile]:
    """Store the pictures of a request as uploads of its sender, and yield each."""
    files = runner.stores_of(caller()).files
    for kind, content in pictures:
        name = f"picture.{kind.partition('/')[2]}"
        yield files.save(io.BytesIO(content), name=name, flow_id=flow.id, media_type=kind)


def keep_history(runner: Runner, flow: Flow, session_id: str, before: Sequence[tuple[str, str]]) -> None:
    """Store the earlier turns of a request, so that the flow finds them as the history of its session."""
    if not before:
        return
    runner.memory.for_owner(caller().id).append(
        [
            Message(
                text=text,
                sender="User" if role == "user" else "Machine",
                sender_name="User" if role == "user" else "AI",
                session_id=session_id,
                flow_id=flow.id,
            )
            for role, text in before
        ]
    )


def newest_in(runner: Runner, session_id: str) -> str | None:
    """Return the id of the newest message of a session; None for an empty one."""
    found = runner.memory.for_owner(caller().id).fetch(session_id=session_id, limit=1)
    return found[0].id if found else None


def drop_kept(
    runner: Runner, session_id: str, newest: str | None, pictures: Sequence[StoredFile], *, turns: bool
) -> None:
    """Remove the turns and pictures of a refused request, unless its run stored a message.

    :param session_id: the session of the request.
    :param newest: the newest message in it before the run.
    :param turns: whether the session was created for turns of the request.
    """
    try:
        if newest_in(runner, session_id) != newest:
            return
        if turns:
            runner.memory.for_owner(caller().id).delete(session_id=session_id)
        for picture in pictures:
            runner.stores_of(caller()).files.delete(picture)
    except FlowRunnerError as error:
        logger.warning("the messages and files of a refused request could not be removed: %s", error.code)


def _read_turn(item: Any, number: int) -> tuple[str, str, tuple[tuple[str, bytes], ...]] | None:
    """Return role, text and pictures of an item; None for one that is not a turn."""
    place = ("body", "input", number)
    if not isinstance(item, Mapping):
        raise invalid(place, "dict_type", "Input should be a valid dictionary")
    kind = item.get("type", "message")
    if not isinstance(kind, str) or (kind != "message" and not _ASIDES.fullmatch(kind)):
        raise invalid((*place, "type"), "enum", "Input should be 'message' or another known item type")
    if kind != "message":
        return None
    role = item.get("role")
    if role in _INSTRUCTIONS:
        return None
    if role not in ("user", "assistant"):
        raise invalid((*place, "role"), "enum", "Input should be 'user', 'assistant', 'system' or 'developer'")
    content = item.get("content")
    if isinstance(content, str):
        return role, content, ()
    if not isinstance(content, list):
        raise invalid((*place, "content"), "string_type", "Input should be a valid string or a list of parts")
    texts, pictures = [], []
    for index, part in enumerate(content):
        found = _read_part(part, (*place, "content", index))
        if isinstance(found, str):
            texts.append(found)
        else:
            pictures.append(found)
    return role, "\n".join(texts), tuple(pictures)


def _read_part(part: Any, place: tuple[Any, ...]) -> str | tuple[str, bytes]:
    """Return the text of a part, or the kind and the bytes of a picture."""
    if not isinstance(part, Mapping):
        raise invalid(place, "dict_type", "Input should be a valid dictionary")
    kind = part.get("type")
    if kind in _TEXT_PARTS:
        text = part.get("refusal" if kind == "refusal" else "text")
        if not isinstance(text, str):
            raise invalid((*place, "text"), "string_type", "Input should be a valid string")
        return text
    if kind not in ("input_image", "image_url"):
        raise invalid((*place, "type"), "enum", "Input should be 'input_text', 'output_text' or 'input_image'")
    address = part.get("image_url")
    if isinstance(address, Mapping):
        address = address.get("url")
    found = _PICTURE.fullmatch(address) if isinstance(address, str) else None
    if found is None:
        message = "Images must be data URLs in base64 (PNG, JPEG, GIF or WebP); other URLs are not fetched"
        raise invalid((*place, "image_url"), "value_error", message)
    try:
        return found[1].lower(), base64.b64decode(found[2], validate=True)
    except binascii.Error:
        raise invalid((*place, "image_url"), "value_error", "The image is not valid base64") from None
