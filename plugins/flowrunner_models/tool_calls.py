"""Read tool calls from answers of model servers, whole or in deltas of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from .protocol import ToolCall
from .provider_fields import merge_opaque

_KNOWN: Final = frozenset({"id", "type", "index", "function"})
_KNOWN_OF_FUNCTION: Final = frozenset({"name", "arguments"})


class Calls:
    """Collects the calls of one reply."""

    def __init__(self) -> None:
        self._drafts: list[_Draft] = []
        self._latest: dict[int | None, _Draft] = {}

    def add(self, deltas: Any) -> None:
        """Take calls or parts of calls; one that stands alone may come without its list.

        :raises TypeError: if there is something in it that is not a call.
        """
        for delta in [deltas] if isinstance(deltas, Mapping) else deltas or ():
            self._take(delta)

    def add_function(self, function: Any) -> None:
        """Take the one call of servers that know no others (``function_call``)."""
        if isinstance(function, Mapping):
            self._take({"function": function, "index": 0})

    def found(self) -> tuple[ToolCall, ...]:
        """Return the calls: each with a name and an id of its own."""
        whole: list[_Draft] = []
        for draft in self._drafts:
            if draft.name:
                whole.append(draft)
            elif whole and draft.arguments.strip() and not _is_object(whole[-1].arguments):
                # Arguments under an index of their own belong to the call before.
                whole[-1].arguments += draft.arguments
        used: set[str] = set()
        calls = []
        for draft in whole:
            if _repeats(draft, whole):
                continue
            key = draft.id if draft.id and draft.id not in used else new_call_id()
            used.add(key)
            calls.append(ToolCall(key, draft.name, draft.arguments.strip() or "{}", draft.opaque()))
        return tuple(calls)

    def _take(self, delta: Any) -> None:
        if not isinstance(delta, Mapping):
            raise TypeError("a call must be an object")
        function = delta.get("function")
        function = function if isinstance(function, Mapping) else delta if "name" in delta else {}
        key, name = _word(delta.get("id")), _word(function.get("name"))
        arguments = _arguments(function.get("arguments"))
        draft = self._draft(_place(delta.get("index")), key, name, arguments)
        draft.id = draft.id or key
        draft.name = draft.name or name
        if not (arguments == draft.arguments and _is_object(arguments)):
            draft.arguments += arguments
        known = _KNOWN | _KNOWN_OF_FUNCTION if function is delta else _KNOWN
        merge_opaque(draft.extra, {k: v for k, v in delta.items() if k not in known})
        merge_opaque(draft.more, {k: v for k, v in function.items() if k not in _KNOWN_OF_FUNCTION | known})

    def _draft(self, place: int | None, key: str, name: str, arguments: str) -> _Draft:
        """Return the call that a delta continues with, else a new one.

        Some servers give all calls the index 0, and some none at all, where what has neither id nor
        name continues with the last one; see :func:`_begins`.
        """
        known = self._latest.get(place)
        if known is None or _begins(known, place, key, name, arguments):
            known = _Draft()
            self._drafts.append(known)
        self._latest[place] = known
        return known


@dataclass
class _Draft:
    id: str = ""
    name: str = ""
    arguments: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def opaque(self) -> dict[str, Any]:
        """Return what came with the call besides; that of its function under ``function``."""
        return {**self.extra, "function": self.more} if self.more else self.extra


def _begins(known: _Draft, place: int | None, key: str, name: str, arguments: str) -> bool:
    """Return whether a delta begins a call of its own, after one at the same place.

    Another name does; another id does with a name beside it, since there are servers that give each
    delta an id of its own. The same name again does where the call before has all its arguments:
    others repeat the name with every delta.
    """
    other_id = bool(key) and known.id not in ("", key)
    other_name = bool(name) and known.name not in ("", name)
    if place is None and (other_id or other_name):
        return True
    if other_name or (other_id and bool(name)):
        return True
    if not name or key == known.id != "" or (place is not None and arguments == known.arguments):
        return False
    return bool(known.name) and _is_object(known.arguments)


def _repeats(draft: _Draft, whole: Iterable[_Draft]) -> bool:
    """Return whether a call is the name of another said once more, with nothing behind it."""
    if draft.id or draft.arguments.strip() or draft.extra or draft.more:
        return False
    return any(other is not draft and other.name == draft.name and other.arguments.strip() for other in whole)


def new_call_id() -> str:
    """Return an id that no other call has, of the shape that the strictest servers take."""
    return uuid4().hex[:9]


def valid_arguments(text: str) -> str:
    """Return arguments as history may hold them: the text of a JSON object, an empty one for anything else."""
    found = read_arguments(text)
    if found is None:
        return "{}"
    return text if text.lstrip().startswith("{") else json.dumps(found, ensure_ascii=False)


def read_arguments(text: str) -> dict[str, Any] | None:
    """Return the object in arguments; None if they are none. Some models write JSON in a JSON text."""
    try:
        found = json.loads(text.strip() or "{}", parse_constant=_refuse)
        if isinstance(found, str):
            found = json.loads(found.strip() or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return {} if found is None else found if isinstance(found, dict) else None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _is_object(text: str) -> bool:
    return text.lstrip().startswith("{") and text.rstrip().endswith("}") and read_arguments(text) is not None


def _arguments(given: Any) -> str:
    """Return the arguments of a call as text; some servers give the object itself."""
    return given if isinstance(given, str) else "" if given is None else json.dumps(given, ensure_ascii=False)


def _place(index: Any) -> int | None:
    """Return the index of a call, which some servers write as a text."""
    if isinstance(index, bool):
        return None
    if isinstance(index, str) and index.strip().isdecimal():
        return int(index)
    return int(index) if isinstance(index, (int, float)) and index == index and abs(index) < 1e6 else None


def _word(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None or isinstance(value, bool) else str(value)
