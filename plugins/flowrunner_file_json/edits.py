"""The contents of session files after messages were edited or moved."""

from __future__ import annotations

from collections.abc import Iterable, Set

from flowrunner import MessageChanges
from flowrunner_file_json.session_file import Row, SessionFile
from flowrunner_file_json.store import Store


def edit(file: SessionFile, ids: Set[str], changes: MessageChanges) -> list[Row]:
    """Return the rows of a file with some of its messages changed."""
    return [(seq, changes.apply(message) if name in ids else message) for name, (seq, message) in file.rows.items()]


def move(
    store: Store, files: Iterable[SessionFile], ids: Set[str], changes: MessageChanges
) -> dict[SessionFile, list[Row]]:
    """Return the rows of all files that change when messages move to a session of their owners.

    :param files: those in which the messages are.
    :param ids: the messages.
    """
    contents: dict[SessionFile, list[Row]] = {}
    for file in files:
        target = store.file(file.owner, changes.session_id or "")
        rows = contents.setdefault(target, edit(target, ids, changes))
        if file is not target:
            contents[file] = [row for name, row in file.rows.items() if name not in ids]
            rows += [(seq, changes.apply(message)) for name, (seq, message) in file.rows.items() if name in ids]
    for file, rows in contents.items():
        if len(rows) > len(file.rows):
            contents[file] = _in_order(rows, by_time=bool(file.rows))
    return contents


def _in_order(rows: list[Row], *, by_time: bool) -> list[Row]:
    """Return a session's rows in their order after others came in; see the contract.

    Merged messages share out the places that they had, so nothing moves in other sessions.
    """
    in_place = sorted(rows, key=lambda row: row[0])
    if not by_time:
        return in_place
    in_time = sorted(in_place, key=lambda row: row[1].timestamp)
    return [(place, message) for (place, _), (_, message) in zip(in_place, in_time, strict=True)]
