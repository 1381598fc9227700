"""Notify and Listen: pass a value between two vertices of a run without an edge."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from flowrunner import Component, Input, Output, RunContext, text_of

from .values import as_table

#: How names of shared values begin, for the engine's ordering.
_SHARED: Final = "\0"
_KEY: Final = "notified "


class Notify(Component):
    """Store a value under a name for the Listen components of the same run."""

    type_name = "Notify"
    aliases = ("NotifyComponent",)
    display_name = "Notify"
    inputs = (
        Input("context_key", "str", required=True, aliases=("name",), info="name of the value"),
        Input("input_value", "any", accepts=("Data", "Message", "Table"), info="the value"),
        Input("append", "bool", default=False, info="append to the existing value"),
    )
    outputs = (Output("result", "Data", aliases=("output", "data")),)

    def run(self, context: RunContext, /, *, context_key: str, input_value: Any, append: bool) -> Mapping[str, Any]:
        """Return what stands under the name now.

        :raises ValueError: without a name.
        """
        key = _key(context_key)
        before = context.flow_values.get(key) if append else None
        kept = [*before, *_listed(input_value)] if isinstance(before, list) else _listed(input_value)
        context.flow_values[key] = kept
        return {"result": _given(kept)}

    def fills_with(self, settings: Mapping[str, Any], connected: Collection[str]) -> str | None:
        """Listen components of the same name wait for it."""
        return _shared(settings)


class Listen(Component):
    """Receive the value that a Notify component in the same run has stored under a name."""

    type_name = "Listen"
    aliases = ("ListenComponent",)
    display_name = "Listen"
    inputs = (Input("context_key", "str", required=True, aliases=("name",), info="name of the value"),)
    outputs = (Output("data", "Data", aliases=("output", "result")),)

    def run(self, context: RunContext, /, *, context_key: str) -> Mapping[str, Any]:
        """Return the value; an empty object where none was left.

        :raises ValueError: without a name.
        """
        return {"data": _given(context.flow_values.get(_key(context_key), []))}

    def reads_with(self, settings: Mapping[str, Any], connected: Collection[str]) -> str | None:
        """It waits for the Notify components of the same name."""
        return _shared(settings)


def _key(name: Any) -> str:
    wanted = text_of(name).strip()
    if not wanted:
        raise ValueError("context_key is empty")
    return _KEY + wanted


def _shared(settings: Mapping[str, Any]) -> str | None:
    name = text_of(settings.get("context_key") or settings.get("name")).strip()
    return _SHARED + name if name else None


def _listed(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _given(kept: list[Any]) -> Any:
    """Return one value as an object, several as a list of such."""
    rows = as_table(kept)
    return rows[0] if len(rows) == 1 else rows or {}
