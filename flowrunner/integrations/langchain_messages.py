"""Convert messages to and from LangChain's classes."""

from __future__ import annotations

import base64
import json
import mimetypes
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    BaseMessageChunk,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    message_chunk_to_message,
    message_to_dict,
    messages_from_dict,
)

from flowrunner.memory.message import SENDER_MACHINE, SENDER_USER, Message, make_content_block, make_properties

#: Where in a message's properties the rest of a LangChain message is kept, if it is more than a text.
KEPT: Final = "langchain"

#: Sender and sender name by type of LangChain message; other types are kept under their own names.
_SENDERS: Final = {
    "human": (SENDER_USER, "User"),
    "ai": (SENDER_MACHINE, "AI"),
    "system": ("System", "System"),
    "tool": ("Tool", "Tool"),
    "function": ("Tool", "Tool"),
}
_READABLE: Final = frozenset({*_SENDERS, "chat"})
_PLAIN: Final = frozenset({"content", "type", "id", "example"})
_COUNTS: Final = ("input_tokens", "output_tokens", "total_tokens")

ReadFile = Callable[[str], bytes]


def to_langchain(message: Message, *, read_file: ReadFile | None = None) -> BaseMessage:
    """Return a stored message as LangChain has it.

    One that came from LangChain comes back as it was, tool calls, pictures and metadata included;
    a text that was edited since then is the one that counts. Its ``id`` is that of the stored message.

    :param read_file: returns the bytes of an upload by its name; then pictures and files are part of
        the content. Without it their names stand in ``additional_kwargs["files"]``.
    """
    kept = _restored(message)
    if kept is not None:
        return kept
    fields: dict[str, Any] = {"content": message.text, "id": message.id}
    if message.files and read_file is not None:
        parts = [_file_part(name, read_file(name)) for name in message.files]
        fields["content"] = [{"type": "text", "text": message.text}, *parts]
    elif message.files:
        fields["additional_kwargs"] = {"files": list(message.files)}
    kinds: dict[str | None, type[BaseMessage]] = {
        SENDER_USER: HumanMessage,
        None: HumanMessage,
        "": HumanMessage,
        "System": SystemMessage,
    }
    return kinds.get(message.sender, AIMessage)(**fields)


def from_langchain(
    message: BaseMessage, session_id: str, *, owner: str = "", flow_id: str | None = None, context_id: str | None = ""
) -> Message:
    """Return a LangChain message as one of ours, ready to be stored.

    Its text is the text of the content. What more there is (parts that are not text, tool calls,
    metadata) is kept beside it, and tool calls are shown as content blocks.

    :param owner: whose it will be; an id that LangChain made up becomes a UUID of this owner and session.
    :raises ValueError: for a ``RemoveMessage``, which is none.
    """
    if isinstance(message, RemoveMessage):
        raise ValueError("a RemoveMessage cannot be stored as a message; pass it to a ConversationHistory")
    if isinstance(message, BaseMessageChunk):
        message = message_chunk_to_message(message)
    record = _as_json(message_to_dict(message))
    kind, data = record["type"], record["data"]
    sender, sender_name = _SENDERS.get(kind, (str(getattr(message, "role", kind)),) * 2)
    kept_files = data.get("additional_kwargs", {}).get("files")
    files = tuple(map(str, kept_files)) if isinstance(kept_files, list) else ()
    properties = make_properties()
    usage = data.get("usage_metadata")
    if isinstance(usage, Mapping):
        properties["usage"] = {name: usage.get(name) for name in _COUNTS}
    if not _is_plain(kind, data):
        properties[KEPT] = {"type": kind, "data": data}
        if isinstance(data["content"], str):
            del data["content"]
    return Message(
        text=text_of_content(message.content),
        sender=sender,
        sender_name=message.name or sender_name,
        session_id=session_id,
        context_id=context_id,
        flow_id=flow_id,
        id=stored_id(message.id, owner, session_id),
        files=files,
        properties=properties,
        content_blocks=_blocks(message),
    )


def text_of_content(content: str | Sequence[Any]) -> str:
    """Return the text of a content: itself, or its text parts one after the other."""
    if isinstance(content, str):
        return content
    return "".join(_text_of_part(part) for part in content)


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None
    return text if isinstance(text, str) else ""


def _restored(message: Message) -> BaseMessage | None:
    """Return the LangChain message that a message was made of, or None if it was made of none that we know."""
    kept = message.properties.get(KEPT)
    if not isinstance(kept, Mapping) or kept.get("type") not in _READABLE or not isinstance(kept.get("data"), Mapping):
        return None
    data = {**kept["data"], "id": message.id}
    content = data.get("content", message.text)
    if text_of_content(content) != message.text:
        content = [{"type": "text", "text": message.text}, *(part for part in content if not _text_of_part(part))]
    data["content"] = content
    try:
        return messages_from_dict([{"type": kept["type"], "data": data}])[0]
    except (ValueError, TypeError, KeyError, AttributeError):
        # Somebody edited the properties; the text is still what was said.
        return None


def _is_plain(kind: str, data: Mapping[str, Any]) -> bool:
    """Return whether a message is a text and a sender, and nothing else."""
    return (
        kind in ("human", "ai", "system")
        and isinstance(data["content"], str)
        and not any(value for name, value in data.items() if name not in _PLAIN)
    )


def _as_json(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with JSON values only: what is none (the artifact of a tool) becomes its text."""
    found: dict[str, Any] = json.loads(json.dumps(record, default=str))
    return found


def stored_id(given: str | None, owner: str, session_id: str) -> str | None:
    """Return the id under which a message is stored; the same for the same message, so that it is stored once."""
    if given is None:
        return None
    try:
        return str(uuid.UUID(given))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{owner}\0{session_id}\0{given}"))


def _blocks(message: BaseMessage) -> tuple[dict[str, Any], ...]:
    calls = getattr(message, "tool_calls", None) or ()
    if not calls:
        return ()
    entries = [
        {"type": "tool_use", "name": call["name"], "tool_input": _as_json(dict(call["args"])), "output": None}
        for call in calls
    ]
    return (make_content_block("Tools", entries),)


def _file_part(name: str, content: bytes) -> dict[str, Any]:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    kind = media_type.partition("/")[0]
    return {
        "type": kind if kind in ("image", "audio", "video") else "file",
        "base64": base64.b64encode(content).decode(),
        "mime_type": media_type,
    }
