"""``/openapi.json``, and the same for people at ``/docs``."""

from __future__ import annotations

import hashlib

from flask import Response, request

from flowrunner.authority import OPEN
from flowrunner.web.blueprint import this_blueprint
from flowrunner.web.json_io import dumps
from flowrunner.web.route import RouteGroup
from flowrunner.web.schemas import TEXT, Media

routes = RouteGroup("server")
#: The page among the descriptions that are kept; an address below which one is asked for is no such word.
_PAGE = "for people"


@routes.get("/docs", needs=OPEN, name="api_page", answers={200: Media({"text/html": TEXT})})
def api_page() -> Response:
    """Show the API documentation page."""
    from flowrunner.web.openapi.page import build_page, style_digest

    made = this_blueprint().descriptions
    # Another thread may empty what is kept at any time.
    page = made.get(_PAGE)
    if page is None:
        from flowrunner.web.openapi.document import build_document

        page = made[_PAGE] = build_page(build_document(this_blueprint().routes)).encode()
    answer = Response(page, content_type="text/html; charset=utf-8")
    allowed = f"default-src 'none'; style-src {style_digest()}; base-uri 'none'; form-action 'none'"
    answer.headers["Content-Security-Policy"] = f"{allowed}; frame-ancestors 'none'"
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@routes.get("/openapi.json", needs=OPEN, answers={200: {"type": "object"}, 304: None})
def openapi() -> Response:
    """Show the OpenAPI 3.1 description of this API."""
    server = request.script_root + request.path.removesuffix("/openapi.json")
    made = this_blueprint().descriptions
    text = made.get(server)
    if text is None:
        from flowrunner.web.openapi.document import build_document

        made.clear()
        text = made[server] = dumps(build_document(this_blueprint().routes, server=server)).encode()
    answer = Response(text, content_type="application/json")
    answer.headers["Cache-Control"] = "no-cache"
    answer.set_etag(hashlib.sha256(text).hexdigest())
    answer.make_conditional(request)
    return answer
