"""Real servers in processes of their own: ``flowrunner serve`` and gunicorn, on ports that are free."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from flowrunner.cli import cli
from tests.fork_server import FORK_SERVER

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.executable).parent

#: Seconds after which whatever a test waits for is given up.
DEADLINE = 60


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without settings of this machine's, with this Python's programs first in the path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLOWRUNNER_", "GUNICORN_", "WEB_CONCURRENCY"))}
    kept["PATH"] = f"{PROGRAMS}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


class Server:
    """A server process whose output is kept; ``url`` is set once it has said where it listens."""

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, folder: Path = ROOT
    ) -> None:
        self.url = ""
        self._lines: list[str] = []
        self._process = self._begin(command, clean_environment(**(environment or {})), folder)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _begin(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Any:
        return subprocess.Popen(
            list(command),
            cwd=folder,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        """What the process has printed until now, both streams."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        """Id of the process that was started: gunicorn's master."""
        return self._process.pid

    def wait_until_ready(self, path: str = "/health") -> Server:
        """Wait until the server answers."""

        def answers() -> bool:
            found = re.search(r"(http://(?:[\d.]+|\[[\da-f:]+\]):\d+)", self.output)
            if found is None:
                return False
            self.url = found[1].replace("0.0.0.0", "127.0.0.1")
            try:
                return requests.get(self.url + path, timeout=5).status_code < 500
            except (requests.ConnectionError, requests.Timeout):
                return False

        self.wait_for(answers, "the server to answer")
        return self

    def wait_for(self, happened: Any, what: str, *, seconds: float = DEADLINE) -> None:
        """Wait until something is true, or say what was waited for and what the server printed."""
        deadline = time.monotonic() + seconds
        while not happened():
            if self._process.poll() is not None and not happened():
                self._reader.join(5)
                raise AssertionError(f"the server ended with {self._process.returncode}:\n{self.output}")
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{self.output}"
            time.sleep(0.02)

    def run(self, flow: str, text: str = "hello", *, key: str | None = None, **body: Any) -> Any:
        """Run a flow and return the answer's JSON."""
        headers = {"x-api-key": key} if key else {}
        body = {"input_value": text, **body}
        answer = requests.post(f"{self.url}/api/v1/run/{flow}", json=body, headers=headers, timeout=DEADLINE)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self) -> int:
        """Wait until the process ends by itself and return its status."""
        status = self._process.wait(DEADLINE)
        self._reader.join(5)
        return status

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask the server to stop and return its status."""
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise AssertionError(f"the server did not stop:\n{self.output}") from None

    def interrupt(self) -> int:
        """Do what Ctrl-C does: interrupt every process that was started, and return the status."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self.wait()

    def close(self) -> None:
        """End whatever is left of it."""
        if self._process.poll() is None:
            self.stop()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)


class ForkedServer(Server):
    """gunicorn or ``flowrunner serve`` as a fork of a process which has imported everything.

    For tests to which it does not matter how the program begins; see :mod:`tests.fork_server`.
    """

    def _begin(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Any:
        return FORK_SERVER.start(command[1:], environment, folder, Path(command[0]).name)


def serve_command(data: Path, *arguments: str, flows: str = "examples/flows") -> list[str]:
    """Return the command line of ``flowrunner serve`` on a free port."""
    return [str(PROGRAMS / "flowrunner"), "serve", flows, "--port", "0", "--data-dir", str(data), *arguments]


def make_key(data: Path, *arguments: str, user: str = "ann") -> str:
    """Make an API key by the operator's command, in this process: one of its own takes over a second to begin."""
    without = {name: None for name in os.environ if name.startswith("FLOWRUNNER_")}
    command = ["keys", "create", "--user", user, "--data-dir", str(data), *arguments]
    made = CliRunner().invoke(cli, command, env=without)
    assert made.exit_code == 0, made.output + repr(made.exception)
    return made.stdout.strip()


@pytest.fixture
def start_server() -> Iterator[Any]:
    """Start servers that are stopped at the end of the test."""
    started: list[Server] = []

    def start(command: Sequence[str], *, ready: bool = True, forked: bool = False, **options: Any) -> Server:
        server = (ForkedServer if forked else Server)(command, **options)
        started.append(server)
        return server.wait_until_ready() if ready else server

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the example flows, open for the local user, for all tests that only call it."""
    server = ForkedServer(serve_command(tmp_path_factory.mktemp("open-server"), "--auth", "none"))
    yield server.wait_until_ready()
    server.close()


@pytest.fixture(scope="session")
def keyed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """Serve the example flows where a key is wanted; gives the server and a key."""
    data = tmp_path_factory.mktemp("keyed-server")
    key = make_key(data)
    server = ForkedServer(serve_command(data))
    yield server.wait_until_ready(), key
    server.close()
