"""The variables API: names that flows hold instead of values."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from flowrunner.errors import NotAllowed
from flowrunner.web.auth import caller
from flowrunner.web.blueprint import Routes
from flowrunner.web.jsons import empty_response, json_response, read_object
from flowrunner.web.parameters import invalid


def add_variable_routes(routes: Routes) -> None:
    """Add ``/api/v1/variables/``. The value of a credential goes in and is never shown."""
    runner = routes.runner
    store = runner.stores.variables

    def owner() -> str:
        if caller().flows is not None:
            raise NotAllowed("This API key is limited to single flows; it reaches no variables.")
        return caller().id

    def body() -> Any:
        return read_object(request, limit=runner.settings.max_body, strict_type=runner.settings.auth == "none")

    def list_variables() -> Response:
        return json_response([variable.to_json() for variable in store.list(owner())])

    def create() -> Response:
        who, given = owner(), body()
        for name in ("name", "value", "type", "default_fields"):
            if name not in given:
                raise invalid(("body", name), "missing", "Field required")
        for name in ("name", "value", "type"):
            if given[name] is None:
                raise invalid(("body", name), "string_type", "Input should be a valid string")
        made = store.create(
            who, given["name"], given["value"], type=given["type"], default_fields=given["default_fields"] or ()
        )
        return json_response(made.to_json(), 201)

    def change(variable_id: str) -> Response:
        who = owner()
        return json_response(store.update(variable_id, who, body()).to_json())

    def delete(variable_id: str) -> Response:
        store.delete(variable_id, owner())
        return empty_response()

    routes.add("/api/v1/variables/", list_variables, methods=["GET"], name="list_variables")
    routes.add("/api/v1/variables/", create, methods=["POST"], name="create_variable")
    routes.add("/api/v1/variables/<variable_id>", change, methods=["PATCH"], name="change_variable")
    routes.add("/api/v1/variables/<variable_id>", delete, methods=["DELETE"], name="delete_variable")
