"""Validate component classes at registration: their declared ports, and the signature of ``run``."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from typing import Any, Final
from weakref import WeakKeyDictionary

from flowrunner.components.contract import Component
from flowrunner.components.ports import INPUT_TYPES, OBJECT_TYPES, TYPE_ALIASES, Input, Output
from flowrunner.errors import PluginFailed, is_interrupt, reason_of

PORT_TYPES: Final = frozenset((*INPUT_TYPES, *OBJECT_TYPES, *TYPE_ALIASES, *TYPE_ALIASES.values()))
_KINDS: Final = {"input_kind": ("chat", "text", "webhook"), "output_kind": ("chat", "text", "data")}

#: What is judged of a class. A process with many apps, such as a run of tests, judges each class once.
_DECLARED: Final = ("aliases", "inputs", "outputs", "input_kind", "output_kind", "streams_through", "inputs_for", "run")
_DECLARED_SET: Final = frozenset(_DECLARED)
_sound: Final[WeakKeyDictionary[type[Component], tuple[Any, ...]]] = WeakKeyDictionary()


def make_component(given: Any) -> Component:
    """Return an object of a component class that can be relied on.

    :raises PluginFailed: saying what is wrong, as the end of a sentence that names the plugin.
    """
    if not (isinstance(given, type) and issubclass(given, Component)):
        what = f"an object of {type(given).__name__}" if isinstance(given, Component) else _shown(given)
        raise PluginFailed(f"{what}, which is not a component class")
    name = getattr(given, "type_name", None)
    if not isinstance(name, str) or not name.strip():
        raise PluginFailed(f"{given!r}, which has no type_name")
    looked_at = tuple([getattr(given, attribute, None) for attribute in _DECLARED])
    known = _is_known(given, looked_at)
    problem = None if known else next(_problems_of_class(given), None)
    if problem is None:
        try:
            made = given()
        except BaseException as error:
            if is_interrupt(error):
                raise
            raise PluginFailed(f"the component {name}, which cannot be instantiated: {reason_of(error)}") from error
        own = not _DECLARED_SET.isdisjoint(getattr(made, "__dict__", ()))
        problem = None if known and not own else next(_problems_of_run(made), None)
        if problem is None:
            if not own and isinstance(given.inputs, tuple) and isinstance(given.outputs, tuple):
                _sound[given] = looked_at
            return made
    raise PluginFailed(f"the component {name}, which cannot be used: {problem}")


def _is_known(given: type[Component], looked_at: tuple[Any, ...]) -> bool:
    """Return whether a class was found sound, and has the same declarations still."""
    before = _sound.get(given)
    return before is not None and all(one is other for one, other in zip(before, looked_at, strict=True))


def _problems_of_class(given: type[Component]) -> Iterator[str]:
    yield from _names("aliases", given.aliases)
    yield from _flag("blocking", given.blocking)
    for method in ("inputs_for", "outputs_for", "packages_for"):
        if not callable(getattr(given, method)):
            yield f"its {method} is {_shown(getattr(given, method))}, but must be a method"
    yield from _ports(given, "inputs", Input)
    yield from _ports(given, "outputs", Output)
    for attribute, known in _KINDS.items():
        kind = getattr(given, attribute)
        if kind is not None and kind not in known:
            yield f"its {attribute} is {kind!r}, but must be one of {', '.join(known)}"
    yield from _names("streams_through", given.streams_through)
    if given.inputs_for is Component.inputs_for:
        declared = {port.name for port in given.inputs}
        for name in given.streams_through:
            if name not in declared:
                yield f"its streams_through names {name}, which is not one of its inputs"


def _ports(given: type[Component], attribute: str, kind: type[Input] | type[Output]) -> Iterator[str]:
    """Find what is wrong with the inputs or the outputs."""
    ports, word = getattr(given, attribute), kind.__name__
    if isinstance(ports, kind):
        yield (
            f"its {attribute} is a single {word}; write a one-element tuple with a comma, {attribute} = ({word}(...),)"
        )
        return
    if not isinstance(ports, (tuple, list)):
        yield f"its {attribute} is {_shown(ports)}, but must be a tuple of {word}"
        return
    taken: set[str] = set()
    for port in ports:
        if not isinstance(port, kind):
            hint = f': write {word}("{port}")' if isinstance(port, str) and port.isidentifier() else ""
            yield f"its {attribute} contains {_shown(port)}, which is not an {word}{hint}"
            return
        yield from _port(port, attribute.removesuffix("s"))
        for name in (port.name, *port.aliases):
            if name in taken:
                yield f"two of its {attribute} are named {name}"
            taken.add(name)


def _port(port: Input | Output, word: str) -> Iterator[str]:
    """Find what is wrong with one input or output."""
    if not isinstance(port.name, str) or not port.name.strip():
        yield f"the name of an {word} is {_shown(port.name)}, but must be a string"
        return
    here = f"the {word} {port.name}"
    lists = ("aliases", "accepts", "options") if isinstance(port, Input) else ("aliases",)
    for attribute in lists:
        for problem in _names(attribute, getattr(port, attribute)):
            yield f"{here}: {problem}"
    for attribute in ("required", "many", "tool") if isinstance(port, Input) else ():
        for problem in _flag(attribute, getattr(port, attribute)):
            yield f"{here}: {problem}"
    accepted = port.accepts if isinstance(port, Input) else ()
    for port_type in (port.type, *accepted):
        if port_type not in PORT_TYPES:
            near = difflib.get_close_matches(str(port_type).capitalize(), PORT_TYPES, n=1)
            hint = f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(sorted(INPUT_TYPES))}"
            yield f"{here} has the unknown port type {port_type!r}{hint}"


def _names(attribute: str, value: Any) -> Iterator[str]:
    if not isinstance(value, (tuple, list)) or not all(isinstance(one, str) for one in value):
        yield f"its {attribute} is {_shown(value)}, but must be a tuple of strings"


def _flag(attribute: str, value: Any) -> Iterator[str]:
    # "no" would be true.
    if not isinstance(value, bool):
        yield f"its {attribute} is {_shown(value)}, but must be True or False"


def _problems_of_run(made: Component) -> Iterator[str]:
    """Find why ``run`` could not be called with a context and the declared inputs as keywords."""
    run: Any = made.run
    if not callable(run):
        yield f"its run is {_shown(run)}, but must be a method: def run(self, context, ...)"
        return
    if inspect.iscoroutinefunction(run) or inspect.isasyncgenfunction(run):
        yield ("its run is an async def, which is not supported: write def run, and call asyncio.run(...) in it")
        return
    try:
        # What a decorator takes counts, not what the function inside it takes.
        parameters = list(inspect.signature(run, follow_wrapped=False).parameters.values())
    except (TypeError, ValueError):
        return
    yield from _misfits(parameters, [port.name for port in made.inputs], _is_dynamic(made))


def _is_dynamic(made: Component) -> bool:
    """Return whether a vertex may have other inputs than those declared."""
    return type(made).inputs_for is not Component.inputs_for


def _misfits(parameters: list[inspect.Parameter], inputs: list[str], dynamic: bool) -> Iterator[str]:
    kinds = inspect.Parameter
    takes_all = any(one.kind is kinds.VAR_KEYWORD for one in parameters)
    positional = (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    if parameters and parameters[0].kind in positional:
        context, rest = parameters[0], parameters[1:]
    elif parameters and parameters[0].kind is kinds.VAR_POSITIONAL:
        context, rest = None, parameters
    else:
        yield "its run does not take the context: write def run(self, context, ...)"
        return
    if context is not None and context.kind is kinds.POSITIONAL_OR_KEYWORD and context.name in inputs:
        yield (
            f"its run takes {context.name} first, where the context is given, and has an input of that name:"
            " write def run(self, context, /, ...)"
        )
    named = [one for one in rest if one.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    for one in rest:
        if one.kind is kinds.POSITIONAL_ONLY and one.default is kinds.empty:
            yield f"its run takes {one.name} by position, but inputs are passed by keyword"
    for name in inputs:
        if not takes_all and name not in {one.name for one in named}:
            yield f"its run does not take the input {name}"
    for one in named:
        if one.name not in inputs and one.default is kinds.empty and not dynamic:
            yield f"its run takes {one.name}, which is not one of its inputs"


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:79] + "…"
