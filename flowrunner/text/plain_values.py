"""Convert Python values that JSON has no type for: dates and numbers to text, sets to lists."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterator, Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import islice
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

#: Members of what may have no end.
MOST_COUNTED: Final = 10_000
#: From here on a number is a text: readers of JSON have limits, too.
_LARGEST: Final = 10**4000


def as_json(value: Any, speaks: type, *, records: bool = False) -> Any:
    """Return a value as JSON; of what is not data, the name of its type.

    :param speaks: the type of messages, which are shown as their ``text``.
    :param records: show the members of records, too.
    """
    if isinstance(value, speaks):
        value = value.text  # type: ignore[attr-defined]
    if isinstance(value, str):
        return value if value.isascii() else whole_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return plain_value(value)
    if isinstance(value, Mapping):
        return {_key(key, speaks): as_json(item, speaks, records=records) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item, speaks, records=records) for item in value]
    plain = plain_value(value)
    if plain is value and records:
        plain = members_of(value)
    return type(value).__name__ if plain is value else as_json(plain, speaks, records=records)


def _key(key: Any, speaks: type) -> str:
    plain = as_json(key, speaks)
    return plain if isinstance(plain, str) else str(key)


def plain_value(value: Any) -> Any:
    """Return a value that JSON knows, one step nearer to JSON; what is not data, as it is.

    The members of what comes back may need the same. Sets are sorted by their texts, so that the
    same set is always the same list.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, int) and not -_LARGEST < value < _LARGEST:
        # Python writes no more than 4,300 decimal digits; sixteen is a power of two, so these cost nothing.
        return hex(value)
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, Fraction, UUID, PurePath, timedelta, complex)):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, Set):
        return sorted(value, key=_rank)
    if isinstance(value, range):
        return list(value)
    return value


def _rank(member: Any) -> str:
    plain = plain_value(member)
    return str(plain if plain is not None else member)


def whole_text(text: str) -> str:
    """Return a text with a question mark in place of each half of a surrogate pair, which no encoding has."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def members_of(value: Any) -> Any:
    """Return the members of a record: of a dataclass, a model of pydantic, an array of numpy; else the value.

    What is counted out one by one, as by a generator, is a list; one without an end has :data:`MOST_COUNTED`.
    """
    if isinstance(value, type):
        return value
    if isinstance(value, (Iterator, deque)):
        return list(islice(value, MOST_COUNTED))
    if dataclasses.is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    for name in ("model_dump", "tolist"):
        make = getattr(value, name, None)
        if callable(make):
            return make()
    return value
