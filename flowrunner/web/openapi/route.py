"""``/openapi.json``."""

from __future__ import annotations

import hashlib

from flask import Response, request

from flowrunner.authority import OPEN
from flowrunner.web.blueprint import Routes
from flowrunner.web.jsons import dumps


def add_openapi_route(routes: Routes) -> None:
    """Add the description of all routes of the blueprint. It is made when it is first asked for."""
    made: dict[str, bytes] = {}

    def openapi() -> Response:
        """Describe this API."""
        server = request.script_root + request.path.removesuffix("/openapi.json")
        if server not in made:
            from flowrunner.web.openapi.document import build_document

            made.clear()
            made[server] = dumps(build_document(routes.added, routes.declared, server=server)).encode()
        answer = Response(made[server], content_type="application/json")
        answer.headers["Cache-Control"] = "no-cache"
        answer.set_etag(hashlib.sha256(made[server]).hexdigest())
        answer.make_conditional(request)
        return answer

    routes.add("/openapi.json", openapi, methods=["GET"], name="openapi", needs=OPEN)
