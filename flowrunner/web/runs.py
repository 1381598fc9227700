"""Read one run by its id: its record, and its events, also after it has ended."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from flask import Response, request
from sqlalchemy.exc import SQLAlchemyError

from flowrunner.authority import CONVERSE, sees_graphs
from flowrunner.engine.shapes import message_json
from flowrunner.errors import BadRequest, FlowRunnerError, NotFound, StoreFailed
from flowrunner.memory.message import Message
from flowrunner.memory.paging import Following, newest_within
from flowrunner.store.ledger import SUCCESS
from flowrunner.store.streams import StreamEvent
from flowrunner.web.access import in_reach, messages_to_read, run_records
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.blueprint import this_blueprint
from flowrunner.web.fields import Text, Uuid
from flowrunner.web.json_io import dump_line
from flowrunner.web.messages import MOST_CHARACTERS, message_rows
from flowrunner.web.pages import MOST, next_page
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.runlog import RunSummary, without_parts
from flowrunner.web.schemas import TEXT, Media, Session, answer
from flowrunner.web.schemas import Message as ShownMessage
from flowrunner.web.spool import Stream
from flowrunner.web.sse import answer_frames, read_event_id

logger = logging.getLogger("flowrunner")

#: Each event of the stream.
_EVENT: Final = {"type": "object", "properties": {"id": TEXT, "event": TEXT, "data": TEXT}, "required": ["data"]}

routes = RouteGroup("runs")

#: A component in a run.
RunVertex: Final = answer("RunVertex", id=str, type=str, status=str, duration=float, session=Session | None)
#: A run with its components and messages, and its result if it ran in the background and that is still stored.
Run: Final = answer("Run", RunSummary, vertices=[RunVertex], messages=[ShownMessage], result=dict | None)


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
    run = _RecordedRun(run_id)
    shown = run.find()
    asked = {"run_id": run_id, "flow_id": shown["flow_id"], "before": query["cursor"]}
    messages, more = newest_within(run.memory, MOST + 1, MOST_CHARACTERS, **asked)
    if len(messages) > MOST:
        messages, more = messages[-MOST:], True
    answer = {**shown, "messages": message_rows(messages), "result": run.result()}
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

    Standard server-sent events, from any worker, during the run and afterwards. An interrupted stream continues
    after the event in the header Last-Event-ID.
    """
    last = request.headers.get("Last-Event-ID", "").strip()
    named, after = read_event_id(last) if last else (run_id, 0)
    if named != run_id:
        raise BadRequest("Last-Event-ID is not the id of an event of this run.")
    run = _RecordedRun(run_id)
    flow_id = run.find()["flow_id"]
    stream = this_blueprint().spool.find(run_id, caller().id, flow_id, sees_all=run.sees_all)
    return answer_frames(stream or run, run_id, after)


class _RecordedRun(Stream):
    """What the present caller may read of a run, also after the request: what is stored of it, and that as a stream.

    What was streamed had more events, with numbers of their own: of those a client that comes back after
    they are gone gets the last one.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._records, self._answers, self._scope = run_records(), this_runner().runs.once.store, caller().scope
        self.memory, self.sees_all = messages_to_read(), sees_graphs(caller())
        self._number = 0
        self._following: Following | None = None

    def find(self) -> dict[str, Any]:
        """Return its record.

        :raises NotFound: if there is none in reach of the caller.
        """
        try:
            shown = self._record()
        except SQLAlchemyError as error:
            raise StoreFailed("The server's database cannot be read now; try again.") from error
        if not in_reach(shown["flow_id"]):
            raise NotFound("Run not found")
        return shown

    def _record(self) -> dict[str, Any]:
        """Return its record, without components and warnings where the caller may not see the flow."""
        found = self._records.run(self._run_id, self._scope)
        return found if self.sees_all else without_parts(found)

    def result(self) -> Mapping[str, Any] | None:
        """Return its result, None where none is kept, or it shows more than the caller may see."""
        text = self._answers.of_run(self._run_id, self._scope)
        if text is None:
            return None
        kept: Mapping[str, Any] = json.loads(text)
        result: Mapping[str, Any] = kept["result"]
        return result if kept["outputs_only"] or self.sees_all else None

    def read(self, after: int, seconds: float) -> tuple[list[StreamEvent], bool]:
        """Return the events after a number; where they cannot be read, the stream is cut, and its client comes back."""
        try:
            # The messages are asked after the state: none that came before the end is missed.
            shown = self._record()
            following = self._following
            if following is None:
                following = Following(self.memory, run_id=self._run_id, flow_id=shown["flow_id"])
                self._following = following
            found = [self._tell(message) for message in following.next()]
        except (SQLAlchemyError, FlowRunnerError) as error:
            logger.warning("The events of a run could not be read: %s", type(error).__name__)
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
            return self._event("end", {"result": self.result()})
        error = shown["error"] or {"code": "internal_error", "message": f"The run ended as {shown['status']}."}
        said = error["message"]
        if error["code"] == "run_cancelled" and not said.startswith("The run was stopped"):
            said = f"The run was stopped: {said}."
        return self._event("error", {"error": said, "code": error["code"]})

    def _event(self, event: str, data: Any) -> StreamEvent:
        self._number += 1
        return StreamEvent(self._number, event, dump_line(data))
