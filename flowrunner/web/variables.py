"""The variables API: values and credentials that flows refer to by name."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from flowrunner.authority import AUTHOR
from flowrunner.store.variables import VARIABLE_TYPES
from flowrunner.web.auth import stores
from flowrunner.web.fields import Text, Texts
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.schemas import Body, Open, answer

routes = RouteGroup("variables")


#: A variable; the value of a credential is never shown.
Variable: Final = answer(
    "Variable", Open, id=UUID, name=str, type=str, value=str | None, has_value=bool, default_fields=[str]
)


class NewVariable(Body):
    """A variable to store."""

    name = Text(required=True)
    value = Text(required=True)
    type = Text(required=True, json={"enum": list(VARIABLE_TYPES)})
    default_fields = Texts(required=True, allow_none=True)


class VariableChanges(Body):
    """The members of a variable to change; null leaves a member unchanged."""

    name = Text(allow_none=True)
    value = Text(allow_none=True)
    type = Text(allow_none=True, json={"enum": [*VARIABLE_TYPES, None]})
    default_fields = Texts(allow_none=True)


@routes.get("/api/v1/variables/", needs=AUTHOR, answers={200: [Variable]})
def list_variables() -> list[dict[str, Any]]:
    """List the caller's variables; the values of credentials are not shown."""
    return [variable.to_json() for variable in stores().variables.list()]


@routes.post("/api/v1/variables/", needs=AUTHOR, body=NewVariable, answers={201: Variable})
def create_variable(body: Input) -> dict[str, Any]:
    """Store a variable; its value is encrypted."""
    return stores().variables.create(**{**body, "default_fields": body["default_fields"] or ()}).to_json()


@routes.patch("/api/v1/variables/<variable_id>", needs=AUTHOR, body=VariableChanges, answers={200: Variable})
def change_variable(variable_id: str, body: Input) -> dict[str, Any]:
    """Change a variable."""
    return stores().variables.update(variable_id, body).to_json()


@routes.delete("/api/v1/variables/<variable_id>", needs=AUTHOR, answers={204: None})
def delete_variable(variable_id: str) -> None:
    """Delete a variable."""
    stores().variables.delete(variable_id)
