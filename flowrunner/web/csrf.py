"""Protection against cross-site request forgery.

A browser sends the cookies and Basic credentials of a site with every request to it, including requests triggered by
other sites. So a request authenticated by the site's login that changes something must prove that the site made it:
with a header that a form cannot set and a script of another site may only send with permission, or with the site's
own CSRF token.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, current_app, request
from werkzeug.exceptions import HTTPException

from flowrunner.errors import NotAllowed

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Headers of which one must be present, with any value.
OWN_HEADERS: Final = ("X-Flowrunner", "X-Requested-With")

_EXEMPT: Final = "flowrunner_csrf_exempt"


class Forged(NotAllowed):
    """A request with the site's login that does not prove that the site made it."""

    code = "csrf_missing"


def refuse_forged(max_body: int) -> None:
    """Refuse the current request if another site may have triggered it.

    :param max_body: the maximum size of a body in bytes, since the body may contain a token.
    :raises Forged: for a request that changes something and has neither a header nor a token.
    """
    if request.method in SAFE_METHODS:
        return
    headers = request.headers
    if any(headers.get(name) for name in OWN_HEADERS):
        return
    # Browsers do not add these automatically, unlike Basic credentials.
    if headers.get("x-api-key") or headers.get("Authorization", "")[:7].lower() == "bearer ":
        return
    if _has_site_token(max_body):
        return
    raise Forged(
        "Requests authenticated by the site's login must be protected against forgery: send the header X-Flowrunner: 1"
        " or the site's CSRF token."
    )


def _has_site_token(max_body: int) -> bool:
    """Return whether Flask-WTF, if the site uses it, accepts the token in the header or form."""
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
    """Exempt our views from Flask-WTF, which would refuse requests with an API key; we check them ourselves.

    Called with each request, before the site's ``before_request``, since the site may set up Flask-WTF before or
    after us. Views are passed by name, so that no app is kept alive.
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
