"""gunicorn, started from Python with our settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import click
from gunicorn.app.base import BaseApplication

from flowrunner import serving
from flowrunner.errors import FlowRunnerError

#: gunicorn stops for good, instead of starting a worker again, when one ends with this status.
APP_LOAD_ERROR = 4


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, options: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self._options = options
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from flowrunner.app import create_app

        try:
            return create_app(**self._settings)
        except FlowRunnerError as error:
            click.echo(f"flowrunner: {error.message}", err=True)
            sys.exit(APP_LOAD_ERROR)


def run_gunicorn(*, host: str, port: int, workers: int, settings: Mapping[str, Any]) -> None:
    """Serve until stopped.

    :param settings: of the runner, by lower-case name.
    """
    os.environ["FLOWRUNNER_WORKERS"] = str(workers)
    options = {
        "bind": f"{host}:{port}",
        "workers": workers,
        "worker_class": serving.worker_class,
        "threads": serving.threads,
        "timeout": serving.timeout,
        "graceful_timeout": serving.graceful_timeout,
        "keepalive": serving.keepalive,
        "loglevel": "warning",
        "when_ready": lambda server: _greet(server, settings),
    }
    _Server(options, settings).run()


def _greet(server: Any, settings: Mapping[str, Any]) -> None:
    address = ", ".join(str(listener) for listener in server.LISTENERS)
    who = "open for the local user" if settings.get("auth") == "none" else "API keys wanted"
    click.echo(f"flowrunner serves {settings.get('flows_dir') or 'no folder of flows'} at {address} ({who})", err=True)
