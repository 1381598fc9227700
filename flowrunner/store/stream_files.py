"""Events of streams in a folder that the processes of one host share."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from flowrunner.store.streams import StreamEvent, StreamState

_ENDED: Final = "null\n"


class StreamFolder:
    """Stores streams like :class:`~flowrunner.store.streams.StreamTable`, each in its own file.

    Each line is an event; the first names the owner, the last is ``null``. Readers in other processes touch a second
    file beside it.

    :param folder: the folder, created with the first stream. Run ids become file names, so they must be UUIDs.
    """

    poll: Final = 0.05

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, run_id: str, owner: str, flow_id: str, *, outputs_only: bool = False) -> None:
        """Begin a stream.

        :raises OSError: if the folder cannot be written to.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        head = {"owner": owner, "flow": flow_id, "outputs_only": outputs_only}
        self._file(run_id).write_text(json.dumps(head) + "\n", encoding="utf-8")

    def is_in_reach(self, run_id: str, owner: str, flow_id: str, *, sees_all: bool) -> bool:
        """Return whether a stream of the owner's flow exists and shows nothing that the caller may not see."""
        try:
            with self._file(run_id).open(encoding="utf-8") as file:
                head = json.loads(file.readline())
        except (OSError, ValueError):
            return False
        if (head.get("owner"), head.get("flow")) != (owner, flow_id):
            return False
        return sees_all or head.get("outputs_only") is True

    def add(self, run_id: str, events: Iterable[StreamEvent], *, ended: bool) -> int:
        """Add events and update the heartbeat of the run; return a value that changes while other processes read.

        :raises OSError: if the file cannot be written.
        """
        lines = "".join(json.dumps(event) + "\n" for event in events) + _ENDED * ended
        if lines:
            with self._file(run_id).open("a", encoding="utf-8") as file:
                # On a new line, even if an earlier attempt wrote a partial line.
                file.write("\n" + lines)
        else:
            os.utime(self._file(run_id))
        try:
            return self._reader(run_id).stat().st_mtime_ns
        except OSError:
            return 0

    def read(self, run_id: str, after: int, place: int = 0) -> tuple[list[StreamEvent], StreamState | None, int]:
        """Return the events after a number, the state of the stream (None if it is gone), and the next position.

        :param place: the position where the last call ended.
        :raises OSError: if the file exists but cannot be read.
        """
        try:
            with self._file(run_id).open("rb") as file:
                written = os.fstat(file.fileno())
                file.seek(place)
                data = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return [], None, place
        # The last line may be incomplete.
        data = data[: data.rfind(b"\n") + 1]
        events, ended = [], False
        for line in data.splitlines():
            entry = _entry(line)
            ended = ended or entry is None
            # A partial line was written again.
            if isinstance(entry, list) and entry[0] > after:
                events.append(StreamEvent(*entry))
                after = entry[0]
        silent = time.time() - written.st_mtime
        return events, StreamState(ended, written.st_mtime_ns, silent), place + len(data)

    def sign(self, run_id: str) -> None:
        """Show the process of the run that the stream is being read."""
        with contextlib.suppress(OSError):
            self._reader(run_id).touch()

    def remove(self, run_id: str) -> None:
        """Remove a stream with its events."""
        for path in (self._file(run_id), self._reader(run_id)):
            with contextlib.suppress(OSError):
                path.unlink()

    def sweep(self, seconds: float) -> None:
        """Remove streams left behind by processes that ended long ago."""
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                with contextlib.suppress(OSError):
                    if time.time() - path.stat().st_mtime > seconds:
                        path.unlink()

    def _file(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.events"

    def _reader(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.reader"


def _entry(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return {}
