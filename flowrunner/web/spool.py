"""Resumable streams: events are kept in a shared folder for a while, so that any worker can go on with a stream."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.web.stored_stream import SIGN_EVERY, Frame, StoredStream, read_file, reader_file, stop_file

if TYPE_CHECKING:
    from flowrunner.web.shared_stream import SharedStream, SharedStreams

#: A stream that can be read, wherever its run is.
AnyStream: TypeAlias = "LiveStream | StoredStream | SharedStream"

#: Seconds between two writes of a stream; what is newer is only in the memory of the run's process.
_WRITE_EVERY: Final = 0.1
_KEPT_IN_MEMORY: Final = 2000


class LiveStream:
    """A stream whose run is in this process. The run appends, readers wait for what is new."""

    def __init__(self, path: Path, header: str, cancel: Callable[[str], None]) -> None:
        self.path = path
        self.cancel = cancel
        self.closed = False
        self.ended_at = 0.0
        self._news = threading.Condition()
        self._frames: list[Frame] = []
        self._first = 1
        self._count = 0
        self._unwritten: list[str] = [header]
        self._readers = 0
        self._left_at = time.time()

    def append(self, event: str, data: str) -> Frame:
        """Add an event and return it as it is shown."""
        with self._news:
            self._count += 1
            frame = Frame(self._count, event, data)
            self._frames.append(frame)
            self._unwritten.append(frame.to_line())
            self._news.notify_all()
            return frame

    def close(self) -> None:
        """Say that nothing follows."""
        with self._news:
            self.closed, self.ended_at = True, time.time()
            self._unwritten.append("null\n")
            self._news.notify_all()

    def read(self, after: int, seconds: float) -> tuple[list[Frame], bool]:
        """Return the events after a number, waiting for one at most so long; and whether that is all."""
        with self._news:
            if self._count <= after and not self.closed:
                self._news.wait(seconds)
            if after + 1 >= self._first:
                found = self._frames[after + 1 - self._first :]
                return found, self.closed and after + len(found) >= self._count
        return self.read_older(after), False

    def read_older(self, after: int) -> list[Frame]:
        """Return the events after a number from where they are kept, since they are no longer all in memory."""
        return [frame for frame in read_file(self.path, 0)[0] if frame.number > after]

    def enter(self) -> None:
        """Count a reader."""
        with self._news:
            self._readers += 1

    def leave(self) -> None:
        """Count a reader that left."""
        with self._news:
            self._readers -= 1
            self._left_at = time.time()

    def alone_since(self) -> float | None:
        """Return since when nobody reads, here or in another process; None while somebody does."""
        with self._news:
            if self._readers:
                return None
            left = self._left_at
        with contextlib.suppress(OSError):
            left = max(left, reader_file(self.path).stat().st_mtime)
        return left

    def write(self) -> None:
        """Write what is not in the file yet."""
        with self._news:
            lines, self._unwritten = self._unwritten, []
            self.drop_surplus(self._count)
        if lines:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(lines))

    def drop_surplus(self, written: int) -> None:
        """Forget old events that are written, up to this number, and are more than are kept in memory."""
        surplus = min(len(self._frames) - _KEPT_IN_MEMORY, written + 1 - self._first)
        if surplus > 0:
            del self._frames[:surplus]
            self._first += surplus

    def remove(self) -> None:
        """Remove what is kept of the stream."""
        _remove(self.path)


class Spool:
    """The streams of one app. A thread writes those of this process in batches; it ends when there are none.

    :param folder: returns the folder, which all workers share; asked when it is needed.
    :param shared: returns what keeps the streams in a database that several hosts share; None where there is none.
    :param grace: seconds that a run goes on without a reader, and that its events are kept after its end.
    """

    def __init__(
        self, folder: Callable[[], Path], grace: float, *, shared: Callable[[], SharedStreams | None] = lambda: None
    ) -> None:
        self._shared = shared
        self._folder = folder
        self._grace = grace
        self._lock = threading.Lock()
        self._live: dict[str, LiveStream] = {}
        self._writing = False

    def open(
        self, run_id: str, owner: str, flow_id: str, cancel: Callable[[str], None], *, outputs_only: bool = False
    ) -> LiveStream:
        """Begin a stream.

        :param cancel: ends its run, with a reason.
        :param outputs_only: it shows the outputs of the flow alone, so whoever may talk may read it.
        """
        shared = self._shared()
        if shared is not None:
            stream: LiveStream = shared.begin(run_id, owner, flow_id, cancel, outputs_only=outputs_only)
        else:
            self._folder().mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep()
            header = json.dumps({"owner": owner, "flow": flow_id, "outputs_only": outputs_only}) + "\n"
            stream = LiveStream(self._folder() / f"{run_id}.events", header, cancel)
            stream.write()
        with self._lock:
            self._live[run_id] = stream
            if not self._writing:
                self._writing = True
                threading.Thread(target=self._write, name="flowrunner-spool", daemon=True).start()
        return stream

    def find(self, run_id: str, owner: str, flow_id: str, *, sees_all: bool) -> AnyStream | None:
        """Return a stream of an owner's flow; None if there is none any more, or it is out of the caller's reach.

        :param run_id: a UUID in canonical spelling: it becomes part of a file name.
        :param sees_all: whether the caller may see what a flow is made of; if not, only streams are found that show
            its outputs alone.
        """
        shared = self._shared()
        if shared is not None:
            found = shared.find(run_id, owner, flow_id, sees_all=sees_all)
            return found and (self._live.get(run_id) or found)
        path = self._folder() / f"{run_id}.events"
        header = _header_of(path)
        if (header.get("owner"), header.get("flow")) != (owner, flow_id):
            return None
        if not (sees_all or header.get("outputs_only") is True):
            return None
        return self._live.get(run_id) or StoredStream(path)

    def stop(self, run_id: str, owner: str, *, flows: Collection[str] | None = None) -> bool:
        """Ask a run to stop, whichever process it is in; return whether there is such a run of this owner.

        :param run_id: a UUID in canonical spelling.
        :param flows: ids of the only flows whose runs are in reach; None for all.
        """
        path = self._folder() / f"{run_id}.events"
        header = _header_of(path)
        if header.get("owner") != owner:
            return False
        if flows is not None and header.get("flow") not in flows:
            return False
        stop_file(path).touch()
        return True

    def _write(self) -> None:
        signed = time.monotonic()
        while True:
            time.sleep(_WRITE_EVERY)
            signing = time.monotonic() - signed >= SIGN_EVERY
            signed = time.monotonic() if signing else signed
            for run_id, stream in list(self._live.items()):
                self._care(run_id, stream, signing=signing)
            with self._lock:
                if not self._live:
                    self._writing = False
                    return

    def _care(self, run_id: str, stream: LiveStream, *, signing: bool) -> None:
        with contextlib.suppress(OSError, SQLAlchemyError):
            stream.write()
            if signing and self._shared() is None:
                os.utime(stream.path)
        now = time.time()
        if stream.closed:
            if now - stream.ended_at > self._grace:
                with self._lock:
                    del self._live[run_id]
                with contextlib.suppress(SQLAlchemyError):
                    stream.remove()
            return
        if stop_file(stream.path).exists():
            stream.cancel("its user stopped it")
        alone = stream.alone_since()
        if alone is not None and now - alone > self._grace:
            stream.cancel("its client left and did not come back")

    def _sweep(self) -> None:
        """Remove what processes left behind that are gone."""
        limit = time.time() - max(3600.0, 2 * self._grace)
        with contextlib.suppress(OSError):
            for path in self._folder().iterdir():
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < limit:
                        path.unlink()


def _remove(path: Path) -> None:
    for one in (path, reader_file(path), stop_file(path)):
        with contextlib.suppress(OSError):
            one.unlink()


def _header_of(path: Path) -> dict[str, Any]:
    """Return the first line of a stream's file: its owner, its flow, who may read it; nothing where there is none."""
    try:
        with path.open(encoding="utf-8") as file:
            header = json.loads(file.readline())
    except (OSError, ValueError):
        return {}
    return header if isinstance(header, dict) else {}
