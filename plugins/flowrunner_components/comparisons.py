"""Compare two texts, with the operators of If-Else."""

from __future__ import annotations

import operator as op
from collections.abc import Callable
from typing import Final

from .regular_expressions import matches_start

_TEXTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "equals": op.eq,
    "not equals": op.ne,
    "contains": op.contains,
    "starts with": str.startswith,
    "ends with": str.endswith,
}
_NUMBERS: Final[dict[str, Callable[[float, float], bool]]] = {
    "less than": op.lt,
    "less than or equal": op.le,
    "greater than": op.gt,
    "greater than or equal": op.ge,
}
_REGEX: Final = "regex"

OPERATORS: Final = (*_TEXTS, _REGEX, *_NUMBERS)


def compare(operator: str, text: str, match: str, *, case_sensitive: bool = True) -> bool:
    """Return whether a comparison holds.

    ``regex`` must match from the start of the text. The comparisons by size want numbers on both
    sides and do not hold without.

    :raises ValueError: for an unknown operator, or a regular expression that cannot be used.
    """
    if operator in _NUMBERS:
        return _compare_numbers(_NUMBERS[operator], text, match)
    if operator == _REGEX:
        return matches_start(match, text, ignore_case=not case_sensitive)
    if operator not in _TEXTS:
        raise ValueError(f"operator is {operator!r}; must be one of {', '.join(OPERATORS)}")
    if not case_sensitive:
        text, match = text.lower(), match.lower()
    return _TEXTS[operator](text, match)


def _compare_numbers(holds: Callable[[float, float], bool], text: str, match: str) -> bool:
    try:
        return holds(float(text), float(match))
    except ValueError:
        return False
