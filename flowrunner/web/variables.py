"""The variables API: values and credentials that flows refer to by name."""

from __future__ import annotations

from flask import Response
from marshmallow import fields

from flowrunner.authority import AUTHOR
from flowrunner.store.bound import VariablesOfCaller
from flowrunner.store.variables import VARIABLE_TYPES
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.fields import Text, Texts
from flowrunner.web.json_io import empty_response, json_response
from flowrunner.web.route import Input, ListOf, RouteGroup
from flowrunner.web.schemas import Body, Open

routes = RouteGroup("variables")


class Variable(Open):
    """A variable; the value of a credential is never shown."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    type = fields.String(required=True)
    value = fields.String(required=True, allow_none=True)
    has_value = fields.Boolean(required=True)
    default_fields = fields.List(fields.String(), required=True)


class NewVariable(Body):
    """A variable to store."""

    name = Text(required=True)
    value = Text(required=True)
    type = Text(required=True, json={"enum": list(VARIABLE_TYPES)})
    default_fields = Texts(required=True, allow_none=True)


class VariableChanges(Body):
    """Members of a variable that are to be changed; null leaves one as it is."""

    name = Text(allow_none=True)
    value = Text(allow_none=True)
    type = Text(allow_none=True, json={"enum": [*VARIABLE_TYPES, None]})
    default_fields = Texts(allow_none=True)


@routes.get("/api/v1/variables/", needs=AUTHOR, answers={200: ListOf(Variable)})
def list_variables() -> Response:
    """List the caller's variables; the values of credentials are not shown."""
    return json_response([variable.to_json() for variable in _variables().list()])


@routes.post("/api/v1/variables/", needs=AUTHOR, body=NewVariable, answers={201: Variable})
def create_variable(body: Input) -> Response:
    """Store a variable, encrypted."""
    return json_response(_variables().create(**{**body, "default_fields": body["default_fields"] or ()}).to_json(), 201)


@routes.patch("/api/v1/variables/<variable_id>", needs=AUTHOR, body=VariableChanges, answers={200: Variable})
def change_variable(variable_id: str, body: Input) -> Response:
    """Change a variable."""
    return json_response(_variables().update(variable_id, body).to_json())


@routes.delete("/api/v1/variables/<variable_id>", needs=AUTHOR, answers={204: None})
def delete_variable(variable_id: str) -> Response:
    """Delete a variable."""
    _variables().delete(variable_id)
    return empty_response()


def _variables() -> VariablesOfCaller:
    return this_runner().stores_of(caller()).variables
