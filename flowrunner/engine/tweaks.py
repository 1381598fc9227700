"""Tweaks: settings that a request changes for one run."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from flowrunner.engine.plan import configure
from flowrunner.engine.planned import SESSION_INPUT, Plan, PlannedVertex
from flowrunner.engine.sizes import size_of
from flowrunner.errors import FlowInvalid, RequestInvalid, TweakRefused

#: The maximum of characters of a value times the number of vertices that get it, since each reads the value.
_MOST_APPLIED: Final = 2_000_000


def apply_tweaks(plan: Plan, tweaks: Mapping[str, Any], *, most: int) -> dict[int, PlannedVertex]:
    """Return changed copies of the vertices that the tweaks name, by position.

    A key is the id or display name of a vertex (of equal names, the last one) with an object of fields, or the name
    of a field with a value for every vertex that has it. A field with an edge keeps the value of the edge. Unknown
    names are ignored, as on the reference server.

    :param most: the maximum number of fields.
    :raises TweakRefused: if a protected field is named; no tweak is applied then.
    :raises RequestInvalid: if a field cannot use its value, or if there are too many fields.
    """
    _refuse_many(tweaks, most)
    refuse_protected(plan, tweaks)
    changes: dict[int, dict[str, Any]] = {}
    targets = plan.targets
    for key, value in tweaks.items():
        if not isinstance(value, Mapping) and (indexes := targets.by_field.get(key)):
            _refuse_large(key, value, len(indexes))
            for index in indexes:
                changes.setdefault(index, {})[key] = value
    for index_of in (targets.by_name, targets.by_id):
        for key, value in tweaks.items():
            if isinstance(value, Mapping) and key in index_of:
                fields = {name: v for name, v in value.items() if isinstance(name, str)}
                changes.setdefault(index_of[key], {}).update(fields)
    return {index: _changed(plan.vertices[index], fields) for index, fields in changes.items()}


def refuse_protected(plan: Plan, tweaks: Mapping[str, Any]) -> None:
    """Refuse tweaks of a protected field, at any place in them.

    :raises TweakRefused: with the names of the fields.
    """
    protected = plan.targets.protected
    named: dict[str, None] = {}
    for key, value in tweaks.items():
        fields = value if isinstance(value, Mapping) else (key,)
        named.update(dict.fromkeys(name for name in fields if name in protected))
    if named:
        raise TweakRefused(list(named))


def _refuse_many(tweaks: Mapping[str, Any], most: int) -> None:
    count = sum(len(value) if isinstance(value, Mapping) else 1 for value in tweaks.values())
    if count > most:
        raise _refusal(f"The tweaks change {count} fields; at most {most} are allowed (FLOWRUNNER_MAX_TWEAKS).")


def _refuse_large(key: str, value: Any, vertices: int) -> None:
    if vertices > 1 and size_of(value, _MOST_APPLIED) * vertices > _MOST_APPLIED:
        raise _refusal(
            f"The value of the tweak {key[:100]} is too large for the {vertices} components that have this field."
        )


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
            raise _invalid(planned, "session_id must be a string, but a tweak sets another type.")
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
    return _refusal(message, planned.vertex.id)


def _refusal(message: str, *place: str) -> RequestInvalid:
    return RequestInvalid(message, [{"type": "value_error", "loc": ["body", "tweaks", *place], "msg": message}])
