"""The engine ``procrastinate``: background runs on workers of procrastinate, on PostgreSQL alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from flowrunner import Setting, Settings, SettingsInvalid, hookimpl


def _open(app: Any, settings: Settings) -> Any:
    from flowrunner_procrastinate.engine import ProcrastinateEngine

    return ProcrastinateEngine(settings)


@hookimpl
def register_engines(register: Callable[..., None]) -> None:
    url = Setting(
        "PROCRASTINATE_URL",
        None,
        "URL of procrastinate's PostgreSQL database; default: that of the app's own data",
        secret=True,
    )
    queue = Setting("PROCRASTINATE_QUEUE", "flowrunner", "name of the procrastinate queue for runs")
    register("procrastinate", _open, settings=(url, queue))


@hookimpl
def use_settings(settings: Settings) -> None:
    if settings.engine != "procrastinate":
        return
    if importlib.util.find_spec("procrastinate") is None:
        raise SettingsInvalid(
            f"{settings.prefix}ENGINE=procrastinate needs procrastinate: pip install 'flask-flowrunner[procrastinate]'."
        )
    if not str(settings.procrastinate_url or settings.database_url or "").startswith("postgres"):
        raise SettingsInvalid(
            f"{settings.prefix}ENGINE=procrastinate keeps its queue in PostgreSQL: set {settings.prefix}DATABASE_URL"
            f" or {settings.prefix}PROCRASTINATE_URL to a database there."
        )
