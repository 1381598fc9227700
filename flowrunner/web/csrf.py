"""Protection against cross-site request forgery.

A browser sends a site's cookies, and a name and password typed for it, with every request to that
site, whoever wrote the form. So where the site's login says who is asking, a request that changes
something must show that it was made here: by a header that a form cannot set and that a script of
another site may only send with our permission, or by the site's own CSRF token.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, current_app, request
from werkzeug.exceptions import HTTPException

from flowrunner.errors import NotAllowed

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Headers of which one must be there; any value will do.
OWN_HEADERS: Final = ("X-Flowrunner", "X-Requested-With")

_EXEMPT: Final = "flowrunner_csrf_exempt"


class Forged(NotAllowed):
    """A request with the site's login that does not show that it was made by the site."""

    code = "csrf_missing"


def refuse_forged(max_body: int) -> None:
    """Refuse the present request if another site may have made the visitor's browser send it.

    :param max_body: bytes of a body at most, since a token may stand in it.
    :raises Forged: for a request that changes something and has neither header nor token.
    """
    if request.method in SAFE_METHODS:
        return
    headers = request.headers
    if any(headers.get(name) for name in OWN_HEADERS):
        return
    # A browser adds neither of these by itself, unlike a name and password (Basic).
    if headers.get("x-api-key") or headers.get("Authorization", "")[:7].lower() == "bearer ":
        return
    if _has_site_token(max_body):
        return
    raise Forged(
        "Requests authenticated by the site's login must be protected against forgery: send the header X-Flowrunner: 1"
        " or the site's CSRF token."
    )


def _has_site_token(max_body: int) -> bool:
    """Return whether Flask-WTF, where the site has it, finds its token in the header or form."""
    protection = _protection(current_app)
    if protection is None or request.method not in current_app.config.get("WTF_CSRF_METHODS", ()):
        return False
    request.max_content_length = max_body
    try:
        protection.protect()
    except HTTPException:
        return False
    return True


def exempt_views(app: Flask) -> None:
    """Tell Flask-WTF to leave our views to our own check: it would refuse requests with an API key.

    Called with each request, before the site's ``before_request``, since the site may set up
    Flask-WTF before or after us. Views are named by text, so that no app is held.
    """
    if app.extensions.get(_EXEMPT):
        return
    protection = _protection(app)
    if protection is None:
        return
    prefixes = tuple(f"{name}." for name in app.extensions.get("flowrunner_blueprints", {}).values())
    for endpoint, view in app.view_functions.items():
        if endpoint.startswith(prefixes):
            protection.exempt(f"{view.__module__}.{view.__name__}")
    app.extensions[_EXEMPT] = True


def _protection(app: Any) -> Any:
    found = app.extensions.get("csrf")
    return found if found is not None and hasattr(found, "protect") and hasattr(found, "exempt") else None
