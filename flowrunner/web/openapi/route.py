"""``/openapi.json``."""

from __future__ import annotations

import hashlib

from flask import Response, request

from flowrunner.authority import OPEN
from flowrunner.web.blueprint import this_blueprint
from flowrunner.web.json_io import dumps
from flowrunner.web.route import RouteGroup

routes = RouteGroup("server")


@routes.get("/openapi.json", needs=OPEN, answers={200: {"type": "object"}, 304: None})
def openapi() -> Response:
    """Describe this API, as OpenAPI 3.1."""
    server = request.script_root + request.path.removesuffix("/openapi.json")
    made = this_blueprint().descriptions
    if server not in made:
        from flowrunner.web.openapi.document import build_document

        made.clear()
        made[server] = dumps(build_document(this_blueprint().routes, server=server)).encode()
    answer = Response(made[server], content_type="application/json")
    answer.headers["Cache-Control"] = "no-cache"
    answer.set_etag(hashlib.sha256(made[server]).hexdigest())
    answer.make_conditional(request)
    return answer
