"""Parse text that contains JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import Any, Final

from flowrunner import text_of

_INTEGER: Final = re.compile(r"-?(0|[1-9]\d{0,17})")
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)\.\d+")


def read_json(text: str) -> Any:
    """Return the value of a JSON text.

    :raises ValueError: for broken JSON, and for NaN and numbers beyond all bounds: they could not be written again.
    :raises RecursionError: for JSON that is nested too deeply.
    """
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a JSON number")
    return number


def read_structured(text: str) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the object or the rows that a text holds, as JSON or CSV; else the text under ``text``."""
    try:
        found = read_json(text)
    except (ValueError, RecursionError):
        return _read_csv(text) or {"text": text}
    if isinstance(found, dict):
        return found
    if isinstance(found, list) and found:
        return [item if isinstance(item, dict) else {"text": text_of(item)} for item in found]
    return {"text": text}


def _read_csv(text: str) -> list[dict[str, Any]]:
    """Return the rows of a CSV text: a head of at least two names, and rows that are as wide."""
    try:
        lines = [line for line in csv.reader(io.StringIO(text.strip()), strict=True) if line]
    except csv.Error:
        return []
    if len(lines) < 2 or len(lines[0]) < 2:
        return []
    head = [name.strip() for name in lines[0]]
    if not all(head) or len(set(head)) < len(head) or any(len(line) != len(head) for line in lines[1:]):
        return []
    return [{name: _cell(cell) for name, cell in zip(head, line, strict=True)} for line in lines[1:]]


def _cell(text: str) -> Any:
    """Return a cell as a number where it can only be one; ``007`` stays text."""
    plain = text.strip()
    if _INTEGER.fullmatch(plain):
        return int(plain)
    if _NUMBER.fullmatch(plain) and math.isfinite(number := float(plain)):
        return number
    return plain
