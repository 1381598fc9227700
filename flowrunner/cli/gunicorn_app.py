"""Run gunicorn from Python with flowrunner's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from gunicorn.app.base import BaseApplication

from flowrunner import __version__, serving
from flowrunner.cli.output import say
from flowrunner.cli.preflight import Performance

_MOST_FLOWS_SHOWN: Final = 8

#: gunicorn's own messages, handed on to the handler of all others, so that they have the same form.
_LOGGING: Final = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {},
    "handlers": {},
    "root": {},
    "loggers": {"gunicorn.error": {"handlers": [], "propagate": True, "level": "WARNING"}},
}


class _Server(BaseApplication):
    def __init__(self, options: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self._options = options
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            # Not every name is a setting, and older releases lack some, such as that of the control socket.
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        from flowrunner.app import create_app

        # What could be wrong has been found out before; this process opens nothing.
        return create_app(**self._settings)


def run_gunicorn(performance: Performance) -> None:
    """Serve until stopped."""
    os.environ["FLOWRUNNER_WORKERS"] = str(performance.workers)
    host = f"[{performance.host}]" if ":" in performance.host else performance.host
    options = {
        **vars(serving),
        "bind": f"{host}:{performance.port}",
        "workers": performance.workers,
        "threads": performance.threads,
        "loglevel": "warning",
        "logconfig_dict": _LOGGING,
        # What else is wrong was said by the rehearsal, which knows the options of the command.
        "on_starting": serving.refuse_open_server,
        "when_ready": partial(_greet, performance),
    }
    _Server(options, performance.settings).run()


def _greet(performance: Performance, server: Any) -> None:
    serving.when_ready(server)
    say(greeting(performance, str(server.LISTENERS[0])), err=True)


def greeting(performance: Performance, address: str) -> str:
    """Return what the user is told when the server is ready: where it is, what it serves, how to call it."""
    lines = [f"flowrunner {__version__} serves {_flows(performance)} at {address}"]
    lines.append(f"  conversations: {performance.memory}")
    lines += [f"  note: {sentence}" for sentence in performance.notes]
    if performance.open:
        lines.append("  access: open to everybody on this machine, until you create an API key and restart the server")
    elif performance.has_keys:
        lines.append("  access: with an API key")
    else:
        lines.append("  access: with an API key; create one with flowrunner keys create --user NAME")
    lines += [f"  page: {address}{page}" for page in performance.pages]
    if performance.flows:
        key = "" if performance.open else "-H 'x-api-key: KEY' "
        flow = "basic-chat" if "basic-chat" in performance.flows else performance.flows[0]
        lines.append(
            f"  try: curl -s -X POST {address}/api/v1/run/{flow} {key}-H 'Content-Type: application/json'"
            """ -d '{"input_value": "Hello"}'"""
        )
    return "\n".join(lines)


def _flows(performance: Performance) -> str:
    if not performance.folders:
        return "no flows folder (only flows stored over the API)"
    shown = ", ".join(performance.flows[:_MOST_FLOWS_SHOWN])
    more = len(performance.flows) - _MOST_FLOWS_SHOWN
    number = f"{len(performance.flows)} flow{'' if len(performance.flows) == 1 else 's'}"
    names = f" ({shown}{f' and {more} more' if more > 0 else ''})" if shown else ""
    return f"{number} of {', '.join(performance.folders)}{names}"
