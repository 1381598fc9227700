"""The keys API: a caller's own keys, shown once when they are made; an admin's reach is everybody's."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from flowrunner.authority import AUTHOR
from flowrunner.runner import Runner
from flowrunner.store.bound import KeysOfCaller
from flowrunner.web.auth import caller
from flowrunner.web.blueprint import Routes
from flowrunner.web.jsons import json_response, read_object
from flowrunner.web.parameters import invalid, read_uuid


def add_key_routes(routes: Routes) -> None:
    """Add ``/api/v1/api_key/``."""
    views = KeyViews(routes.runner)
    base = "/api/v1/api_key/"
    routes.add(base, views.list, methods=["GET"], name="list_keys", needs=AUTHOR)
    routes.add(base, views.create, methods=["POST"], name="create_key", needs=AUTHOR)
    routes.add(f"{base}<key_id>", views.delete, methods=["DELETE"], name="delete_key", needs=AUTHOR)
    routes.add(f"{base}<key_id>/rotate", views.rotate, methods=["POST"], name="rotate_key", needs=AUTHOR)


class KeyViews:
    """The views. A key never makes, rotates or removes one that may more than itself."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def _keys(self) -> KeysOfCaller:
        return self._runner.stores_of(caller()).keys

    def list(self) -> Response:
        """List keys, without their texts."""
        found = [record.to_json() for record in self._keys.list()]
        return json_response({"total_count": len(found), "user_id": caller().id, "api_keys": found})

    def create(self) -> Response:
        """Make a key; this answer alone holds its text."""
        body = self._body()
        user = body.pop("user") or caller().name
        key = self._keys.create(user, **body)
        return json_response({**self._keys.record_of(key).to_json(), "api_key": key})

    def delete(self, key_id: str) -> Response:
        """Revoke a key."""
        self._keys.revoke(read_uuid(key_id, ("path", "key_id")))
        return json_response({"detail": "API Key deleted"})

    def rotate(self, key_id: str) -> Response:
        """Give a key a new text; this answer alone holds it."""
        found, key = self._keys.rotate(read_uuid(key_id, ("path", "key_id")))
        return json_response({**found.to_json(), "api_key": key})

    def _body(self) -> dict[str, Any]:
        settings = self._runner.settings
        given = read_object(request, limit=settings.max_body, strict_type=settings.auth == "none")
        body: dict[str, Any] = {}
        for name in ("name", "user"):
            body[name] = given.get(name) or ""
            if not isinstance(body[name], str):
                raise invalid(("body", name), "string_type", "Input should be a valid string")
        for name in ("admin", "read_only"):
            body[name] = False if given.get(name) is None else given[name]
            if not isinstance(body[name], bool):
                raise invalid(("body", name), "bool_type", "Input should be a valid boolean")
        flows = body["flows"] = given.get("flows")
        if flows is not None and not (isinstance(flows, list) and all(isinstance(flow, str) for flow in flows)):
            raise invalid(("body", "flows"), "list_type", "Input should be a valid list of texts")
        return body
