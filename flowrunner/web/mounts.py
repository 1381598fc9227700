"""The runners of an app, and the names of their blueprints."""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, has_request_context, request

from flowrunner.errors import SettingsInvalid

EXTENSION: Final = "flowrunner"
#: Names of the registered blueprints, by the name of the runner.
_BLUEPRINTS: Final = "flowrunner_blueprints"


def runners_of(app: Flask) -> dict[str, Any]:
    """Return the runners of an app by name, to read or to add one."""
    runners: dict[str, Any] = app.extensions.setdefault(EXTENSION, {})
    return runners


def blueprints_of(app: Flask) -> dict[str, str]:
    """Return the names under which the runners' blueprints are registered, by the name of the runner."""
    names: dict[str, str] = app.extensions.setdefault(_BLUEPRINTS, {})
    return names


def pick_name(app: Flask, name: str | None = None) -> str:
    """Return the name of a runner: the given one, that of the current request, the only one, or the default.

    :raises SettingsInvalid: if the app has no runner, none with the name, or several and it is unclear which one to
        use.
    """
    runners = runners_of(app)
    if not runners:
        raise SettingsInvalid("This app has no runner: mount one with FlowRunner(app) or init_app(app).")
    if name is not None:
        if name not in runners:
            raise SettingsInvalid(f"This app has no runner named {name!r}; it has {', '.join(sorted(runners))}.")
        return name
    if has_request_context():
        answering = set(request.blueprints)
        for candidate, blueprint in blueprints_of(app).items():
            if blueprint in answering:
                return candidate
    if len(runners) == 1:
        return next(iter(runners))
    if EXTENSION in runners:
        return EXTENSION
    raise SettingsInvalid(
        f"This app has several runners ({', '.join(sorted(runners))}); say which one: get_runner('{min(runners)}')."
    )
