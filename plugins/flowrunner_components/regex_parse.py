"""Reading a regular expression into a tree, without the parts that no time bound can be given for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

MAX_PATTERN: Final = 1000
MAX_DEPTH: Final = 50
MAX_REPEAT: Final = 1000

Test = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a regular expression.

    ``char`` takes one character that passes ``test``; ``place`` takes none and wants ``place`` to
    hold; ``all`` and ``any`` combine ``parts``; ``repeat`` takes its only part ``low`` to ``high``
    times (None: without end).
    """

    kind: Literal["char", "place", "all", "any", "repeat"]
    parts: tuple[Node, ...] = ()
    test: Test | None = None
    place: str = ""
    low: int = 0
    high: int | None = None


@dataclass(slots=True)
class _Reader:
    text: str
    ignore_case: bool
    dot_all: bool = False
    multi_line: bool = False
    at: int = 0
    depth: int = 0

    def peek(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def take(self, expected: str = "") -> str:
        found = self.peek()
        if not found or (expected and found != expected):
            raise ValueError(f"{_LEAD} {expected or 'a character'} is missing at position {self.at}")
        self.at += 1
        return found


_LEAD: Final = "the regular expression cannot be used:"
_CATEGORIES: Final[dict[str, Test]] = {
    "d": str.isdecimal,
    "s": str.isspace,
    "w": lambda c: c.isalnum() or c == "_",
}
_PLACES: Final = {"A": "start", "Z": "end", "b": "edge", "B": "inside"}
_FLAGS: Final = re.compile(r"\(\?([imsu]+)\)")
_COUNT: Final = re.compile(r"\{(\d{0,9})(,?)(\d{0,9})\}")
_GROUP: Final = re.compile(r"\?(?::|P<[A-Za-z_]\w*>)")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_HEX: Final = {"x": 2, "u": 4, "U": 8}


def parse(pattern: str, *, ignore_case: bool = False) -> Node:
    """Read a regular expression.

    Understood are characters, classes, groups, ``|``, ``* + ? {m,n}`` (greedy or not, which is the
    same here), ``^ $ \\A \\Z \\b \\B`` and the flags ``(?ims)`` at the start. Back references and
    looking around are refused: they cannot be answered in bounded time.

    :raises ValueError: saying what cannot be read, and where.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"{_LEAD} it is longer than {MAX_PATTERN} characters")
    reader = _Reader(pattern, ignore_case)
    flags = _FLAGS.match(pattern)
    if flags:
        reader.at = flags.end()
        reader.ignore_case = ignore_case or "i" in flags[1]
        reader.dot_all, reader.multi_line = "s" in flags[1], "m" in flags[1]
    tree = _alternatives(reader)
    if reader.at < len(pattern):
        raise ValueError(f"{_LEAD} a closing parenthesis too many at position {reader.at}")
    return tree


def _alternatives(reader: _Reader) -> Node:
    reader.depth += 1
    if reader.depth > MAX_DEPTH:
        raise ValueError(f"{_LEAD} its groups are nested more than {MAX_DEPTH} deep")
    branches = [_sequence(reader)]
    while reader.peek() == "|":
        reader.take()
        branches.append(_sequence(reader))
    reader.depth -= 1
    return branches[0] if len(branches) == 1 else Node("any", tuple(branches))


def _sequence(reader: _Reader) -> Node:
    parts = []
    while reader.peek() not in ("", "|", ")"):
        start = reader.at
        part = _atom(reader)
        counts = _counts(reader)
        if counts is not None:
            if part.kind == "place":
                raise ValueError(f"{_LEAD} nothing to repeat at position {start}")
            part = Node("repeat", (part,), low=counts[0], high=counts[1])
            if reader.peek() == "?":
                reader.take()
            if _counts(reader) is not None:
                raise ValueError(f"{_LEAD} two repetitions in a row at position {start}")
        parts.append(part)
    return parts[0] if len(parts) == 1 else Node("all", tuple(parts))


def _counts(reader: _Reader) -> tuple[int, int | None] | None:
    """Take a repetition, if one stands here."""
    sign = reader.peek()
    if sign and sign in "*+?":
        reader.take()
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
    found = _counts_at(reader, reader.at)
    if found is None:
        return None
    reader.at = found.end()
    low = int(found[1] or 0)
    high = (int(found[3]) if found[3] else None) if found[2] else low
    if max(low, high or 0) > MAX_REPEAT or (high is not None and high < low):
        raise ValueError(f"{_LEAD} {found.group()} repeats more than {MAX_REPEAT} times, or backwards")
    return low, high


def _counts_at(reader: _Reader, position: int) -> re.Match[str] | None:
    """Return ``{m,n}`` if it stands there; ``{}`` and anything else in braces is plain text."""
    found = _COUNT.match(reader.text, position)
    return found if found is not None and (found[1] or found[2]) else None


def _atom(reader: _Reader) -> Node:
    sign = reader.take()
    if sign == "(":
        return _group(reader)
    if sign == "[":
        return Node("char", test=_class(reader))
    if sign == "\\":
        return _escape(reader)
    if sign == ".":
        return Node("char", test=(lambda c: True) if reader.dot_all else (lambda c: c != "\n"))
    if sign in "^$":
        many = "line " if reader.multi_line else ""
        return Node("place", place=many + ("start" if sign == "^" else "last"))
    if sign in "*+?" or (sign == "{" and _counts_at(reader, reader.at - 1) is not None):
        raise ValueError(f"{_LEAD} nothing to repeat at position {reader.at - 1}")
    return Node("char", test=_one(sign, reader.ignore_case))


def _group(reader: _Reader) -> Node:
    if reader.peek() == "?":
        found = _GROUP.match(reader.text, reader.at)
        if found is None:
            raise ValueError(f"{_LEAD} (?{reader.peek(1)} at position {reader.at - 1} is not supported")
        reader.at = found.end()
    inner = _alternatives(reader)
    reader.take(")")
    return Node("all", (inner,))


def _escape(reader: _Reader) -> Node:
    sign = reader.take()
    if sign in _PLACES:
        return Node("place", place=_PLACES[sign])
    if sign in "123456789":
        raise ValueError(f"{_LEAD} the back reference \\{sign} is not supported")
    return Node("char", test=_escaped_test(reader, sign))


def _escaped_test(reader: _Reader, sign: str) -> Test:
    category = _CATEGORIES.get(sign.lower())
    if category is not None:
        return category if sign.islower() else lambda c: not category(c)
    return _one(_escaped_char(reader, sign), reader.ignore_case)


def _escaped_char(reader: _Reader, sign: str) -> str:
    if sign in _HEX:
        digits = "".join(reader.take() for _ in range(_HEX[sign]))
        try:
            return chr(int(digits, 16))
        except (ValueError, OverflowError):
            raise ValueError(f"{_LEAD} \\{sign}{digits} is no character") from None
    if sign.isascii() and sign.isalnum() and sign not in _ESCAPES:
        raise ValueError(f"{_LEAD} the escape \\{sign} is not known")
    return _ESCAPES.get(sign, sign)


def _class(reader: _Reader) -> Test:
    opened = reader.at - 1
    negated = reader.peek() == "^"
    if negated:
        reader.take()
    tests: list[Test] = []
    first = True
    while first or reader.peek() != "]":
        first = False
        if not reader.peek():
            raise ValueError(f"{_LEAD} the class at position {opened} has no end")
        tests.append(_class_item(reader))
    reader.take("]")
    wanted = _any_case(tests) if reader.ignore_case else lambda c: any(test(c) for test in tests)
    return (lambda c: not wanted(c)) if negated else wanted


def _class_item(reader: _Reader) -> Test:
    low = reader.take()
    if low == "\\":
        sign = reader.take()
        if sign.lower() in _CATEGORIES:
            return _escaped_test(reader, sign)
        low = "\b" if sign == "b" else _escaped_char(reader, sign)
    if reader.peek() != "-" or reader.peek(1) in ("]", ""):
        return lambda c: c == low
    reader.take("-")
    high = reader.take()
    if high == "\\":
        sign = reader.take()
        high = "\b" if sign == "b" else _escaped_char(reader, sign)
    if high < low:
        raise ValueError(f"{_LEAD} the range {low}-{high} is backwards")
    return lambda c: low <= c <= high


def _any_case(tests: list[Test]) -> Test:
    return lambda c: any(test(form) for form in {c, c.lower(), c.upper()} if len(form) == 1 for test in tests)


def _one(char: str, ignore_case: bool) -> Test:
    if not ignore_case or char.lower() == char.upper():
        return lambda c: c == char
    forms = {char, char.lower(), char.upper()}
    return lambda c: c in forms or c.lower() in forms
