"""Convert the values of cells to JSON."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def plain_cell(value: Any) -> Any:
    """Return a value as JSON: exact numbers stay numbers, moments become ISO text, bytes text or base64."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _text(bytes(value))
    if isinstance(value, Mapping):
        return {str(key): plain_cell(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_cell(item) for item in value]
    return str(value)


def size_of(value: Any) -> int:
    """Return how many characters a cell takes, roughly, with all that it holds."""
    size, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        size += len(one) if isinstance(one, (str, bytes)) else 8
        if isinstance(one, Mapping):
            waiting += one
            waiting += one.values()
        elif isinstance(one, (list, tuple)):
            waiting += one
    return size


def _number(value: Decimal) -> Any:
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    found = float(value)
    return found if Decimal(repr(found)) == value else str(value)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode("ascii")
