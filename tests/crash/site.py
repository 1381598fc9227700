"""gunicorn as an operator runs it, to be killed: by worker, or as a whole."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from flowrunner import EVERY_OWNER
from flowrunner.app import create_app, runner_of
from tests.live_server import ForkedServer, Server, make_key

FLOWS = {
    "quick": {
        "components": {"question": {"type": "ChatInput"}, "answer": {"type": "ChatOutput"}},
        "edges": ["question.message -> answer.input_value"],
    },
    # The question is on disk and the answer is not, for as long as Ponder takes.
    "slow": {
        "components": {
            "question": {"type": "ChatInput"},
            "ponder": {"type": "Ponder"},
            "answer": {"type": "ChatOutput"},
        },
        "edges": ["question.message -> ponder.value", "ponder.value -> answer.input_value"],
    },
}

PLUGIN = '''
from flowrunner import Component, Input, Output, hookimpl, text_of


class Ponder(Component):
    """Take a while to pass a text on."""

    type_name = "Ponder"
    blocking = True
    inputs = (Input("value"),)
    outputs = (Output("value"),)

    def run(self, context, value):
        context.cancelled.wait(0.01)
        return {"value": text_of(value)}


@hookimpl
def register_components(register):
    register(Ponder)
'''


class Site:
    """A server on a data folder of its own, started as often as it was killed."""

    def __init__(self, folder: Path, memory: str, workers: int) -> None:
        self._folder = folder
        self._memory = memory
        flows, plugins = folder / "flows", folder / "plugins"
        flows.mkdir()
        plugins.mkdir()
        for name, flow in FLOWS.items():
            (flows / f"{name}.json").write_text(json.dumps(flow))
        (plugins / "ponder.py").write_text(PLUGIN)
        self._environment = {
            "FLOWRUNNER_DATA_DIR": str(folder / "data"),
            "FLOWRUNNER_FLOWS_DIR": str(flows),
            "FLOWRUNNER_PLUGINS_DIR": str(plugins),
            "FLOWRUNNER_MEMORY": memory,
            "FLOWRUNNER_WORKERS": str(workers),
            "FLOWRUNNER_THREADS": "16",
            "FLOWRUNNER_BIND": "127.0.0.1:0",
        }
        self.key = make_key(folder / "data")
        self.url = ""
        self._server: Server | None = None

    def start(self, *options: str) -> Site:
        """Start gunicorn and wait until it answers and says that all is well."""
        command = ["gunicorn", "-c", "python:flowrunner.serving", *options, "wsgi:app"]
        self._server = ForkedServer(command, environment=self._environment)
        self._server.wait_until_ready("/health_check")
        self.url = self._server.url
        return self

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        assert self._server is not None
        master = self._server.pid
        return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]

    def kill_worker(self, number: int) -> None:
        """Kill one worker; gunicorn starts another."""
        found = self.workers()
        if found:
            os.kill(found[number % len(found)], signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill master and workers at once."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()
        self.close()

    def close(self) -> None:
        """Stop the server as an operator does, and refuse a log in which anything went wrong by itself."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            assert "Traceback" not in server.output, server.output

    def read(self) -> dict[str, list[tuple[str, str]]]:
        """Return sender and text of the messages of each session, read by a start of its own."""
        app = create_app(
            data_dir=self._environment["FLOWRUNNER_DATA_DIR"],
            plugins_dir=self._environment["FLOWRUNNER_PLUGINS_DIR"],
            memory=self._memory,
        )
        runner = runner_of(app)
        everything = runner.memory.for_owner(EVERY_OWNER)
        ids = [summary.session_id for summary in everything.sessions()]
        found = {i: [(str(m.sender), m.text) for m in everything.fetch(session_id=i)] for i in ids}
        runner.close()
        return found
