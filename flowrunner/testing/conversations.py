"""Recorded conversations, to compare the output of a changed flow with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from flowrunner.components.context import RunContext
from flowrunner.components.contract import Component
from flowrunner.engine.planned import Plan
from flowrunner.engine.request import RunRequest
from flowrunner.engine.run import run
from flowrunner.errors import FlowInvalid, FlowRunnerError
from flowrunner.identity import Identity
from flowrunner.memory.message import new_id
from flowrunner.runner import Runner
from flowrunner.testing.forms import form_of, value_of

FORMAT: Final = "flowrunner conversation 1"

_TURN: Final = ("say", "tweaks", "answer", "error", "components")


@dataclass(frozen=True)
class Turn:
    """One turn: the input, the answer, and the values of each component, by output.

    ``components`` has only components that ran. ``error`` is the code and message of a failed run; otherwise it is
    empty.
    """

    say: str | None
    answer: str = ""
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tweaks: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Conversation:
    """The turns of one session of one flow.

    ``flow`` is an id or endpoint name. ``fixed`` names components that are not run again and return their recorded
    outputs, such as models. ``ignored`` names components whose outputs may differ, such as a clock; the name
    ``answer`` ignores the whole answer.
    """

    flow: str
    turns: tuple[Turn, ...]
    fixed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    name: str = ""


def load(path: Path) -> Conversation:
    """Read a conversation from a file.

    :raises FlowInvalid: if the file is not a recorded conversation, with the reason.
    """
    try:
        raw = json.loads(path.read_text("utf-8"))
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise ValueError(f'it has no member "format": "{FORMAT}"')
        turns = tuple(Turn(**{k: turn[k] for k in _TURN if k in turn}) for turn in raw["turns"])
        return Conversation(
            str(raw["flow"]), turns, tuple(raw.get("fixed", ())), tuple(raw.get("ignored", ())), path.stem
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise FlowInvalid(f"{path} is not a recorded conversation: {reason}.") from error


def save(conversation: Conversation, path: Path) -> None:
    """Write a conversation to a file."""
    turns = []
    for turn in conversation.turns:
        kept = {name: getattr(turn, name) for name in _TURN}
        turns.append({name: value for name, value in kept.items() if value or name in ("say", "answer")})
    raw: dict[str, Any] = {"format": FORMAT, "flow": conversation.flow}
    for name in ("fixed", "ignored"):
        if getattr(conversation, name):
            raw[name] = list(getattr(conversation, name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**raw, "turns": turns}, indent=2, ensure_ascii=False) + "\n", "utf-8")


def record(runner: Runner, flow: str, says: Sequence[str], *, name: str = "") -> Conversation:
    """Run a flow with some inputs and return the conversation.

    Components that wait for the network, such as models, become fixed.

    :raises FlowRunnerError: if the flow does not exist or cannot run.
    """
    plan = runner.plan(runner.find(flow, Identity("recorder")))
    turns = _talk(runner, plan, [Turn(say) for say in says])
    fixed = tuple(plan.vertices[i].vertex.id for i in plan.scope if plan.vertices[i].component.blocking)
    return Conversation(flow, tuple(turns), fixed, (), name)


def replay(runner: Runner, conversation: Conversation) -> Conversation:
    """Run the current flow with the recorded inputs, in a new session, and return the resulting conversation.

    :raises FlowRunnerError: if the flow no longer exists or cannot run.
    """
    plan = runner.plan(runner.find(conversation.flow, Identity("recorder")))
    return replace(conversation, turns=tuple(_talk(runner, plan, conversation.turns, conversation.fixed)))


def _talk(runner: Runner, plan: Plan, turns: Iterable[Turn], fixed: Sequence[str] = ()) -> list[Turn]:
    owner, session_id, done = f"recorder-{new_id()}", "recorded", []
    for turn in turns:
        asked = RunRequest(input_value=turn.say, session_id=session_id, tweaks=dict(turn.tweaks))
        held = _with_fixed(plan, turn, fixed)
        try:
            with runner.around():
                result = run(held, asked, owner=owner, services=runner.services)
        except FlowRunnerError as error:
            done.append(Turn(turn.say, tweaks=turn.tweaks, error=f"{error.code}: {error.message}"))
            continue
        given = {v.vertex_id: {name: form_of(value) for name, value in v.outputs.items()} for v in result.vertices}
        done.append(Turn(turn.say, result.text, given, turn.tweaks))
    return done


def _with_fixed(plan: Plan, turn: Turn, fixed: Sequence[str]) -> Plan:
    """Return a plan in which fixed components return the outputs recorded in a turn."""
    if not fixed:
        return plan
    vertices = tuple(
        replace(planned, component=_Recorded(turn.components.get(planned.vertex.id)))
        if planned.vertex.id in fixed and not planned.as_tool
        else planned
        for planned in plan.vertices
    )
    return replace(plan, vertices=vertices)


class _Recorded(Component):
    """Returns the recorded outputs of a component."""

    type_name = "Recorded"

    def __init__(self, outputs: Mapping[str, Any] | None) -> None:
        self._outputs = outputs

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the recorded outputs.

        :raises ValueError: if the component did not run in the recording.
        """
        if self._outputs is None:
            raise ValueError("the component is fixed, but it did not run when this conversation was recorded")
        return {name: value_of(form) for name, form in self._outputs.items()}
