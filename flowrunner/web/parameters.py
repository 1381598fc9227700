"""Query and path parameters, read with the reference server's words for what is wrong."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote

from flask import request

from flowrunner.errors import RequestInvalid

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})


def invalid(place: Iterable[Any], kind: str, message: str, **context: Any) -> RequestInvalid:
    """Return the error for one wrong value, at ``place`` such as ``("query", "limit")``."""
    entry: dict[str, Any] = {"type": kind, "loc": list(place), "msg": message}
    if context:
        entry["ctx"] = context
    return RequestInvalid(message, [entry])


def query_text(name: str) -> str | None:
    """Return a query parameter, None if it is absent or empty."""
    return request.args.get(name) or None


#: No list is as long; what a store reckons with it stays a number that it can hold.
_MOST: Final = 2**31 - 1


def query_integer(name: str, default: int, *, low: int = 0, high: int = _MOST) -> int:
    """Return a whole number.

    :raises RequestInvalid: if it is none, or out of bounds.
    """
    text = request.args.get(name)
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        message = "Input should be a valid integer, unable to parse string as an integer"
        raise invalid(("query", name), "int_parsing", message) from None
    if number < low:
        message = f"Input should be greater than or equal to {low}"
        raise invalid(("query", name), "greater_than_equal", message, ge=low)
    if number > high:
        raise invalid(("query", name), "less_than_equal", f"Input should be less than or equal to {high}", le=high)
    return number


def query_boolean(name: str, default: bool = False) -> bool:
    """Return a truth value.

    :raises RequestInvalid: if it is none.
    """
    text = request.args.get(name)
    if text is None:
        return default
    word = text.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    message = "Input should be a valid boolean, unable to interpret input"
    raise invalid(("query", name), "bool_parsing", message)


def query_uuid(name: str) -> str | None:
    """Return a UUID in canonical spelling, None if it is absent.

    :raises RequestInvalid: if it is none.
    """
    text = request.args.get(name)
    return None if text is None else read_uuid(text, ("query", name))


def read_uuid(text: Any, place: Iterable[Any]) -> str:
    """Return a UUID in canonical spelling.

    :raises RequestInvalid: if it is none, naming the place.
    """
    try:
        return str(uuid.UUID(text))
    except (ValueError, AttributeError, TypeError):
        raise invalid(place, "uuid_parsing", f"Input should be a valid UUID, {_why_no_uuid(text)}") from None


def _why_no_uuid(text: Any) -> str:
    for number, letter in enumerate(str(text), 1):
        if letter not in "0123456789abcdefABCDEF-":
            return f"invalid character: found `{letter}` at {number}"
    return "invalid length: expected length 32 for simple format, found " + str(len(str(text)))


def session_spellings(text: str) -> list[str]:
    """Return the session ids that a query may mean: as it stands first, then decoded once more (D12)."""
    decoded = unquote(text)
    return [text] if decoded == text else [text, decoded]
