"""What a request may change in a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from flask import request

from flowrunner.errors import BadRequest
from flowrunner.memory import MessageChanges
from flowrunner.memory.message import Message, make_properties
from flowrunner.runner import Runner
from flowrunner.web.auth import caller
from flowrunner.web.jsons import read_json
from flowrunner.web.parameters import invalid

_FOREIGN_FILE: Final = "Message attachment is outside the permitted storage scope."


@dataclass(frozen=True, slots=True)
class Edit:
    """Changes that were asked for."""

    changes: MessageChanges

    def check_files(self, runner: Runner, message: Message) -> None:
        """Refuse files that the caller may not name in a message: a key that is limited to flows, those of others.

        :raises BadRequest: for a file that is none of the caller's uploads.
        """
        limited_to = None if caller().flows is None else message.flow_id or ""
        for name in self.changes.files or ():
            _check_file(runner, name, limited_to)

    def to_apply(self, message: Message) -> MessageChanges:
        """Return what is to be changed in a message: a new text marks it as edited, whatever else was asked."""
        if self.changes.text is not None and self.changes.text != message.text:
            return replace(self.changes, edit=True)
        return self.changes


def read_changes(runner: Runner) -> Edit:
    """Return the changes that the present request asks for; null and unknown members change nothing.

    :raises RequestInvalid: for no body, a body that is no object, or a member of the wrong type.
    :raises BadRequest: for a file that is none of the caller's uploads.
    """
    body = read_json(request, limit=runner.settings.max_body, strict_type=runner.settings.auth == "none")
    if body is None:
        raise invalid(("body",), "missing", "Field required")
    if not isinstance(body, dict):
        message = "Input should be a valid dictionary or object to extract fields from"
        raise invalid(("body",), "model_attributes_type", message)
    given = {name: read(name, body[name]) for name, read in _READERS.items() if body.get(name) is not None}
    for name in given.get("files", ()):
        _check_file(runner, name)
    return Edit(MessageChanges(**given))


def _check_file(runner: Runner, name: str, flow_id: str | None = None) -> None:
    try:
        runner.stores_of(caller()).files.path_of(name, flow_id=flow_id)
    except BadRequest:
        raise BadRequest(_FOREIGN_FILE) from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(("body", name), "string_type", "Input should be a valid string")
    return value


def _needed_text(name: str, value: Any) -> str:
    text = _text(name, value)
    if not text:
        message = "String should have at least 1 character"
        raise invalid(("body", name), "string_too_short", message, min_length=1)
    return text


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid(("body", name), "bool_type", "Input should be a valid boolean")
    return value


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid(("body", name), "dict_type", "Input should be a valid dictionary")
    return dict(value)


def _properties(name: str, value: Any) -> dict[str, Any]:
    return make_properties(**_object(name, value))


def _texts(name: str, value: Any) -> tuple[str, ...]:
    return tuple(_text_at(name, number, item) for number, item in enumerate(_list(name, value)))


def _text_at(name: str, number: int, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(("body", name, number), "string_type", "Input should be a valid string")
    return value


def _objects(name: str, value: Any) -> tuple[dict[str, Any], ...]:
    return tuple(_object_at(name, number, item) for number, item in enumerate(_list(name, value)))


def _object_at(name: str, number: int, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid(("body", name, number), "dict_type", "Input should be a valid dictionary")
    return dict(value)


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(("body", name), "list_type", "Input should be a valid list")
    return value


_READERS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "text": _text,
    "sender": _needed_text,
    "sender_name": _needed_text,
    "session_id": _needed_text,
    "context_id": _text,
    "files": _texts,
    "edit": _truth,
    "error": _truth,
    "properties": _properties,
    "session_metadata": _object,
    "category": _text,
    "content_blocks": _objects,
}
