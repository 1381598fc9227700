"""A run request: input, session, tweaks, and who sends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flowrunner.errors import BadRequest
from flowrunner.word import Given, Word

INPUT_TYPES: Final = ("chat", "text", "any")
OUTPUT_TYPES: Final = ("chat", "text", "any", "debug")


#: What nobody answered for: anybody may have decided on it, and anybody's secret may be in it.
UNKNOWN: Final = Given(Word.REQUEST, Word.OPERATOR)


@dataclass(frozen=True, slots=True)
class Handed:
    """Whose words a flow hands to another one that it runs: its input, and settings by vertex and field.

    What is missing counts as chosen by anybody, and as a secret of the operator.
    """

    input_value: Given = UNKNOWN
    tweaks: Mapping[str, Mapping[str, Given]] = field(default_factory=dict)

    def setting(self, vertices: Iterable[str], fields: Iterable[str]) -> Given:
        """Return whose word a setting is that a tweak may name in several ways.

        :param vertices: the names of its vertex.
        :param fields: the names of its field.
        """
        names, tweaks = tuple(fields), [self.tweaks.get(vertex, {}) for vertex in vertices]
        found = [given[name] for given in tweaks for name in names if name in given]
        if not found:
            return UNKNOWN
        return Given(min(one.word for one in found), max(one.secret for one in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A run request, already checked for types.

    ``input_value`` None means that no input is injected. ``input_type`` says which input vertices
    get it, ``output_type`` and ``output_component`` which vertices are reported. ``tweaks`` change
    settings for this run, ``session_id`` names the session, ``variables`` are request variables by
    upper-case name. ``payload`` is the body that a webhook brought. ``streaming`` says whether
    anybody reads tokens. ``outputs_only`` is for who may not see what a flow is made of: of all
    vertices only its outputs are reported, whatever is asked for. ``handed`` is for a run that another
    flow starts: it says whose word the input and the tweaks are, which are else the request's.
    """

    input_value: str | None = None
    input_type: str = "chat"
    output_type: str = "chat"
    output_component: str = ""
    tweaks: Mapping[str, Any] = field(default_factory=dict)
    session_id: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    payload: str | None = None
    streaming: bool = False
    outputs_only: bool = False
    handed: Handed | None = None

    @property
    def characters(self) -> int:
        """How many characters its input, tweaks and variables have, in names and texts."""
        return sum(map(_characters_of, (self.input_value, self.payload, self.tweaks, self.variables)))

    def refuse_input_conflict(self) -> None:
        """Refuse an input together with a tweak of the same input, as the reference server does.

        :raises BadRequest: with the reference server's sentence.
        """
        if self.input_value is None:
            return
        for kind, words in _INPUT_WORDS.items():
            if self.input_type != kind:
                continue
            for key, value in self.tweaks.items():
                named = any(word in key for word in words)
                if named and isinstance(value, Mapping) and "input_value" in value:
                    raise BadRequest(
                        f"If you pass an input_value to the {kind} input, you cannot pass a tweak with the same name."
                    )


_INPUT_WORDS: Final = {"chat": ("ChatInput", "Chat Input"), "text": ("TextInput", "Text Input")}


def _characters_of(value: Any) -> int:
    """Return the characters of all names and texts in a value."""
    found, todo = 0, [value]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            found += len(part)
        elif isinstance(part, Mapping):
            todo += [*part.keys(), *part.values()]
        elif isinstance(part, (list, tuple)):
            todo += part
    return found
