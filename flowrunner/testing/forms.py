"""Serialize values for recorded conversations: readable, comparable, replayable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner.engine.shapes import value_json
from flowrunner.memory.message import Message

#: Members that differ in each run and do not depend on the flow.
VOLATILE: Final = frozenset(
    {
        "id",
        "timestamp",
        "run_id",
        "flow_id",
        "session_id",
        "context_id",
        "duration",
        "build_duration",
        "properties",
        "content_blocks",
        "usage",
        "session_metadata",
    }
)

_MESSAGE: Final = "message"
_DATA: Final = "data"
_OTHER: Final = "other"


def form_of(value: Any) -> Any:
    """Return the recorded form of a value: texts, messages with their sender, JSON without varying members."""
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    if isinstance(value, Message):
        kept: dict[str, Any] = {_MESSAGE: value.text}
        if value.sender:
            kept.update(sender=value.sender, sender_name=value.sender_name)
        return kept
    if isinstance(value, (list, tuple)):
        return [form_of(item) for item in value]
    if isinstance(value, Mapping):
        return {_DATA: _steady(dict(value))}
    return {_OTHER: type(value).__name__}


def value_of(form: Any) -> Any:
    """Return a value from its recorded form; None if it could not be recorded, such as a model."""
    if isinstance(form, list):
        return [value_of(item) for item in form]
    if not isinstance(form, dict):
        return form
    if _MESSAGE in form:
        return Message(text=form[_MESSAGE], sender=form.get("sender"), sender_name=form.get("sender_name"))
    return form.get(_DATA)


def shown(form: Any) -> str:
    """Return a recorded form as lines of text."""
    if isinstance(form, str):
        return form
    if isinstance(form, dict) and _MESSAGE in form:
        who = f"{form['sender_name']} ({form['sender']}): " if form.get("sender") else ""
        return f"{who}{form[_MESSAGE]}"
    import json

    return json.dumps(form, indent=1, ensure_ascii=False, sort_keys=True)


def _steady(value: Any) -> Any:
    """Return JSON without members that differ in each run."""
    if isinstance(value, Mapping):
        return {str(k): _steady(v) for k, v in value.items() if k not in VOLATILE}
    if isinstance(value, (list, tuple)):
        return [_steady(item) for item in value]
    if isinstance(value, Message):
        return form_of(value)
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    return value_json(value)
