"""Hooks for a runner inside a site: the owner's guard, no frames, CSRF protection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Flask, current_app, has_request_context, request
from werkzeug.datastructures import Headers

from flowrunner.errors import NotAllowed
from flowrunner.runner import Runner
from flowrunner.store.engine import refuse_shared_file
from flowrunner.web.csrf import exempt_views

#: Routes that the guard is not called for, since they reveal nothing.
UNGUARDED: Final = frozenset({"health", "chatbox_file"})
_CHECKED: Final = "flowrunner_checked"

#: Other sites must not show our pages in a frame (clickjacking).
_FRAMES: Final = "frame-ancestors 'none'"


def ask_guard(guard: Callable[[Any], Any]) -> Any:
    """Call the guard of the site with the current request; return None to continue, or its response.

    :param guard: takes a request and returns None or True to continue, False, or a response.
    :raises NotAllowed: if it returns False.
    """
    if (request.endpoint or "").rsplit(".", 1)[-1] in UNGUARDED:
        return None
    answer = guard(request)
    if answer is None or answer is True:
        return None
    if not answer:
        raise NotAllowed("You are not allowed to access this.")
    return answer


def look_around(runner: Runner, endpoint: str | None, values: Any) -> None:
    """Check the other parts of the site before a request is answered.

    Called before the site's ``before_request``: the app is complete now, in whatever order its parts were set up.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    check_neighbours(app, runner)
    exempt_views(app)


def check_neighbours(app: Flask, runner: Runner) -> None:
    """Check once, when the app is complete, that the site does not use our database file as its own.

    :raises SettingsInvalid: if it does, naming the remedy.
    """
    checked = app.extensions.setdefault(_CHECKED, set())
    if runner.settings.prefix in checked or not runner.is_open:
        return
    refuse_shared_file(app, runner.engine)
    if has_request_context():
        checked.add(runner.settings.prefix)


def refuse_frames(headers: Headers) -> None:
    """Add headers that forbid showing a page in a frame."""
    headers.setdefault("X-Frame-Options", "DENY")
    policy = headers.get("Content-Security-Policy")
    if policy is None or "frame-ancestors" not in policy:
        headers["Content-Security-Policy"] = f"{policy}; {_FRAMES}" if policy else _FRAMES
