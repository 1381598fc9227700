"""The procrastinate app of a stand-alone installation.

``procrastinate --app=flowrunner_procrastinate.worker.app worker`` reads the same ``FLOWRUNNER_*`` settings
as the servers. A site makes its own with :func:`worker_for`.
"""

from __future__ import annotations

from typing import Any

import procrastinate

from flowrunner import SettingsInvalid, create_app, get_runner
from flowrunner_procrastinate.engine import carrying_out, make_procrastinate


def worker_for(app: Any) -> procrastinate.App:
    """Return the procrastinate app whose workers carry out the background runs of a Flask app.

    :raises SettingsInvalid: if the app's runs are on another engine.
    """
    settings = get_runner(app=app).runner.settings
    if settings.engine != "procrastinate":
        raise SettingsInvalid(
            f"This worker has nothing to do: {settings.prefix}ENGINE is {settings.engine!r}, not 'procrastinate'."
        )
    made = make_procrastinate(settings)
    carrying_out(made, settings.procrastinate_queue, app)
    return made


def __getattr__(name: str) -> Any:
    """Make the app of a stand-alone installation when it is asked for: a site imports this module, too."""
    if name == "app":
        made = globals()[name] = worker_for(create_app())
        return made
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
