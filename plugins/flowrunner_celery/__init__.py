"""The engine ``celery``: background runs on workers of Celery (extra ``[celery]``)."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from flowrunner import Setting, Settings, SettingsInvalid, hookimpl


def _open(app: Any, settings: Settings) -> Any:
    from flowrunner_celery.engine import CeleryEngine

    return CeleryEngine(settings.celery_broker, settings.celery_queue)


@hookimpl
def register_engines(register: Callable[..., None]) -> None:
    broker = Setting(
        "CELERY_BROKER", "redis://localhost:6379/0", "URL of Celery's broker, Redis or RabbitMQ", secret=True
    )
    queue = Setting("CELERY_QUEUE", "flowrunner", "name of the Celery queue for runs")
    register("celery", _open, settings=(broker, queue))


@hookimpl
def use_settings(settings: Settings) -> None:
    if settings.engine == "celery" and importlib.util.find_spec("celery") is None:
        raise SettingsInvalid(f"{settings.prefix}ENGINE=celery needs Celery: pip install 'flask-flowrunner[celery]'.")
