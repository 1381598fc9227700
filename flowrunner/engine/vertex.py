"""Run one vertex: call its component, and record its outputs or its error."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from datetime import datetime
from types import GeneratorType
from typing import Any

from flowrunner.components.contract import Component
from flowrunner.engine.dependence import is_personal
from flowrunner.engine.inputs import context_for, session_of, values_of
from flowrunner.engine.outputs import check_answer, check_tools, refuse_part, refuse_silence
from flowrunner.engine.planned import SESSION_INPUT, PlannedVertex
from flowrunner.engine.provenance import Provenance
from flowrunner.engine.result import VertexResult
from flowrunner.engine.state import RunState
from flowrunner.engine.tokens import Speech
from flowrunner.engine.tools import make_tools
from flowrunner.errors import ComponentFailed, FlowRunnerError, RunCancelled, RunTimeout, is_interrupt, reason_of
from flowrunner.memory.message import Message, error_message, utc_now
from flowrunner.session import Session
from flowrunner.text.budget import TextBudget
from flowrunner.text.unopened import Unopened


class VertexRunner:
    """Runs the vertices of one run, on any thread."""

    def __init__(self, state: RunState, speech: Speech) -> None:
        self._state = state
        self._speech = speech

    def run(self, planned: PlannedVertex) -> VertexResult:
        """Run a vertex whose predecessors have run.

        :raises ComponentFailed: if the component raised an exception, which is the cause.
        :raises FlowRunnerError: if the component raised an error that has a status of its own.
        """
        state = self._state
        state.events.send("vertex_started", vertex_id=planned.vertex.id)
        at, started = utc_now(), time.perf_counter()
        session = session_of(state, planned)
        values: dict[str, Any] = {}
        try:
            values, missing = values_of(state, planned)
            if SESSION_INPUT in values:
                values[SESSION_INPUT] = session.id
            outputs, kept = self._outputs(planned, session, values, missing)
        except FlowRunnerError as error:
            if error.code not in _OF_COMPONENTS:
                self._tell_end(planned, session, values, at, started, error)
                raise
            raise self._fail(planned, session, values, at, started, error) from error
        except BaseException as error:
            if is_interrupt(error):
                raise
            raise self._fail(planned, session, values, at, started, error) from error
        result = self._make_result(planned, session, values, outputs, at, started)
        result.used_frozen_result = kept
        state.events.send("vertex_finished", result=result)
        return result

    def is_kept(self, planned: PlannedVertex) -> bool:
        """Return whether a frozen vertex has a cached result, so that it need not run."""
        if not planned.vertex.frozen or is_personal(self._state, planned):
            return False
        return self._kept(planned, "") is not None

    def _outputs(
        self, planned: PlannedVertex, session: Session, values: dict[str, Any], missing: Mapping[str, str]
    ) -> tuple[Mapping[str, Any], bool]:
        """Return the outputs of a vertex, and whether they come from an earlier run."""
        if planned.as_tool:
            if planned.watched and is_personal(self._state, planned):
                self._state.personal.add(planned.index)
            if type(planned.component).own_tools is not Component.own_tools:
                brought = self._call(planned, session, values, missing, as_tools=True)
                if brought is not None:
                    return {"component_as_tool": list(brought)}, False
            tools = make_tools(planned, values, lambda merged, own: self._call(planned, session, merged, missing, own))
            return {"component_as_tool": tools}, False
        if not planned.watched:
            return self._call(planned, session, values, missing), False
        state, frozen = self._state, self._state.services.frozen
        is_kept = planned.vertex.frozen and not is_personal(state, planned)
        kept = self._kept(planned, session.id) if is_kept else None
        if kept is not None:
            return kept, True
        outputs = self._call(planned, session, values, missing)
        if is_personal(state, planned):
            state.personal.add(planned.index)
        elif planned.vertex.frozen:
            frozen.keep(self._frozen_key(planned), outputs, state.asked)
        return outputs, False

    def _call(
        self,
        planned: PlannedVertex,
        session: Session,
        values: dict[str, Any],
        missing: Mapping[str, str],
        arguments: frozenset[str] = frozenset(),
        *,
        as_tools: bool = False,
    ) -> Any:
        """Call the component.

        :param arguments: names of the values set by a model that calls the component as a tool.
        :param as_tools: get the tools of the component instead of its outputs.
        """
        for name, variable in missing.items():
            if planned.inputs[name].type != "secret":
                raise ValueError(f"the variable {variable}, which {name} names, is not set")
        for name in planned.secrets:
            if type(values.get(name)) is Unopened:
                raise ValueError(
                    f"{name} cannot be decrypted: the flow was stored with another FLOWRUNNER_SECRET_KEY; restore"
                    " that key, or set the field again"
                )
        provenance = Provenance(self._state, planned, values, arguments)
        if planned.is_guarded:
            values = provenance.without_secrets()
        context = context_for(self._state, planned, session, missing, self._speech, provenance)
        if as_tools:
            return check_tools(planned, planned.component.own_tools(context, **values))
        try:
            answer = planned.component.run(context, **values)
            if type(answer) is GeneratorType:
                answer = self._drive(planned, session, answer)
        finally:
            if context.spent:
                self._state.spent.setdefault(planned.index, []).extend(context.spent)
        checked = check_answer(planned, answer)
        self._state.sizes.check(checked)
        return checked

    def _drive(
        self, planned: PlannedVertex, session: Session, generator: Generator[Any, None, Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Run a generator to its end, sending its text to readers as it is yielded."""
        budget = TextBudget(self._state.services.settings.max_text)
        try:
            while True:
                part = next(generator)
                self._state.check_time()
                if isinstance(part, str) and part:
                    budget.take(len(part))
                    self._speech.say(planned, session, part)
                elif isinstance(part, Message):
                    self._speech.show(planned, session, part)
                elif not isinstance(part, str):
                    refuse_part(planned, part)
        except StopIteration as stop:
            if stop.value is None:
                refuse_silence(planned)
            answer: Mapping[str, Any] = stop.value
            return answer
        finally:
            generator.close()

    def _make_result(self, planned: PlannedVertex, *what: Any) -> VertexResult:
        result = _make_result(planned, *what)
        spent = self._state.spent
        if spent:
            # The tools that an agent has called are part of what it took.
            tools = (e.source for e in planned.incoming if self._state.vertices[e.source].as_tool)
            result.spent = tuple(each for index in (planned.index, *tools) for each in spent.pop(index, ()))
        return result

    def endless(self, planned: PlannedVertex) -> FlowRunnerError:
        """Record that a router exceeded the rounds of its cycle; return the error to raise."""
        result = self._state.results[planned.index]
        said = f"its cycle did not end after {self._state.rounds[planned.index]} rounds"
        session = result.session or Session("", "flow")
        return self._fail(planned, session, {}, utc_now(), time.perf_counter(), FlowRunnerError(said))

    def _kept(self, planned: PlannedVertex, session_id: str) -> dict[str, Any] | None:
        state = self._state
        return state.services.frozen.get(self._frozen_key(planned), session_id, state.request.variables)

    def _frozen_key(self, planned: PlannedVertex) -> Any:
        own = {"values": planned.values, "variables": planned.variables}
        state = self._state
        return state.services.frozen.key(state.owner, state.plan.flow.id, planned.vertex.id, planned.vertex.type, own)

    def _tell_end(
        self,
        planned: PlannedVertex,
        session: Session,
        values: Mapping[str, Any],
        at: datetime,
        started: float,
        error: FlowRunnerError,
    ) -> None:
        """Record that a vertex was running when its run ended, to distinguish it from vertices that never started."""
        result = self._make_result(planned, session, values, {}, at, started)
        result.untaken = ()
        if isinstance(error, (RunCancelled, RunTimeout)):
            result.status = "cancelled"
        else:
            result.status, result.error = "error", self._state.services.mask(error.message)
        self._state.events.send("vertex_finished", result=result)

    def _fail(
        self,
        planned: PlannedVertex,
        session: Session,
        values: Mapping[str, Any],
        at: datetime,
        started: float,
        error: BaseException,
    ) -> FlowRunnerError:
        """Record a failure in the vertex's result and in the conversation; return the error to raise."""
        state = self._state
        said = error.message if isinstance(error, FlowRunnerError) else str(error)
        if isinstance(error, SystemExit):
            said = reason_of(error)
        # The message is stored, sent and logged, and may quote input.
        said = said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}…"
        reason = state.services.mask(said or type(error).__name__)
        failure = ComponentFailed(planned.vertex.id, planned.display_name, reason)
        result = self._make_result(planned, session, values, {}, at, started)
        result.status, result.error = "error", failure.message
        row = error_message(
            vertex_id=planned.vertex.id,
            component=planned.display_name,
            kind=type(error).__name__,
            reason=reason,
            session_id=session.id,
        )
        state.memory.append(row)
        state.events.send("vertex_finished", result=result)
        return failure


