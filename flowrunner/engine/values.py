"""Convert values from flow files, tweaks and edges into what an input accepts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from flowrunner.components.ports import Input
from flowrunner.components.values import text_of
from flowrunner.memory.message import Message

TEXT_TYPES: Final = frozenset({"Message", "str", "secret"})
SCALAR_TYPES: Final = frozenset({"str", "secret", "int", "float", "bool"})


def convert(declared: Input, value: Any) -> Any:
    """Convert a setting or tweak to the type of its input.

    None means the default, and so does an empty text for an input that is not text. A number for a text input becomes
    text; a scalar for a list becomes a list with one item.

    :raises ValueError: if the value cannot be converted, naming the expected type.
    """
    if value is None:
        return _default(declared)
    if declared.many:
        items = value if isinstance(value, (list, tuple)) else ([] if value == "" else [value])
        return [_convert_one(declared, item) for item in items]
    return _convert_one(declared, value)


def convert_arriving(declared: Input, value: Any) -> Any:
    """Convert a value from an edge to the type of its input; only scalars are converted.

    :raises ValueError: if the value cannot be converted, such as a text to a number.
    """
    if declared.type in SCALAR_TYPES and not (declared.type == "str" and isinstance(value, str)):
        return _convert_one(declared, text_of(value)) if not isinstance(value, (bool, int, float)) else value
    return value


def _default(declared: Input) -> Any:
    if declared.many and declared.default is None:
        return []
    default = declared.default
    if default is None and declared.type in TEXT_TYPES:
        return ""
    return default.copy() if isinstance(default, (list, dict)) else default


def _convert_one(declared: Input, value: Any) -> Any:
    kind = declared.type
    if kind in TEXT_TYPES:
        return _text(value)
    if value is None or value == "":
        return _default(declared)
    if kind == "int":
        return _integer(value)
    if kind == "float":
        return _number(value)
    if kind == "bool":
        return _boolean(value)
    if kind in ("Data", "dict"):
        return _object(value)
    if kind in ("Table", "list"):
        return list(value) if isinstance(value, (list, tuple)) else [value]
    return value


def _text(value: Any) -> Any:
    if isinstance(value, (str, Message)):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return text_of(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError(f"must be a whole number, not {value!r}")
    if isinstance(value, int):
        return value
    try:
        number = float(value)
        whole = int(value) if isinstance(value, str) and value.strip().lstrip("+-").isdigit() else int(number)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"must be a whole number, not {_short(value)}") from None
    if not isinstance(value, str) and number != whole:
        raise ValueError(f"must be a whole number, not {_short(value)}")
    return whole


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"must be a number, not {_short(value)}") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError("must be a finite number")
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    word = str(value).strip().lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise ValueError(f"must be true or false, not {_short(value)}")


def _object(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):
        try:
            found = json.loads(value)
        except ValueError:
            return {"text": value}
        return found if isinstance(found, dict) else {"text": value}
    return value


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:60] + "…"
