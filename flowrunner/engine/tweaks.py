"""Tweaks: settings changed for one run by its request."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from flowrunner.engine.plan import SESSION_INPUT, Plan, PlannedVertex, configure
from flowrunner.errors import FlowInvalid, RequestInvalid, TweakRefused

#: Fields that keep the value of the flow's author, whatever their type.
PROTECTED: Final = frozenset({"code", "_type", "function_code", "python_code", "tool_code"})


def apply_tweaks(plan: Plan, tweaks: Mapping[str, Any]) -> dict[int, PlannedVertex]:
    """Return changed copies of the vertices that the tweaks name, by position.

    A key is the id or display name of a vertex (of equal names the last), with an object of
    fields; or the name of a field, with a value for every vertex that has it. A field fed by an
    edge keeps what the edge brings. Names that nothing has are ignored (CONTRACT §8).

    :raises TweakRefused: if a protected field is named; nothing is applied then.
    :raises RequestInvalid: if a value is of no use to its field.
    """
    refuse_protected(plan, tweaks)
    changes: dict[int, dict[str, Any]] = {}
    by_name = {v.display_name: v.index for v in plan.vertices}
    by_id = {v.vertex.id: v.index for v in plan.vertices}
    for key, value in tweaks.items():
        if not isinstance(value, Mapping):
            for planned in plan.vertices:
                if _has_field(planned, key):
                    changes.setdefault(planned.index, {}).setdefault(key, value)
    for index_of in (by_name, by_id):
        for key, value in tweaks.items():
            if isinstance(value, Mapping) and key in index_of:
                fields = {name: v for name, v in value.items() if isinstance(name, str)}
                changes.setdefault(index_of[key], {}).update(fields)
    return {index: _changed(plan.vertices[index], fields) for index, fields in changes.items()}


def refuse_protected(plan: Plan, tweaks: Mapping[str, Any]) -> None:
    """Refuse tweaks that name a protected field, wherever they name it.

    :raises TweakRefused: with the names of the fields.
    """
    protected = PROTECTED.union(*(v.vertex.protected for v in plan.vertices)) if plan.vertices else PROTECTED
    named: list[str] = []
    for key, value in tweaks.items():
        fields = value if isinstance(value, Mapping) else (key,)
        named += [name for name in fields if name in protected and name not in named]
    if named:
        raise TweakRefused(named)


def _has_field(planned: PlannedVertex, name: str) -> bool:
    vertex = planned.vertex
    if name in vertex.settings or name in vertex.hidden or name in vertex.field_types or name == "session_id":
        return True
    return any(name == i.name or name in i.aliases for i in planned.inputs.values())


def _changed(planned: PlannedVertex, fields: Mapping[str, Any]) -> PlannedVertex:
    """Return a copy with fields changed; a tweak clears ``load_from_db`` unless it sets it."""
    settings = dict(planned.vertex.settings)
    variables = set(planned.vertex.variables)
    for name, value in fields.items():
        names_variable = False
        if isinstance(value, Mapping) and "value" in value:
            names_variable = value.get("load_from_db") is True
            value = value["value"]
        if name == SESSION_INPUT and isinstance(value, (bool, list, dict)):
            raise _invalid(planned, "session_id is a text, and a tweak gives something else.")
        settings[name] = value
        variables.discard(name)
        if names_variable:
            variables.add(name)
    changed = copy.copy(planned)
    try:
        configure(changed, settings, variables)
    except FlowInvalid as error:
        raise _invalid(planned, error.message) from error
    return changed


def _invalid(planned: PlannedVertex, message: str) -> RequestInvalid:
    entry = {"type": "value_error", "loc": ["body", "tweaks", planned.vertex.id], "msg": message}
    return RequestInvalid(message, [entry])
