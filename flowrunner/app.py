"""The stand-alone app, for ``wsgi.py`` and ``flowrunner serve``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flask import Flask

from flowrunner.errors import FlowRunnerError
from flowrunner.extension import EXTENSION, stand_alone
from flowrunner.runner import Runner
from flowrunner.site.older_data import announce_data_folder
from flowrunner.site.proxies import TrustedProxies
from flowrunner.telemetry.logs import set_up_logging

#: gunicorn stops for good, instead of starting a worker again, when one ends with this status.
APP_LOAD_ERROR: Final = 4


def create_app(config: Mapping[str, Any] | None = None, *, plugins: Iterable[Any] = (), **settings: Any) -> Flask:
    """Return an app that holds a runner and nothing else.

    :param config: Flask configuration, ``FLOWRUNNER_*`` included.
    :param plugins: plugin objects besides the installed ones.
    :param settings: settings by lower-case name without prefix; they beat the configuration.
    :raises FlowRunnerError: saying what must be changed.
    """
    app = Flask("flowrunner", static_folder=None)
    app.config.update(config or {})
    set_up_logging(app.config, settings)
    stand_alone(plugins=plugins, **settings).init_app(app)
    proxies = runner_of(app).settings.trusted_proxies
    if proxies:
        app.wsgi_app = TrustedProxies(app.wsgi_app, proxies)  # type: ignore[method-assign]
    return app


def create_app_or_exit(*, announce: bool = True, **settings: Any) -> Flask:
    """Return an app as :func:`create_app`; where it cannot start, say why in one sentence and end the process.

    Everything is opened once for a trial and closed again, since the workers are forked from this
    process and open what they need by themselves. The status makes gunicorn stop, where it would
    start one worker after the other.

    :param announce: log where the data lies, and what speaks against that place.
    """
    try:
        app = create_app(**settings)
        runner_of(app).check()
        if announce:
            announce_data_folder(runner_of(app).settings.data_dir)
        return app
    except FlowRunnerError as error:
        print(f"flowrunner: {error.message}", file=sys.stderr)
        sys.exit(APP_LOAD_ERROR)


def runner_of(app: Flask) -> Runner:
    """Return the runner of a stand-alone app."""
    runner: Runner = app.extensions[EXTENSION][EXTENSION]
    return runner
