"""Transfer conversations from one owner to another, on any backend; an interrupted transfer can be resumed."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from flowrunner.errors import Conflict
from flowrunner.memory.backend import Memory
from flowrunner.memory.message import Message
from flowrunner.memory.paging import each_session
from flowrunner.memory.query import EVERY_OWNER, MessageChanges
from flowrunner.memory.records import from_line
from flowrunner.memory.transfer import export_lines

_BATCH: Final = 500
_NAMESPACE: Final = uuid.UUID("b1a3c4ee-8c58-5a3c-9d2b-0f6f0c1f7a52")


@dataclass(slots=True)
class GivenMessages:
    """How many messages of how many sessions were transferred; ``merged`` sessions already existed."""

    messages: int = 0
    sessions: int = 0
    merged: list[str] = field(default_factory=list)


def give_messages(
    memory: Memory,
    source: str,
    target: str,
    journal: Path,
    *,
    paths: Mapping[str, str] | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> GivenMessages:
    """Transfer all messages of one owner to another, in order.

    The owner of a stored message cannot be changed, so each message is deleted and stored again. Before the first one
    is deleted, all of them are written to the journal on disk; if the journal exists, a call continues with it. A
    session that the new owner already has is merged with theirs, in order of time.

    :param journal: a file in the data folder, removed at the end.
    :param paths: the new names of uploaded files by their old names, as used in messages.
    :param progress: called with the number of transferred messages.
    :raises Conflict: if the store does not contain all messages afterwards.
    """
    if not journal.exists():
        _write_journal(memory, source, target, journal, paths or {})
    with journal.open("rb") as lines:
        head = json.loads(next(lines))
        done = GivenMessages(sessions=len(head["sessions"]), merged=sorted(head["merge"]))
        while batch := list(islice(lines, _BATCH)):
            _give_batch(memory, source, target, [_given(from_line(line), target, head) for line in batch])
            done.messages += len(batch)
            progress(len(batch))
    bound = memory.for_owner(target)
    for session_id, aside in head["merge"].items():
        bound.update(MessageChanges(session_id=session_id), session_id=aside)
    journal.unlink()
    return done


def _write_journal(memory: Memory, source: str, target: str, journal: Path, paths: Mapping[str, str]) -> None:
    sessions = [summary.session_id for summary in each_session(memory.for_owner(source))]
    bound = memory.for_owner(target)
    merge = {
        session_id: f"given-{uuid.uuid5(_NAMESPACE, f'{source}/{session_id}')}"
        for session_id in sessions
        if bound.sessions(session_id=session_id, limit=1)
    }
    draft = journal.with_name(journal.name + ".draft")
    with draft.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"sessions": sessions, "merge": merge, "paths": dict(paths)}) + "\n")
        file.writelines(f"{line}\n" for line in export_lines(memory.for_owner(source)))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(journal)


def _given(message: Message, target: str, head: Mapping[str, Any]) -> Message:
    return message.replace(
        owner=target,
        session_id=head["merge"].get(message.session_id, message.session_id),
        files=tuple(head["paths"].get(name, name) for name in message.files),
    )


def _give_batch(memory: Memory, source: str, target: str, messages: list[Message]) -> None:
    ids = tuple(str(message.id) for message in messages)
    there = {message.id for message in memory.for_owner(target).fetch(ids=ids)}
    fresh = [message for message in messages if message.id not in there]
    memory.for_owner(source).delete(ids=tuple(str(message.id) for message in fresh))
    memory.for_owner(target).append(fresh)
    stored = memory.for_owner(EVERY_OWNER).fetch(ids=ids)
    if len(stored) != len(ids) or any(message.owner != target for message in stored):
        raise Conflict(
            f"Of {len(ids)} messages {len(stored)} are in the store after they were given; the journal has them all."
        )
