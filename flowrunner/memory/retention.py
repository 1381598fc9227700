"""Retention rules: how long messages are kept, written as text or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_PATTERNS: Final = ("session", "flow", "owner")
_COUNTS: Final = ("newest", "total")


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """What is kept of the messages that a rule is for; without a limit, everything.

    A rule is for messages whose session id, flow (id or endpoint name) and owner fit its patterns,
    in which ``*`` stands for any text and ``?`` for one character. ``age`` keeps what is younger,
    ``newest`` that many messages of each session, ``total`` so many of all that the rule is for, the
    oldest going first.
    """

    session: str = "*"
    flow: str = "*"
    owner: str = "*"
    age: timedelta | None = None
    newest: int | None = None
    total: int | None = None

    def fits_session(self, owner: str, session_id: str) -> bool:
        """Return whether the rule may be for messages of a session."""
        return fnmatchcase(session_id, self.session) and fnmatchcase(owner, self.owner)

    def fits_flow(self, names: Iterable[str]) -> bool:
        """Return whether the rule matches messages of a flow with these names; without a flow the name is ``""``."""
        return any(fnmatchcase(name, self.flow) for name in names)

    def __str__(self) -> str:
        words = [f"{name}={getattr(self, name)}" for name in _PATTERNS if getattr(self, name) != "*"]
        if self.age is not None:
            words.append(f"age={_age_text(self.age)}")
        words += [f"{name}={getattr(self, name)}" for name in _COUNTS if getattr(self, name) is not None]
        return " ".join(words) or "everything is kept"


def read_rules(value: Any) -> tuple[RetentionRule, ...]:
    """Read rules written as ``session=guest-* age=7d newest=100; age=365d``, or as JSON: a list of objects.

    The first rule that matches a message applies. JSON is for patterns with blanks or semicolons.

    :raises ValueError: with what is wrong.
    """
    if isinstance(value, str):
        text = value.strip()
        value = json.loads(text) if text.startswith(("[", "{")) else _words(text)
    if isinstance(value, Mapping):
        value = [value]
    return tuple(one if isinstance(one, RetentionRule) else _rule(one) for one in value)


def _words(text: str) -> list[dict[str, str]]:
    rules = []
    for part in text.split(";"):
        rule: dict[str, str] = {}
        for word in part.split():
            name, equals, given = word.partition("=")
            if not equals or not given:
                raise ValueError(f"{word!r} must have the form name=value")
            if name in rule:
                raise ValueError(f"{name} occurs twice in one rule")
            rule[name] = given
        if rule:
            rules.append(rule)
    return rules


def _rule(given: Any) -> RetentionRule:
    if not isinstance(given, Mapping):
        raise ValueError(f"a rule is an object with any of {_known()}")
    members: dict[str, Any] = {}
    for name, value in given.items():
        if name in _PATTERNS:
            if not isinstance(value, str):
                raise ValueError(f"{name} must be a text")
            members[name] = value
        elif name in _COUNTS:
            members[name] = _count(name, value)
        elif name == "age":
            members[name] = _age(value)
        else:
            raise ValueError(f"a rule has no {name!r}, only {_known()}")
    return RetentionRule(**members)


def _known() -> str:
    return ", ".join((*_PATTERNS, "age", *_COUNTS))


def _count(name: str, value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f"{name} must be a whole number, 0 or more, not {value!r}")
    return number


def _age(value: Any) -> timedelta:
    text = str(value)
    unit = _UNITS.get(text[-1:])
    if unit is None or not text[:-1].isdecimal():
        raise ValueError(f"age must be a number with one of the units {', '.join(_UNITS)}, such as 30d, not {value!r}")
    try:
        return timedelta(seconds=int(text[:-1]) * unit)
    except OverflowError:
        raise ValueError(f"age is too long: {value!r}") from None


def _age_text(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    unit = next(u for u, size in reversed(_UNITS.items()) if u != "y" and seconds % size == 0)
    return f"{seconds // _UNITS[unit]}{unit}"
