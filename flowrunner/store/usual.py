"""The short way to the record of a vertex that ran as it always does.

Nearly all runs of a flow differ in a text, a session and some ids. What stays the same is looked at
for secrets and serialised once; the rest is put in as text. The outcome is the JSON that the long
way through :func:`~flowrunner.store.masking.masked_json` gives, and whatever is not plain takes that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quote
from typing import Any, Final

from flowrunner.engine.result import VertexResult
from flowrunner.messages import Message
from flowrunner.store.credentials import is_suspect
from flowrunner.store.messagerecord import always_of, seldom_of, telling_properties
from flowrunner.store.tables import moment_text

#: Inputs that differ from run to run.
_CHANGING: Final = ("input_value", "session_id")
_MOST_SHAPES: Final = 2000
_LONGEST: Final = 3000
_PLAIN: Final = frozenset({str, int, bool, type(None)})

_State = tuple[Any, ...]


class UsualVertices:
    """Remembers, by flow content and vertex, how the record of a vertex begins and what its settings are."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, str], _Shape] = {}

    def record(
        self, content_hash: str, result: VertexResult, usual: tuple[Any, ...]
    ) -> tuple[str, tuple[str, ...]] | None:
        """Return the JSON of a vertex's record and its free texts, or None if it must go the long way.

        :param usual: see :func:`~flowrunner.store.messagerecord.usual_fields`.
        """
        message = next(iter(result.outputs.values())) if len(result.outputs) == 1 else None
        if type(message) is not Message or result.error is not None or result.secrets or seldom_of(message) != usual:
            return None
        key = (content_hash, result.vertex_id)
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            shape = self._shapes[key] = _Shape()
        return shape.record(result, message)


class _Shape:
    """What one vertex of a flow has in common from run to run."""

    __slots__ = ("_head", "_inputs", "_inputs_text", "_properties", "_properties_text", "_state")

    def __init__(self) -> None:
        self._state: _State | None = None
        self._head = ""
        self._inputs: Mapping[str, Any] | None = None
        self._inputs_text: str | None = None
        self._properties: Mapping[str, Any] | None = None
        self._properties_text: str | None = None

    def record(self, result: VertexResult, message: Message) -> tuple[str, tuple[str, ...]] | None:
        inputs, changing = dict(result.inputs), []
        texts = [message.text]
        for name in _CHANGING:
            value = inputs.pop(name, None)
            if type(value) is str:
                changing.append(f"{quote(name)}:{quote(value)}")
                texts.append(value)
            elif name in result.inputs:
                return None
        if inputs != self._inputs:
            # Kept as read back: a list that its component changes must not change here.
            self._inputs_text = text = _plain_json(inputs)
            self._inputs = None if text is None else json.loads(f"{{{text}}}")
        if message.properties != self._properties:
            self._properties = json.loads(json.dumps(message.properties))
            self._properties_text = _properties_json(message.properties)
        state = (
            result.type, result.display_name, result.kind, result.used_frozen_result, result.untaken, *result.outputs,
        )  # fmt: skip
        if state != self._state:
            self._state, self._head = state, _head(result)
        if self._inputs_text is None or self._properties_text is None or not self._head:
            return None
        always = ",".join("null" if text is None else quote(text) for text in always_of(message))
        given = ",".join((*changing, self._inputs_text) if self._inputs_text else changing)
        (name,) = result.outputs
        text = (
            f'{{{self._head},"seconds":{round(result.duration, 6)},"inputs":{{{given}}},"outputs":{{{quote(name)}:'
            f'{{"message":["{moment_text(message.timestamp)}",{self._properties_text},[{always}],null]}}}}}}'
        )
        return (text, (*texts, message.sender_name or "", message.session_id)) if len(text) <= _LONGEST else None


def _head(result: VertexResult) -> str:
    """Return the members of a record that stay the same; empty if a name of an output might say secret."""
    if any(name == "code" or is_suspect(name) for name in result.outputs):
        return ""
    members = {
        "type": result.type,
        "name": result.display_name,
        "kind": result.kind,
        "frozen": result.used_frozen_result,
        "error": None,
        "untaken": result.untaken,
    }
    text = json.dumps(members, separators=(",", ":"))
    return "" if is_suspect(text) else text[1:-1]


def _plain_json(inputs: Mapping[str, Any]) -> str | None:
    """Return the members of inputs that are plain and free of secrets, without braces; None if they are not."""
    if not all(type(value) in _PLAIN or (value == [] and type(value) is list) for value in inputs.values()):
        return None
    text = json.dumps(inputs, separators=(",", ":"))
    return None if is_suspect(text) or '"code"' in text else text[1:-1]


def _properties_json(properties: Mapping[str, Any]) -> str | None:
    text = json.dumps(telling_properties(properties), separators=(",", ":"))
    return None if is_suspect(text) or '"code"' in text else text
