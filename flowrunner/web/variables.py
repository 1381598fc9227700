"""The variables API: names that flows hold instead of values."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from flowrunner.authority import AUTHOR
from flowrunner.store.bound import VariablesOfCaller
from flowrunner.web.auth import caller
from flowrunner.web.blueprint import Routes
from flowrunner.web.jsons import empty_response, json_response, read_object
from flowrunner.web.parameters import invalid


def add_variable_routes(routes: Routes) -> None:
    """Add ``/api/v1/variables/``. The value of a credential goes in and is never shown."""
    runner = routes.runner

    def own() -> VariablesOfCaller:
        return runner.stores_of(caller()).variables

    def body() -> Any:
        return read_object(request, limit=runner.settings.max_body, strict_type=runner.settings.auth == "none")

    def list_variables() -> Response:
        return json_response([variable.to_json() for variable in own().list()])

    def create() -> Response:
        given = body()
        for name in ("name", "value", "type", "default_fields"):
            if name not in given:
                raise invalid(("body", name), "missing", "Field required")
        for name in ("name", "value", "type"):
            if given[name] is None:
                raise invalid(("body", name), "string_type", "Input should be a valid string")
        made = own().create(
            given["name"], given["value"], type=given["type"], default_fields=given["default_fields"] or ()
        )
        return json_response(made.to_json(), 201)

    def change(variable_id: str) -> Response:
        return json_response(own().update(variable_id, body()).to_json())

    def delete(variable_id: str) -> Response:
        own().delete(variable_id)
        return empty_response()

    routes.add("/api/v1/variables/", list_variables, methods=["GET"], name="list_variables", needs=AUTHOR)
    routes.add("/api/v1/variables/", create, methods=["POST"], name="create_variable", needs=AUTHOR)
    routes.add("/api/v1/variables/<variable_id>", change, methods=["PATCH"], name="change_variable", needs=AUTHOR)
    routes.add("/api/v1/variables/<variable_id>", delete, methods=["DELETE"], name="delete_variable", needs=AUTHOR)
