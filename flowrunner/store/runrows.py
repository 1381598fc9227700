"""Convert the events of a run to rows of the run log: masked, truncated, serialized once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from flowrunner.engine.events import RunEvent
from flowrunner.engine.result import RunStart, VertexResult
from flowrunner.engine.shapes import value_type
from flowrunner.memory.message import Message, make_properties
from flowrunner.session import Session
from flowrunner.store.credentials import LABELS, VALUES, is_secret_name, is_suspect
from flowrunner.store.known_secrets import KnownSecrets
from flowrunner.store.masking import hide, masked_json
from flowrunner.store.messagerecord import message_record, seldom_of, usual_fields
from flowrunner.store.steps import join_lines, step_line
from flowrunner.store.token_usage import by_model
from flowrunner.text.json_text import json_text
from flowrunner.text.timestamps import moment_text

RUNNING: Final = "running"

_ENDS: Final = {"run_finished": "success", "run_failed": "error", "run_cancelled": "cancelled"}
_MOST_OPEN: Final = 2000
_LEAST_SECRET: Final = 6
_LEAST_TEXT: Final = 8
_PROPERTIES: Final = make_properties()
#: The texts of a message besides its properties.
_words_of: Final = attrgetter("text", "sender", "sender_name", "session_id", "context_id")


@dataclass(slots=True)
class Rows:
    """The changes of one batch of events to the table of runs.

    ``steps`` is the number of steps, ``begun`` and ``ended`` are rows, ``going`` has number, lines and id for each
    run in progress that has a row.
    """

    steps: int = 0
    going: list[tuple[int, str | None, str]] = field(default_factory=list)
    begun: list[dict[str, Any]] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _OpenRun:
    start: RunStart
    usual: tuple[Any, ...]
    noted: bool = False
    lines: list[str] = field(default_factory=list)
    made: int = 0
    vertices: list[list[Any]] = field(default_factory=list)
    secrets: KnownSecrets = field(default_factory=KnownSecrets)


class RowMaker:
    """Tracks the runs in progress, and converts their events to rows.

    :param known_secrets: returns texts that must not be stored, such as the values of variables.
    :param process: returns the id of this process in the ledger of runs.
    """

    def __init__(self, known_secrets: Callable[[], Iterable[str]], process: Callable[[], str | None]) -> None:
        self._known_secrets = known_secrets
        self._process = process
        self._open: dict[str, _OpenRun] = {}

    def make(self, events: Iterable[RunEvent], fail: Callable[[Exception], None]) -> Rows:
        """Return the rows of a batch of events.

        :param fail: called with the error of each event that cannot be converted; other events are kept.
        """
        rows = Rows()
        for event in events:
            try:
                self._take(event, rows)
            except Exception as error:
                fail(error)
        for run_id, run in self._open.items():
            if not run.noted:
                run.noted = True
                row = _run_row(run_id, run, RUNNING, run.start.session, None, None)
                rows.begun.append({**row, "process": self._process()})
            elif run.lines:
                rows.going.append((len(run.lines), join_lines(run.lines), run_id))
                run.lines = []
        return rows

    def _take(self, event: RunEvent, rows: Rows) -> None:
        data = event.data
        if event.kind == "run_started":
            if len(self._open) >= _MOST_OPEN:
                self._open.pop(next(iter(self._open)))
            start: RunStart = data["start"]
            self._open[event.run_id] = _OpenRun(start, usual_fields(start.flow_id, event.run_id))
        elif event.kind == "vertex_finished":
            run = self._open.get(event.run_id)
            if run is not None:
                result: VertexResult = data["result"]
                session = result.session
                decided = None if session is None or session == run.start.session else session.to_json()
                run.vertices.append([result.vertex_id, result.type, result.status, round(result.duration, 6), decided])
                run.secrets.update(self._known_secrets())
                record = _vertex_record(run, result)
                run.lines.append(step_line(run.made, result.vertex_id, result.status, moment_text(event.at), record))
                run.made += 1
                rows.steps += 1
        elif event.kind in _ENDS:
            run = self._open.pop(event.run_id, None)
            if run is not None:
                rows.ended.append(_end_row(event, run))


def _vertex_record(run: _OpenRun, result: VertexResult) -> str:
    record: dict[str, Any] = {
        # First, since what comes late may be cut.
        **({"usage": by_model(result.spent)} if result.spent else {}),
        "type": result.type,
        "name": result.display_name,
        "kind": result.kind,
        "frozen": result.used_frozen_result,
        "error": result.error,
        "untaken": result.untaken,
        "seconds": round(result.duration, 6),
        "inputs": _without_secrets(run, result) if result.secrets else result.inputs,
        "outputs": {name: _output_record(value, run.usual) for name, value in result.outputs.items()},
    }
    return masked_json(record, run.secrets, _free_texts(result, run.usual))


def _without_secrets(run: _OpenRun, result: VertexResult) -> dict[str, Any]:
    """Return the inputs with secrets masked, and remember the secrets for the rest of the run."""
    run.secrets.update(value for value in result.secret_values if len(value) >= _LEAST_SECRET)
    return {name: hide(value) if name in result.secrets else value for name, value in result.inputs.items()}


def _free_texts(result: VertexResult, usual: tuple[Any, ...]) -> list[str] | None:
    """Return the texts of authors, clients and models; None if values are nested or a name is secret."""
    if result.spent or not (_names_are_plain(tuple(result.inputs)) and _names_are_plain(tuple(result.outputs))):
        return None
    texts = [result.display_name] if result.error is None else [result.display_name, result.error]
    for value in (*result.inputs.values(), *result.outputs.values()):
        kind = type(value)
        if kind is str:
            if len(value) >= _LEAST_TEXT:
                texts.append(value)
        elif kind is Message:
            told = _message_texts(value, usual)
            if told is None:
                return None
            texts += told
        elif value and kind not in (bool, int, float):
            return None
    return texts


def _message_texts(message: Message, usual: tuple[Any, ...]) -> list[str] | None:
    """Return the texts of a message; None if it has rarely used fields, or a name is secret."""
    properties = message.properties
    if seldom_of(message) != usual or not properties.keys() <= _PROPERTIES.keys():
        return None
    texts = [text for text in _words_of(message) if text]
    if properties == _PROPERTIES:
        return texts
    for value in filter(None, properties.values()):
        members = value.items() if type(value) is dict else (("", value),)
        for name, member in members:
            if name in VALUES or is_secret_name(name):
                return None
            if type(member) is str:
                if name[-6:].lower() == "tokens":
                    return None
                texts.append(member)
            elif member and type(member) not in (bool, int, float):
                return None
    return texts


@lru_cache(maxsize=2048)
def _names_are_plain(names: tuple[str, ...]) -> bool:
    """Return whether no field with these names is masked or left out. Cached, since few sets of names occur."""
    if any(name in VALUES for name in names) and any(name in LABELS for name in names):
        return False
    return not any(name == "code" or is_suspect(name) for name in names)


def _output_record(value: Any, usual: tuple[Any, ...]) -> dict[str, Any]:
    if isinstance(value, Message):
        return {"message": message_record(value, usual)}
    return {"kind": value_type(value), "value": value}


def _end_row(event: RunEvent, run: _OpenRun) -> dict[str, Any]:
    session = run.start.session
    error: tuple[str, str] | None = None
    if event.kind == "run_finished":
        session = event.data["result"].session
    elif event.kind == "run_failed":
        error = (event.data["error"].code, event.data["error"].message)
    else:
        error = ("run_cancelled", event.data["reason"])
    return _run_row(event.run_id, run, _ENDS[event.kind], session, event.at, error)


def _run_row(
    run_id: str,
    run: _OpenRun,
    status: str,
    session: Session | None,
    ended: datetime | None,
    error: tuple[str, str] | None,
) -> dict[str, Any]:
    start = run.start
    lines, run.lines = run.lines, []
    record: dict[str, Any] = {
        "flow_name": start.flow_name,
        "content_hash": start.content_hash,
        "session": None if session is None else session.to_json(),
        "duration": None if ended is None else round((ended - start.started_at).total_seconds(), 6),
        "error": error,
        "warnings": list(start.warnings),
        "vertices": run.vertices,
    }
    return {
        "id": run_id,
        "owner": start.owner,
        "flow_id": start.flow_id,
        "session_id": None if session is None else json_text(session.id),
        "status": status,
        "kind": "run",
        "accepted_at": (started := moment_text(start.started_at)),
        "started_at": started,
        "ended_at": None if ended is None else moment_text(ended),
        "record": masked_json(record, run.secrets, None if error or start.warnings else (start.flow_name,)),
        "steps": len(lines),
        "vertices": join_lines(lines),
    }
