"""The tools of an agent: from edges, two built-in ones, and what a call returns."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Final

from flowrunner import ComponentFailed, FlowRunnerError, RunContext, Tool, utc_now

from .calculator_tool import work_out
from .protocol import ToolCall
from .tool_calls import read_arguments

_MOST_AT_ONCE: Final = 8
_LONGEST_RESULT: Final = 50_000
_LONGEST_QUOTE: Final = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one call: the text for the model, and what is shown of it."""

    call: ToolCall
    arguments: Any
    text: str
    failed: bool
    seconds: float


def own_tools(*, current_date: bool, calculator: bool) -> list[Tool]:
    """Return the tools that an agent has without any edge."""
    found = []
    if current_date:
        parameters = {"type": "object", "properties": {}, "additionalProperties": False}
        found.append(Tool("get_current_date", "Say what date and time it is now, in UTC.", parameters, _say_date))
    if calculator:
        expression = {"type": "string", "description": "numbers, + - * / ** % and parentheses"}
        parameters = {
            "type": "object",
            "properties": {"expression": expression},
            "required": ["expression"],
            "additionalProperties": False,
        }
        found.append(Tool("evaluate_expression", "Work out an arithmetic expression.", parameters, _work_out))
    return found


def gather_tools(given: Any, own: Sequence[Tool]) -> dict[str, Tool]:
    """Return tools by name; a name that is taken gets a number behind it."""
    found: dict[str, Tool] = {}
    items = given if isinstance(given, Iterable) and not isinstance(given, (str, Mapping)) else [given]
    for tool in (*items, *own):
        if not isinstance(tool, Tool):
            continue
        name, number = tool.name, 1
        while name in found:
            number += 1
            name = f"{tool.name[:60]}_{number}"
        found[name] = tool if name == tool.name else _renamed(tool, name)
    return found


def use_tools(
    context: RunContext, tools: Mapping[str, Tool], calls: Sequence[ToolCall], *, forgiving: bool
) -> list[Outcome]:
    """Call tools, several side by side, and return what came of it in the order asked.

    :param forgiving: hand errors to the model instead of raising them.
    :raises RunCancelled: if the run was cancelled meanwhile.
    :raises ValueError: if a call failed and that is not to be handed on.
    """

    def one(call: ToolCall) -> Outcome:
        return _use(context, tools, call, forgiving=forgiving)

    if len(calls) == 1:
        outcomes = [one(calls[0])]
    else:
        # A context can be entered once at a time, so each call gets a copy.
        jobs: list[Callable[[], Outcome]] = [_bound(copy_context().run, one, call) for call in calls]
        with ThreadPoolExecutor(min(_MOST_AT_ONCE, len(jobs)), thread_name_prefix="flowrunner-tool") as pool:
            outcomes = [future.result() for future in [pool.submit(job) for job in jobs]]
    context.cancelled.raise_if_set()
    return outcomes


def _bound(run: Any, function: Callable[[ToolCall], Outcome], call: ToolCall) -> Callable[[], Outcome]:
    return lambda: run(function, call)


def _use(context: RunContext, tools: Mapping[str, Tool], call: ToolCall, *, forgiving: bool) -> Outcome:
    started = time.monotonic()
    arguments: Any = call.arguments
    context.cancelled.raise_if_set()
    try:
        arguments = _read(call.arguments)
        tool = tools.get(call.name)
        if tool is None:
            raise ValueError(f"there is no tool {call.name}; available are {', '.join(tools) or 'none'}")
        text, failed = tool.answer(arguments), False
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        if isinstance(error, FlowRunnerError) and not isinstance(error, ComponentFailed):
            raise
        if not forgiving:
            raise
        # argparse and its like end the program where an argument is wrong; here they fail as a tool.
        said = f"it ended with {error!r}" if isinstance(error, (SystemExit, KeyboardInterrupt)) else str(error)
        text, failed = f"Error: {said}", True
    if len(text) > _LONGEST_RESULT:
        text = text[:_LONGEST_RESULT] + f"… ({len(text)} characters in all)"
    return Outcome(call, arguments, text, failed, time.monotonic() - started)


def _read(text: str) -> Mapping[str, Any]:
    """Return the arguments of a call.

    :raises ValueError: if they are none, with what the model wrote: history shows it a valid call instead.
    """
    found = read_arguments(text)
    if found is not None:
        return found
    wrote = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"the arguments are not valid JSON ({error}); send a JSON object; you wrote: {wrote}"
        ) from None
    raise ValueError(f"the arguments are not a JSON object; you wrote: {wrote}")


def _renamed(tool: Tool, name: str) -> Tool:
    return Tool(name, tool.description, tool.parameters, tool.call, tool.vertex_id)


def _say_date(arguments: Mapping[str, Any]) -> str:
    return utc_now().strftime("%Y-%m-%d %H:%M:%S UTC, a %A")


def _work_out(arguments: Mapping[str, Any]) -> str:
    expression = arguments.get("expression")
    if not isinstance(expression, str):
        raise ValueError("the argument expression is missing")
    return work_out(expression)
