"""The Celery app of a stand-alone installation: ``celery -A flowrunner_celery.worker worker``.

It reads the same ``FLOWRUNNER_*`` settings as the servers. A site makes its own with :func:`worker_for`.
"""

from __future__ import annotations

from typing import Any

from celery import Celery, signals

from flowrunner import SettingsInvalid, create_app, get_runner
from flowrunner_celery.engine import carrying_out, make_celery


def worker_for(app: Any) -> Celery:
    """Return the Celery app whose workers carry out the background runs of a Flask app.

    :raises SettingsInvalid: if the app's runs are on another engine.
    """
    runner = get_runner(app=app).runner
    settings = runner.settings
    if settings.engine != "celery":
        raise SettingsInvalid(
            f"This worker has nothing to do: {settings.prefix}ENGINE is {settings.engine!r}, not 'celery'."
        )
    made = make_celery(settings.celery_broker, settings.celery_queue)
    carrying_out(made, app)

    def end(**_: Any) -> None:
        runner.close()

    signals.worker_process_shutdown.connect(end, weak=False)
    return made


def __getattr__(name: str) -> Any:
    """Make the app of a stand-alone installation when it is asked for: a site imports this module, too."""
    if name in ("app", "celery"):
        made = globals()[name] = worker_for(create_app())
        return made
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
