"""What our answers in somebody's site need beside the API: the owner's guard, headers, forged requests kept out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Response, current_app, request

from flowrunner.errors import NotAllowed
from flowrunner.web.csrf import exempt_views

#: Routes that the guard does not see: they tell nothing about anybody.
UNGUARDED: Final = frozenset({"health", "chatbox_file"})

_POLICY_OF_DATA: Final = "default-src 'none'; frame-ancestors 'none'"
_POLICY_OF_PAGES: Final = "frame-ancestors 'none'"


def keep_to_site(blueprint: Any, runner: Any, guard: Callable[[Any], Any] | None) -> None:
    """Add the owner's guard and the safety headers to a blueprint."""
    if guard is not None:
        found = guard

        def ask_guard() -> Any:
            endpoint = (request.endpoint or "").rsplit(".", 1)[-1]
            return None if endpoint in UNGUARDED else _verdict(found(request))

        # Before whatever else the blueprint does with a request: a guard may send visitors to a login page.
        blueprint.before_request_funcs.setdefault(None, []).insert(0, ask_guard)

    def let_own_check_decide(endpoint: str | None, values: Any) -> None:
        exempt_views(current_app)

    def add_headers(response: Response) -> Response:
        headers = response.headers
        # One pass over the names: asking for each costs an exception where it is not there.
        present = {name.lower() for name, _ in headers}
        if "content-security-policy" not in present:
            page = response.mimetype == "text/html"
            headers.add("Content-Security-Policy", _POLICY_OF_PAGES if page else _POLICY_OF_DATA)
        for name, value in _HEADERS:
            if name.lower() not in present:
                headers.add(name, value)
        return response

    blueprint.url_value_preprocessor(let_own_check_decide)
    blueprint.after_request(add_headers)


_HEADERS: Final = (
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
)


def _verdict(answer: Any) -> Any:
    """Return what the guard's answer means: None passes, everything else is the response."""
    if answer is None or answer is True:
        return None
    if answer is False:
        raise NotAllowed("You may not use this.")
    return answer
