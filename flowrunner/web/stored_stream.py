"""Read a stream of another process from the shared folder, while it grows."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

#: Seconds between two signs of life of a run, and of a reader in another process.
SIGN_EVERY: Final = 1.0
#: Seconds without a sign after which the process of a run counts as dead.
DEAD_AFTER: Final = 15.0
#: The event that ends a stream whose process is gone.
LOST: Final = {"error": "The process of this run ended before the run did.", "code": "run_lost"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream: its number from 1, its name and its data as JSON text."""

    number: int
    event: str
    data: str

    def to_line(self) -> str:
        """Return it as a line of the file."""
        return json.dumps([self.number, self.event, self.data]) + "\n"


class DistantStream:
    """A stream whose run is, or was, in another process: read as it grows there."""

    #: Seconds between two looks.
    poll: ClassVar[float]

    def __init__(self) -> None:
        self._signed = 0.0

    def read(self, after: int, seconds: float) -> tuple[list[Frame], bool]:
        """As :meth:`LiveStream.read`; a run whose process is gone ends with an ``error`` event."""
        deadline = time.monotonic() + seconds
        while True:
            self.sign()
            frames, done = self.look(after)
            if frames or done:
                return frames, done
            if self.is_dead():
                return [Frame(after + 1, "error", json.dumps(LOST))], True
            if time.monotonic() >= deadline:
                return [], False
            time.sleep(self.poll)

    def enter(self) -> None:
        """Show the run's process that somebody reads."""
        self.sign()

    def leave(self) -> None:
        """Nothing to do: the signs stop."""

    def sign(self) -> None:
        """Show from time to time that somebody reads."""
        now = time.monotonic()
        if now - self._signed >= SIGN_EVERY:
            self._signed = now
            self.show()

    def show(self) -> None:
        """Leave a sign for the run's process."""
        raise NotImplementedError

    def look(self, after: int) -> tuple[list[Frame], bool]:
        """Return the events after a number that are there, and whether the last of all is among them."""
        raise NotImplementedError

    def is_dead(self) -> bool:
        """Say whether the run has shown no sign for too long."""
        raise NotImplementedError


class StoredStream(DistantStream):
    """One that is kept in the shared folder: read from its file."""

    poll = 0.05

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._place = 0

    def show(self) -> None:
        """Touch the reader's file."""
        with contextlib.suppress(OSError):
            reader_file(self._path).touch()

    def look(self, after: int) -> tuple[list[Frame], bool]:
        """Read what the file has grown by."""
        found, done, self._place = read_file(self._path, self._place)
        return [frame for frame in found if frame.number > after], done

    def is_dead(self) -> bool:
        """Say whether the file has not been written or touched for too long."""
        try:
            return time.time() - self._path.stat().st_mtime > DEAD_AFTER
        except OSError:
            return True


def read_file(path: Path, place: int) -> tuple[list[Frame], bool, int]:
    """Return the whole lines after a place in a file, whether the last of all is among them, and the next place."""
    try:
        with path.open("rb") as file:
            file.seek(place)
            data = file.read()
    except OSError:
        return [], False, place
    data = data[: data.rfind(b"\n") + 1]
    frames, done = [], False
    for line in data.splitlines():
        entry = json.loads(line)
        if entry is None:
            done = True
        elif isinstance(entry, list):
            frames.append(Frame(*entry))
    return frames, done, place + len(data)


def reader_file(path: Path) -> Path:
    """Return the file by which a reader in another process shows that it is there."""
    return path.with_suffix(".reader")


def stop_file(path: Path) -> Path:
    """Return the file by which another process asks for the run to stop."""
    return path.with_suffix(".stop")
