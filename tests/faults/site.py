"""gunicorn as an operator runs it, with components that take their time; what it was told is read from its database."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import create_engine, text

from tests.live_server import DEADLINE, ForkedServer, Server, make_key

PLUGIN = '''
import pathlib, time

from flowrunner import Component, Input, Output, hookimpl, text_of


class Wait(Component):
    """Pass a text on after a while, or once a file is there; it looks at its token unless it is told not to."""

    type_name = "Wait"
    blocking = True
    inputs = (Input("value", accepts=("Data",)), Input("seconds", "float", default=0.0),
              Input("deaf", "bool", default=False), Input("trace", "str", default=""), Input("gate", "str", default=""))
    outputs = (Output("value"),)

    def run(self, context, value, seconds, deaf, trace, gate):
        said = text_of(value)
        while gate and not pathlib.Path(gate).exists():
            if context.cancelled.wait(0.02):
                context.cancelled.raise_if_set()
        if trace:
            with pathlib.Path(trace).open("a") as file:
                file.write(said + "\\n")
        if deaf:
            time.sleep(seconds)
        elif context.cancelled.wait(seconds):
            context.cancelled.raise_if_set()
        return {"value": said}


class Fails(Component):
    """Fail, always."""

    type_name = "Fails"
    inputs = (Input("value", accepts=("Data",)),)
    outputs = (Output("value"),)

    def run(self, context, value):
        raise ValueError("no luck")


@hookimpl
def register_components(register):
    register(Wait)
    register(Fails)
'''


def waiting_flow(*seconds: float, source: str = "ChatInput", **settings: Any) -> dict[str, Any]:
    """Return a flow with a component that waits for each number of seconds, one after the other."""
    components: dict[str, Any] = {"in": {"type": source}, "out": {"type": "ChatOutput"}}
    before, edges = ("in.output_data" if source == "Webhook" else "in.message"), []
    for number, pause in enumerate(seconds):
        name = f"wait{number}"
        components[name] = {"type": "Wait", "settings": {"seconds": pause, **settings}}
        edges.append(f"{before} -> {name}.value")
        before = f"{name}.value"
    return {"components": components, "edges": [*edges, f"{before} -> out.input_value"]}


class Site:
    """A server on a data folder of its own, started as often as it was killed."""

    def __init__(
        self,
        folder: Path,
        flows: dict[str, Any],
        *,
        data: Path | None = None,
        database: str = "",
        user: str = "ann",
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.data = data or folder / "data"
        self.database = database or f"sqlite:///{self.data / 'flowrunner.db'}"
        if database:
            settings["DATABASE_URL"] = database
        (folder / "flows").mkdir()
        (folder / "plugins").mkdir()
        for name, flow in flows.items():
            (folder / "flows" / f"{name}.json").write_text(json.dumps(flow))
        (folder / "plugins" / "waiting.py").write_text(PLUGIN)
        self.settings = {
            "DATA_DIR": self.data,
            "FLOWS_DIR": folder / "flows",
            "PLUGINS_DIR": folder / "plugins",
            "WORKERS": 1,
            "THREADS": 32,
            "BIND": "127.0.0.1:0",
            **settings,
        }
        self._key_options = ["--database-url", database] if database else []
        self._user = user
        self.key = self.make_key()
        self.server: Server | None = None
        #: What stands before the command of the server, such as a program that runs it as another user.
        self.before: list[str] = []
        self.output = ""

    def make_key(self, *options: str, user: str = "") -> str:
        """Make an API key as an operator does, of whose key this site uses unless another user is named."""
        return make_key(self.data, *self._key_options, *options, user=user or self._user)

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    def begin(self, *options: str) -> Server:
        """Start gunicorn and do not wait for it."""
        environment = {f"FLOWRUNNER_{name}": str(value) for name, value in self.settings.items()}
        arguments = ["-c", "python:flowrunner.serving", *options, "wsgi:app"]
        if self.before:
            self.server = Server([*self.before, sys.executable, "-m", "gunicorn", *arguments], environment=environment)
        else:
            self.server = ForkedServer(["gunicorn", *arguments], environment=environment)
        return self.server

    def start(self, *options: str) -> Site:
        """Start gunicorn and wait until it answers."""
        self.begin(*options).wait_until_ready("/health_check")
        return self

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Send a request in the name of the key's owner."""
        headers = {"x-api-key": self.key, **options.pop("headers", {})}
        return requests.post(f"{self.url}{path}", json=body, headers=headers, timeout=DEADLINE, **options)

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send any request in the name of the key's owner, and return the answer, whatever it is."""
        headers = {"x-api-key": self.key, **options.pop("headers", {})}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=DEADLINE, **options)

    def get(self, path: str) -> Any:
        """Return the JSON of a path."""
        answer = requests.get(f"{self.url}{path}", headers={"x-api-key": self.key}, timeout=DEADLINE)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def webhook(self, flow: str, text: str) -> str:
        """Post to a webhook and return the id of the accepted run."""
        answer = self.post(f"/api/v1/webhook/{flow}", {"text": text})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["run_id"])

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        assert self.server is not None
        master = self.server.pid
        return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]

    def are_open(self, number: int) -> bool:
        """Return whether so many workers have opened their stores; the mark of its process is what each opens last."""
        marked = [pid for pid in self.workers() if "processes.lock" in _open_files(pid)]
        return len(marked) == number

    def kill_workers(self) -> None:
        """Kill all workers; gunicorn starts others."""
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill master and workers at once."""
        assert self.server is not None
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()
        self.close()

    def stop(self) -> int:
        """Stop as an operator does, and return the status."""
        assert self.server is not None
        status = self.server.stop()
        self.close()
        return status

    def close(self) -> None:
        """Stop whatever runs and keep what it said."""
        server, self.server = self.server, None
        if server is not None:
            server.close()
            self.output += server.output
            assert "Traceback" not in server.output, server.output

    def rows(self, statement: str) -> list[Any]:
        """Read from the database itself."""
        engine = create_engine(self.database)
        try:
            with engine.connect() as connection:
                return list(connection.execute(text(statement)).all())
        finally:
            engine.dispose()

    def states(self) -> dict[str, str]:
        """Return the state of every run, by id, in order of acceptance."""
        return {row[0]: row[1] for row in self.rows("SELECT id, status FROM flowrunner_runs ORDER BY seq")}

    def open_runs(self) -> list[str]:
        """Return the ids of the runs that have not ended."""
        return [row[0] for row in self.rows("SELECT id FROM flowrunner_runs WHERE ended_at IS NULL")]


def _open_files(pid: int) -> set[str]:
    """Return the names of the files that a process has open."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(link.readlink().name)
    return found
