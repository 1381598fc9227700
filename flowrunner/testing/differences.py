"""Compare a recorded conversation with the current output of its flow."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flowrunner.testing.conversations import Conversation, Turn
from flowrunner.testing.forms import shown


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference from the recording.

    ``component`` is the id of a component, or empty for the whole answer. ``output`` is the name of its output, or
    empty if only one of recording and replay ran the component.
    """

    turn: int
    say: str
    component: str
    output: str
    before: str
    now: str

    def __str__(self) -> str:
        place = ".".join(part for part in (self.component, self.output) if part) or "answer"
        lines = difflib.ndiff(self.before.splitlines(), self.now.splitlines())
        told = "\n".join(f"    {line}" for line in lines if not line.startswith("?"))
        return f"  turn {self.turn} ({self.say!r}), {place}:\n{told}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in ("turn", "say", "component", "output", "before", "now")}


def find_differences(recorded: Conversation, now: Conversation) -> list[Difference]:
    """Return all differences by turn, with components in the order in which they ran."""
    found: list[Difference] = []
    for number, (before, after) in enumerate(zip(recorded.turns, now.turns, strict=True), start=1):
        found += _in_turn(number, before, after, frozenset(recorded.ignored))
    return found


def show_differences(name: str, found: list[Difference]) -> str:
    """Return the differences as text; empty if there are none."""
    return "\n".join([f"{name} differs from the recording:", *map(str, found)]) if found else ""


def _in_turn(number: int, before: Turn, now: Turn, ignored: frozenset[str]) -> list[Difference]:
    say = before.say or ""
    if before.error or now.error:
        # After a failure, no component has values, and the error names the one that failed.
        old, new = before.error or before.answer, now.error or now.answer
        return [Difference(number, say, "", "", old, new)] if old != new else []
    found = [
        Difference(number, say, component, output, old, new)
        for component in dict.fromkeys((*before.components, *now.components))
        if component not in ignored
        for output, old, new in _in_component(before, now, component)
    ]
    # The difference of the answer would only repeat that of a component.
    if not found and before.answer != now.answer and "answer" not in ignored:
        found.append(Difference(number, say, "", "", before.answer, now.answer))
    return found


def _in_component(before: Turn, now: Turn, component: str) -> Iterator[tuple[str, str, str]]:
    old, new = before.components.get(component), now.components.get(component)
    if old is None or new is None:
        yield "", "(did not run)" if old is None else "(ran)", "(did not run)" if new is None else "(ran)"
        return
    for output in dict.fromkeys((*old, *new)):
        if output not in old or output not in new or old[output] != new[output]:
            yield output, _told(old, output), _told(new, output)


def _told(outputs: Any, output: str) -> str:
    return shown(outputs[output]) if output in outputs else "(nothing)"
