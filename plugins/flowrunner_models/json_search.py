"""Find JSON in text, in linear time.

A start that fails may be followed by thousands that fail for the same reason further on: each
bracket of ``[[[[[`` waits for an end that the first one has looked for already. So a start is
followed once, with all the brackets inside it; those that are open where it fails have failed too,
and those that are closed are found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

_BEGIN: Final = re.compile(r"[\[{]")
_TOKEN: Final = re.compile(
    r"[ \t\n\r]*(?:(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<colon>:)"
    r'|(?P<text>"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\\x00-\x1f]*)*")'
    r"|(?P<word>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null))",
    re.ASCII,
)
#: Levels of objects and lists; JSON that nests deeper is passed over.
_MOST_DEEP: Final = 200
_FENCE: Final = "```"
_LOOK_EVERY: Final = 4096
#: Raises where a run should stop.
Look = Callable[[], object]
_LANGUAGE: Final = re.compile(r"[a-zA-Z]*")


def find_json(text: str, look: Look | None = None) -> Any:
    """Return the first JSON object or list in a text, in a fenced block or bare; None if there is none."""
    blocks = text.split(_FENCE)[1:-1:2]
    for candidate in (text, *(block[_LANGUAGE.match(block).end() :] for block in blocks)):  # type: ignore[union-attr]
        found = _load(candidate)
        if isinstance(found, (dict, list)):
            return found
    return next(documents(text, look), None)


def documents(text: str, look: Look | None = None) -> Iterator[Any]:
    """Yield the JSON objects and lists in a text, in their order, each with all that is in it.

    :param look: called now and then; it raises where the run should stop.
    """
    search, at = _Search(text, look), 0
    while match := _BEGIN.search(text, at):
        start = match.start()
        end = search.end_of(start)
        at = end or start + 1
        if end and not search.is_deep(start):
            found = _load(text[start:end])
            if found is not None:
                yield found


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class _Search:
    """What is known of the brackets of a text: where those end that have been followed."""

    def __init__(self, text: str, look: Look | None) -> None:
        self._text = text
        self._look = look
        self._steps = 0
        self._ends: dict[int, int] = {}
        self._deep: set[int] = set()

    def is_deep(self, start: int) -> bool:
        """Return whether what begins there nests deeper than is read."""
        return start in self._deep

    def end_of(self, start: int) -> int:
        """Return where the object or list ends that begins there, 0 if none does."""
        if start not in self._ends:
            self._follow(start)
        return self._ends[start]

    def _follow(self, start: int) -> None:
        """Read from a bracket to its end, or to where this is not JSON; note the ends of all brackets on the way."""
        text, at = self._text, start
        opened: list[tuple[int, int]] = []
        deepest, wanted = 0, "value"
        while token := _TOKEN.match(text, at):
            kind, at = token.lastgroup or "", token.end()
            self._steps += 1
            if self._look is not None and not self._steps % _LOOK_EVERY:
                self._look()
            if kind == "open" and wanted in _BEFORE_VALUES:
                opened.append((at - 1, deepest))
                deepest = 0
                wanted = "first value" if text[at - 1] == "[" else "first name"
            elif kind == "close" and wanted in _BEFORE_CLOSE and _PAIRS[text[opened[-1][0]]] == text[at - 1]:
                begun, outer = opened.pop()
                self._ends[begun] = at
                deepest += 1
                if deepest > _MOST_DEEP:
                    self._deep.add(begun)
                if not opened:
                    return
                deepest = max(deepest, outer)
                wanted = "comma"
            elif kind == "comma" and wanted == "comma":
                wanted = "value" if text[opened[-1][0]] == "[" else "name"
            elif kind == "colon" and wanted == "colon":
                wanted = "value"
            elif kind == "text" and wanted in ("name", "first name"):
                wanted = "colon"
            elif kind in ("text", "word") and wanted in _BEFORE_VALUES:
                wanted = "comma"
            else:
                break
        self._ends.update((begun, 0) for begun, _ in opened)


_PAIRS: Final = {"[": "]", "{": "}"}
_BEFORE_VALUES: Final = ("value", "first value")
_BEFORE_CLOSE: Final = ("comma", "first value", "first name")
