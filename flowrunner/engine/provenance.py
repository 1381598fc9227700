"""The provenance of input values: who set each one, and which secrets it may contain."""

from __future__ import annotations

from typing import Any, Final

from flowrunner.components.ports import Input
from flowrunner.engine.planned import SESSION_INPUT, PlannedEdge, PlannedVertex
from flowrunner.engine.request import Handed
from flowrunner.engine.state import RunState
from flowrunner.outgoing import weakest_address
from flowrunner.store.credentials import is_secret_name
from flowrunner.word import Given, Word

#: Set by the request, and free of other people's secrets.
_ASKED: Final = (Word.REQUEST, Word.REQUEST)


class Provenance:
    """The provenance of the values of one vertex.

    :param values: the values that the component gets.
    :param arguments: names of inputs filled by a model that called the vertex as a tool.
    """

    __slots__ = ("_arguments", "_planned", "_state", "_values")

    def __init__(
        self, state: RunState, planned: PlannedVertex, values: dict[str, Any], arguments: frozenset[str]
    ) -> None:
        self._state = state
        self._planned = planned
        self._values = values
        self._arguments = arguments

    def given(self, name: str) -> Given:
        """Return who set the value of an input, and whose secrets it may contain."""
        state, planned = self._state, self._planned
        word, secret = _ASKED if name in self._arguments else _words_of(state, planned, name)
        if word is state.word:
            return Given(word, secret, None, word)
        tweaked = name not in self._arguments and _is_changed(state, planned, name) and not _fed(state, planned, name)
        return Given(word, secret, *_own(state, planned, name), tweaked)

    def variable(self, name: str, *, to: Word | None = None, asked: bool = False, chosen: bool = False) -> str | None:
        """Look up a variable for the component; see :class:`flowrunner.RunContext`."""
        if to is None:
            to = weakest_address(self._planned.inputs, self._values, self.given) or Word.OPERATOR
        found = self._state.variable(name, asked=asked, chosen=chosen)
        return found.value if found is not None and found.word <= to else None

    def without_secrets(self) -> dict[str, Any]:
        """Return the values for a component that does not ask the policy, without secrets its addresses may not get."""
        inputs, values = self._planned.inputs, self._values
        holders = [name for name, one in inputs.items() if _may_hold_secret(one) and values.get(name)]
        if not holders:
            return values
        to = weakest_address(inputs, values, self.given)
        if to is None or to is Word.OPERATOR:
            return values
        return {**values, **{name: _blank(inputs[name]) for name in holders if self.given(name).secret > to}}


def injected(state: RunState, planned: PlannedVertex) -> tuple[str, Any] | None:
    """Return the input of a vertex that receives the input of the request, and the value; None if there is none."""
    request, kind = state.request, planned.component.input_kind
    name, value = "input_value", request.input_value
    if kind == "webhook":
        name, value = "data", request.payload
    elif request.input_type not in (kind, "any"):
        return None
    if not planned.is_input or value is None or name not in planned.values or name in planned.connected:
        return None
    return name, value


def _words_of(state: RunState, planned: PlannedVertex, name: str) -> tuple[Word, Word]:
    """Return who set a value, and whose secrets it may contain."""
    edges = _fed(state, planned, name)
    if edges:
        return _joined([_of_output(state, edge) for edge in edges])
    if name == SESSION_INPUT:
        return _ASKED
    inside = injected(state, planned) if planned.is_input else None
    handed = state.request.handed
    if inside is not None and inside[0] == name:
        return _ASKED if handed is None else (handed.input_value.word, handed.input_value.secret)
    changed = _is_changed(state, planned, name)
    variable = planned.variables.get(name)
    if variable is not None:
        found = state.variable_of(planned, name)
        supplier = state.word if found is None else found.word
        return (Word.REQUEST if changed else min(state.word, supplier)), supplier
    if not changed:
        return _of_setting(state, planned, name)
    return _ASKED if handed is None else _of_handed(handed, planned, name)


def _of_handed(handed: Handed, planned: PlannedVertex, name: str) -> tuple[Word, Word]:
    """Return who set a setting passed by another flow, under any of its names."""
    declared = planned.inputs.get(name)
    aliases = () if declared is None else declared.aliases
    given = handed.setting((planned.vertex.id, planned.display_name), (name, *aliases))
    return given.word, given.secret


def _fed(state: RunState, planned: PlannedVertex, name: str) -> list[PlannedEdge]:
    return [edge for edge in planned.incoming if edge.input == name and state.is_live(edge)]


def _is_changed(state: RunState, planned: PlannedVertex, name: str) -> bool:
    """Return whether a tweak changed the setting of an input."""
    original = state.plan.vertices[planned.index]
    return original is not planned and (
        original.variables.get(name) != planned.variables.get(name)
        or original.values.get(name) != planned.values.get(name)
    )


def _of_setting(state: RunState, planned: PlannedVertex, name: str) -> tuple[Word, Word]:
    declared, value = planned.inputs.get(name), planned.values.get(name)
    says_nothing = value in (None, "", [], {}) or (declared is not None and value == declared.default)
    return state.word, Word.REQUEST if says_nothing else state.word


def _own(state: RunState, planned: PlannedVertex, name: str) -> tuple[Any, Word]:
    """Return the value of an input without the request and without edges, and who set it."""
    original = state.plan.vertices[planned.index]
    variable = original.variables.get(name)
    if variable is None:
        return original.values.get(name), state.word
    found = state.services.variable(state.owner, variable, asked=False, chosen=False)
    # A name that is not found may be a plain value marked as a name by mistake.
    return (variable, state.word) if found is None else (found.value, min(state.word, found.word))


def _of_output(state: RunState, edge: PlannedEdge) -> tuple[Word, Word]:
    """Return who determined the outputs of a vertex; data read from elsewhere counts as the request's.

    Iterative, since chains of vertices may be long.
    """
    known, waiting = state.words, [edge.source]
    while waiting:
        index = waiting[-1]
        planned = state.vertices[index]
        if not planned.component.pure or planned.vertex.frozen or planned.as_tool or planned.in_cycle:
            known[index] = (Word.REQUEST, state.word)
        sources = [e.source for e in planned.incoming if state.is_live(e) and e.source not in known]
        if index in known or not sources:
            waiting.pop()
            if index not in known:
                known[index] = _joined([_words_of(state, planned, name) for name in planned.inputs])
        else:
            waiting += sources
    return known[edge.source]


def _joined(several: list[tuple[Word, Word]]) -> tuple[Word, Word]:
    """Return the least trusted origin of several values, and the most trusted owner of a secret in them."""
    words, secrets = [word for word, _ in several], [secret for _, secret in several]
    return min(words, default=Word.REQUEST), max(secrets, default=Word.OPERATOR)


def _may_hold_secret(declared: Input) -> bool:
    return declared.type == "secret" or "header" in declared.name.lower() or is_secret_name(declared.name)


def _blank(declared: Input) -> Any:
    if declared.many:
        return []
    return "" if declared.type in ("secret", "str", "Message") else None
