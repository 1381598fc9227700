"""Read one run by its id: its record, and its events, also after it has ended."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Response, request
from marshmallow import Schema, fields
from sqlalchemy.exc import SQLAlchemyError

from flowrunner.authority import CONVERSE, sees_graphs
from flowrunner.engine.shapes import message_json
from flowrunner.errors import BadRequest, FlowRunnerError, NotFound, StoreFailed
from flowrunner.memory import Owner, OwnerMemory
from flowrunner.memory.message import Message
from flowrunner.memory.paging import Following, newest_within
from flowrunner.store.answers import AnswerStore
from flowrunner.store.ledger import SUCCESS
from flowrunner.store.runrecords import RunRecords
from flowrunner.store.streams import StreamEvent
from flowrunner.web import schemas
from flowrunner.web.access import FlowMemory, in_reach, messages_to_read, run_records
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.blueprint import this_blueprint
from flowrunner.web.fields import Text, Uuid
from flowrunner.web.json_io import dump_line
from flowrunner.web.messages import MOST_CHARACTERS, message_rows
from flowrunner.web.pages import MOST, next_page
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.runlog import RunSummary, without_parts
from flowrunner.web.schemas import TEXT, Media
from flowrunner.web.sse import answer_frames, read_event_id

logger = logging.getLogger("flowrunner")

#: Each event of the stream.
_EVENT: Final = {"type": "object", "properties": {"id": TEXT, "event": TEXT, "data": TEXT}, "required": ["data"]}

routes = RouteGroup("runs")


class RunVertex(Schema):
    """A component in a run."""

    id = fields.String(required=True)
    type = fields.String(required=True)
    status = fields.String(required=True)
    duration = fields.Float(required=True)
    session = fields.Nested(schemas.Session, required=True, allow_none=True)


class Run(RunSummary):
    """A run with its components and messages, and its result if it ran in the background and that is still stored."""

    vertices = fields.List(fields.Nested(RunVertex), required=True)
    messages = fields.List(fields.Nested(schemas.Message), required=True)
    result = fields.Dict(required=True, allow_none=True)


@routes.get(
    "/api/v1/runs/<run_id>",
    needs=CONVERSE,
    path={"run_id": Uuid()},
    query={"cursor": Uuid("The X-Next-Cursor of the previous answer: only messages before this one.")},
    answers={200: Run},
    pages=True,
)
def read_run(run_id: str, query: Input) -> Any:
    """Show a run: its state, times, session, components, messages, and its result.

    The result is that of a background run or webhook, in the shape of a run's answer; it is kept for a
    time (FLOWRUNNER_RESULT_SECONDS) and null otherwise. Of many messages these are the newest 200; X-Next-Cursor
    says where the ones before them begin.
    """
    reader = _Reader.of_request()
    shown = _find(reader, run_id)
    asked = {"run_id": run_id, "flow_id": shown["flow_id"], "before": query["cursor"]}
    messages, more = newest_within(reader.memory, MOST + 1, MOST_CHARACTERS, **asked)
    if len(messages) > MOST:
        messages, more = messages[-MOST:], True
    answer = {**shown, "messages": message_rows(messages), "result": reader.result(run_id)}
    return answer, next_page(messages[0].id if more else None)


@routes.get(
    "/api/v1/runs/<run_id>/events",
    needs=CONVERSE,
    path={"run_id": Uuid()},
    headers={"Last-Event-ID": Text("Id of the last event received; the stream continues after it.")},
    answers={200: Media({"text/event-stream": _EVENT})},
)
def read_run_events(run_id: str) -> Response:
    """Stream the events of a run from its start until it ends.

    Standard server-sent events, at any worker, while it runs and afterwards. A cut stream goes on after
    the event that the header Last-Event-ID names.
    """
    after, reader = _after(run_id), _Reader.of_request()
    shown = _find(reader, run_id)
    stream = this_blueprint().spool.find(run_id, caller().id, shown["flow_id"], sees_all=reader.sees_all)
    return answer_frames(stream or _RecordedStream(reader, run_id), run_id, after)


def _find(reader: _Reader, run_id: str) -> dict[str, Any]:
    """Return the record of a run in reach of the caller.

    :raises NotFound: if there is none.
    """
    try:
        shown = reader.record(run_id)
    except SQLAlchemyError as error:
        raise StoreFailed("The server cannot read its database at the moment; try again.") from error
    if not in_reach(shown["flow_id"]):
        raise NotFound("Run not found")
    return shown


@dataclass(frozen=True, slots=True)
class _Reader:
    """What the caller may read of runs; it outlives the request, as the answer of a stream does."""

    records: RunRecords
    answers: AnswerStore
    scope: Owner
    memory: OwnerMemory | FlowMemory
    sees_all: bool

    @classmethod
    def of_request(cls) -> _Reader:
        """Return what the present caller may read."""
        answers = this_runner().runs.once.store
        return cls(run_records(), answers, caller().scope, messages_to_read(), sees_graphs(caller()))

    def record(self, run_id: str) -> dict[str, Any]:
        """Return the record of a run, without its components and warnings where the caller may not see the flow.

        :raises NotFound: if there is none.
        """
        found = self.records.run(run_id, self.scope)
        return found if self.sees_all else without_parts(found)

    def result(self, run_id: str) -> Mapping[str, Any] | None:
        """Return the result of a run, None where none is kept, or it shows more than the caller may see."""
        text = self.answers.of_run(run_id, self.scope)
        if text is None:
            return None
        kept: Mapping[str, Any] = json.loads(text)
        result: Mapping[str, Any] = kept["result"]
        return result if kept["outputs_only"] or self.sees_all else None


def _after(run_id: str) -> int:
    """Return the number of the event that the client has seen last, 0 for none.

    :raises BadRequest: for an id of another run, or of none.
    """
    last = request.headers.get("Last-Event-ID", "").strip()
    if not last:
        return 0
    run, number = read_event_id(last)
    if run != run_id:
        raise BadRequest("Last-Event-ID is not the id of an event of this run.")
    return number


class _RecordedStream:
    """The events of a run made out of what is stored of it, as that grows.

    What was streamed had more events, with numbers of their own: of those a client that comes back after
    they are gone gets the last one.
    """

    def __init__(self, reader: _Reader, run_id: str) -> None:
        self._reader = reader
        self._run_id = run_id
        self._number = 0
        self._following: Following | None = None

    def enter(self) -> None:
        """Nothing to do: the run does not depend on its readers."""

    leave = enter

    def read(self, after: int, seconds: float) -> tuple[list[StreamEvent], bool]:
        """Return the events after a number; where they cannot be read, the stream is cut, and its client comes back."""
        try:
            # The messages are asked after the state: none that came before the end is missed.
            shown = self._reader.record(self._run_id)
            following = self._following
            if following is None:
                asked = {"run_id": self._run_id, "flow_id": shown["flow_id"]}
                following = self._following = Following(self._reader.memory, **asked)
            found = [self._tell(message) for message in following.next()]
        except (SQLAlchemyError, FlowRunnerError) as error:
            logger.warning("the events of a run could not be read: %s", type(error).__name__)
            return [], True
        if shown["ended_at"] is not None and not following.more:
            self._number = max(self._number, after)
            found.append(self._last(shown))
            return [event for event in found if event.number > after], True
        found = [event for event in found if event.number > after]
        if not found and not following.more:
            time.sleep(seconds)
        return found, False

    def _tell(self, message: Message) -> StreamEvent:
        return self._event("error" if message.error else "add_message", message_json(message, with_id=True))

    def _last(self, shown: Mapping[str, Any]) -> StreamEvent:
        if shown["status"] == SUCCESS:
            return self._event("end", {"result": self._reader.result(self._run_id)})
        error = shown["error"] or {"code": "internal_error", "message": f"The run ended with status {shown['status']}."}
        said = error["message"]
        if error["code"] == "run_cancelled" and not said.startswith("The run was stopped"):
            said = f"The run was stopped: {said}."
        return self._event("error", {"error": said, "code": error["code"]})

    def _event(self, event: str, data: Any) -> StreamEvent:
        self._number += 1
        return StreamEvent(self._number, event, dump_line(data))
