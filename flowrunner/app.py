"""The stand-alone app, for ``wsgi.py`` and ``flowrunner serve``."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask

from flowrunner.extension import FlowRunner


def create_app(config: Mapping[str, Any] | None = None, *, plugins: Iterable[Any] = (), **settings: Any) -> Flask:
    """Return an app that holds a runner and nothing else.

    :param config: Flask configuration, ``FLOWRUNNER_*`` included.
    :param plugins: plugin objects besides the installed ones.
    :param settings: settings by lower-case name without prefix; they beat the configuration.
    :raises FlowRunnerError: in one sentence, what must be changed.
    """
    app = Flask("flowrunner", static_folder=None)
    app.config.update(config or {})
    runner = FlowRunner(plugins=plugins, **settings).init_app(app)
    atexit.register(runner.close)
    return app