#: The maximum length of an error message, in characters.
_LONGEST_REASON = 10_000

#: Errors reported as a failed component; other errors keep their own status.
_OF_COMPONENTS = frozenset({FlowRunnerError.code, ComponentFailed.code})


def _make_result(
    planned: PlannedVertex,
    session: Session,
    values: Mapping[str, Any],
    outputs: Mapping[str, Any],
    at: datetime,
    started: float,
) -> VertexResult:
    own = {**planned.undeclared, **values}
    for name in planned.connected:
        own.pop(name, None)
    own.update(planned.variables)
    if SESSION_INPUT in own:
        own[SESSION_INPUT] = session.id
    return VertexResult(
        vertex_id=planned.vertex.id,
        type=planned.vertex.type,
        component_type=planned.component.type_name,
        display_name=planned.display_name,
        status="success",
        session=session,
        inputs=own,
        outputs=outputs,
        kind=planned.kind,
        started_at=at,
        duration=time.perf_counter() - started,
        untaken=tuple([name for name in planned.outputs if name not in outputs]),
        secrets=planned.secrets,
        secret_values=_secret_values(planned, values) if planned.secrets else (),
    )


def _secret_values(planned: PlannedVertex, values: Mapping[str, Any]) -> tuple[str, ...]:
    found = (values.get(name, planned.undeclared.get(name)) for name in planned.secrets)
    return tuple(value for value in found if isinstance(value, str))
