"""Write JSON with orjson, and with the standard library where orjson refuses a value."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

import orjson

#: So deep may JSON nest that comes from outside, as flow files may; what recursion can follow ends further down.
MOST_DEEP: Final = 200

#: What has a text of its own in orjson, and is for the standard library no JSON.
_STRICT: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS

_plainly: Final = json.JSONEncoder(separators=(",", ":")).encode


def json_bytes(value: Any) -> bytes:
    """Return a value as JSON in UTF-8, without needless spaces; NaN and the infinities, which are not JSON, as null.

    :raises TypeError: if it holds what is not JSON.
    :raises ValueError: if it holds itself.
    :raises RecursionError: if it is nested too deeply.
    """
    try:
        return orjson.dumps(value, option=_STRICT)
    except TypeError:
        # Large integers, keys that are not texts and halves of surrogate pairs are within the standard library's reach.
        return _plainly(value).encode()


def json_text(value: Any) -> str:
    """Return a value as JSON text; see :func:`json_bytes`."""
    # Written out: a run writes a dozen small values.
    try:
        return orjson.dumps(value, option=_STRICT).decode()
    except TypeError:
        return _plainly(value)


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python reads and JSON does not know.

    :raises ValueError: always.
    """
    raise ValueError(f"{name} is not a JSON number")


def finite_number(text: str) -> float:
    """Return a number.

    :raises ValueError: if it is too large: it would be read as infinite.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def is_too_deep(value: Any, most: int = MOST_DEEP) -> bool:
    """Return whether objects and lists nest deeper than that many levels; without recursion."""
    level = [value] if isinstance(value, (dict, list, tuple)) else []
    for _ in range(most):
        if not level:
            return False
        level = [
            member
            for node in level
            for member in (node.values() if isinstance(node, dict) else node)
            if isinstance(member, (dict, list, tuple))
        ]
    return bool(level)


def is_unicode(text: str) -> bool:
    """Return whether every database can store a text: lone surrogates cannot be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
