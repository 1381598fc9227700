"""Start and control the worker processes of a test; their jobs are in ``jobs.py``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


class Crew:
    """Processes that do a job on one place, and what they tell."""

    def __init__(self, lines: IO[str], size: int) -> None:
        self._lines = lines
        self._size = size
        self.pids: list[int] = []
        #: The exit status of each, once all have ended; a signal is a negative number.
        self.statuses: list[int] | None = None

    def __iter__(self) -> Iterator[str]:
        """Yield the lines that they tell while they work, and stop when all have ended.

        :raises AssertionError: if one of them failed; the message has its traceback.
        """
        failure = ""
        while self.statuses is None:
            line = self._lines.readline()
            assert line, f"the helper process that starts others for this test has ended{failure}"
            word, _, rest = line.strip().partition(" ")
            if word == "failed":
                failure = failure or f", a process of the test failed:\n{json.loads(rest)}"
            elif word == "open":
                self.pids.append(int(rest.partition(" ")[2]))
                yield "open"
            elif word == "ended":
                self.statuses = [int(status) for status in rest.split()]
            else:
                yield line.strip()
        assert not failure, failure.lstrip(", ")

    def wait_for(self, line: str) -> None:
        """Read on until they tell this line.

        :raises AssertionError: if they end without it.
        """
        told = []
        for found in self:
            if found == line:
                return
            told.append(found)
        raise AssertionError(f"the other process told {told} and never {line!r}")

    def finish(self) -> list[str]:
        """Wait until all have ended well, and return what they told.

        :raises AssertionError: if one of them failed or was killed.
        """
        told = [line for line in self if line != "open"]
        assert self.statuses == [0] * self._size, f"processes of the test ended with {self.statuses}"
        return told

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send them a signal."""
        for pid in self.pids:
            os.kill(pid, number)


class Helpers:
    """The process that starts others for the classes of tests in one file; it starts itself at the first order.

    :param file: the file.
    :param name: the qualified name of the class whose tests run; it changes from class to class.
    """

    def __init__(self, file: str, name: str) -> None:
        self._file = file
        self.name = name
        self._process: subprocess.Popen[str] | None = None
        self._last: Crew | None = None

    def start(self, folder: Path, job: str, *, crew: int = 1, **order: Any) -> Crew:
        """Let so many processes open the backend on a folder and do a job; one job goes on at a time."""
        if self._last is not None and self._last.statuses is None:
            self.close()
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        self._last = Crew(process.stdout, crew)
        order |= {"tests": self.name, "folder": str(folder), "job": job, "crew": crew, "environ": dict(os.environ)}
        try:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            # It has ended; what it said last is read with the lines of the crew.
            pass
        return self._last

    def close(self) -> None:
        """End them all, also those that still work."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._last is not None and self._last.statuses is None:
            # They are its children and of its group.
            os.killpg(process.pid, signal.SIGKILL)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        process.wait()

    def _start(self) -> subprocess.Popen[str]:
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "flowrunner.testing.memory.worker", self._file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            start_new_session=True,
        )
