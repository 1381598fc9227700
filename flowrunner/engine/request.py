"""A run request: input, session, tweaks, and who sends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flowrunner.errors import BadRequest
from flowrunner.word import Given, Word

INPUT_TYPES: Final = ("chat", "text", "any")
OUTPUT_TYPES: Final = ("chat", "text", "any", "debug")


#: Of unknown origin: set by anybody, and possibly containing a secret of the operator.
UNKNOWN: Final = Given(Word.REQUEST, Word.OPERATOR)


@dataclass(frozen=True, slots=True)
class Handed:
    """The provenance of what a flow passes to another flow that it runs: the input, and settings by vertex and field.

    A missing entry counts as set by the request, and as containing a secret of the operator.
    """

    input_value: Given = UNKNOWN
    tweaks: Mapping[str, Mapping[str, Given]] = field(default_factory=dict)

    def setting(self, vertices: Iterable[str], fields: Iterable[str]) -> Given:
        """Return the provenance of a setting, which a tweak may name in several ways.

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
    """A run request with validated types.

    ``input_value`` is the input text, None for no input. ``input_type`` selects the input vertices that get it;
    ``output_type`` and ``output_component`` select the vertices in the answer. ``tweaks`` change settings for this
    run, ``session_id`` names the session, ``variables`` are request variables by upper-case name. ``payload`` is the
    body of a webhook call. ``streaming`` says whether tokens are read. ``outputs_only`` limits the answer to the
    outputs of the flow, for callers who may not see its graph. ``handed`` is set for runs that another flow starts:
    the provenance of input and tweaks, which otherwise come from the request.
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
        """The number of characters in its input, tweaks and variables, names included."""
        return sum(map(_characters_of, (self.input_value, self.payload, self.tweaks, self.variables)))

    def refuse_input_conflict(self) -> None:
        """Refuse an input value combined with a tweak of the same input, as the reference server does.

        :raises BadRequest: with the message of the reference server.
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
    """Return the number of characters in all names and texts of a value."""
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
