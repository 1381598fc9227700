"""The OpenAPI 3.1 description, put together from the routes that there are and what is said of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow.fields import Field

from flowrunner import __version__
from flowrunner.web.fields import Text
from flowrunner.web.openapi import operations, operations_of_flows
from flowrunner.web.openapi.operation import BODY, CALLER, OWNER, TEXT, ListOf, Media, Operation
from flowrunner.web.route import ListOf as ManyOf
from flowrunner.web.route import Media as MediaTypes
from flowrunner.web.route import Route
from flowrunner.web.schemas import Error

#: What is said of each route, by its name.
OPERATIONS: Final[Mapping[str, Operation]] = {
    **operations_of_flows.SERVICE,
    **operations_of_flows.RUNS,
    **operations_of_flows.FLOWS,
    **operations_of_flows.SHOWING,
    **operations.MESSAGES,
    **operations.RECORDS,
    **operations.KEYS,
    **operations.FILES,
}

_PARAMETER: Final = re.compile(r"<(?:[^:<>]+:)?([a-z_]+)>")
#: The header of a list that says where it goes on.
NEXT_CURSOR: Final = "X-Next-Cursor"
_NEXT: Final = "The cursor of the next page, if there is one."
_ABOUT: Final = (
    "Run component graphs, and see and manage the conversations that they keep. Everything is bound to the owner"
    " of the API key; what is another owner's answers as if it were not there."
)
_SENTENCES: Final = {
    400: "What is asked contradicts itself or names what it may not.",
    401: "The bearer token is no key.",
    403: "No key, an unknown one, or one that may not do this.",
    404: "It is not there, or not the caller's.",
    405: "The path takes other methods.",
    409: "It is busy, or contradicts what is stored.",
    413: "The body is too large.",
    415: "The body is of a type that is not read here.",
    422: "Something in path, query or body is wrong; detail says where.",
    429: "The caller does more at a time, or in an hour, than one caller may; Retry-After says when to try again.",
    499: "The run was stopped.",
    500: "It failed; detail is one plain sentence.",
    503: "The server is too busy, or a store does not answer.",
    504: "The run took too long.",
}


def build_document(
    routes: Iterable[tuple[str, str, str]], declared: Mapping[str, Route], *, server: str = ""
) -> dict[str, Any]:
    """Return the description of routes.

    :param routes: rule, method and name of each; those of which nothing is said are left out.
    :param declared: the routes that say everything themselves, by name.
    :param server: the address below which the paths lie.
    """
    spec = APISpec(
        title="flowrunner",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[plugin := MarshmallowPlugin()],
        info={"description": _ABOUT},
        servers=[{"url": server or "/"}],
    )
    spec.components.security_scheme("key", {"type": "apiKey", "in": "header", "name": "x-api-key"})
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    paths: dict[str, dict[str, Any]] = {}
    of_routes = _OfRoutes(plugin)
    for rule, method, name in routes:
        if name in declared:
            path = _PARAMETER.sub(r"{\1}", rule)
            paths.setdefault(path, {})[method.lower()] = of_routes.describe(declared[name])
            continue
        operation = OPERATIONS.get(name)
        if operation is not None:
            path = _PARAMETER.sub(r"{\1}", rule)
            paths.setdefault(path, {})[method.lower()] = _describe(name, operation, _PARAMETER.findall(rule))
    for path, described in paths.items():
        spec.path(path, operations=described)
    document: dict[str, Any] = spec.to_dict()
    return document


class _OfRoutes:
    """Describes routes, as they are declared at their views."""

    def __init__(self, plugin: MarshmallowPlugin) -> None:
        self._plugin = plugin

    def describe(self, route: Route) -> dict[str, Any]:
        """Return the OpenAPI operation of a route."""
        parameters = [
            self._parameter(name, "path", route.path.get(name, Text()), required=True)
            for name in _PARAMETER.findall(route.rule)
        ]
        parameters += [self._parameter(n, "query", f, required=f.required) for n, f in route.query.items()]
        shown: dict[str, Any] = {"operationId": route.name, "summary": route.summary, "tags": [route.tag]}
        if route.description:
            shown["description"] = route.description
        if not route.is_open:
            parameters.append(OWNER.to_json())
        shown["security"] = [] if route.is_open else [{"key": []}, {"bearer": []}]
        if route.body is not None:
            shown["requestBody"] = {"required": route.body_required, "content": self._content(route.body)}
        return {**shown, "parameters": parameters, "responses": self._answers(route)}

    def _parameter(self, name: str, where: str, field: Any, *, required: bool) -> dict[str, Any]:
        schema = self._plugin.converter.field2property(field)  # type: ignore[union-attr]
        about = schema.pop("description", None)
        shown = {"name": name, "in": where, "required": required, "schema": schema}
        return {**shown, "description": about} if about else shown

    def _answers(self, route: Route) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        for status in sorted({*route.statuses, *route.answers}):
            schema = route.answers.get(status, Error)
            answer: dict[str, Any] = {"description": _SENTENCES.get(status, "Done.")}
            if schema is not None:
                answer["content"] = self._content(schema)
            if route.pages and status == 200:
                answer["headers"] = {NEXT_CURSOR: {"schema": {"type": "string"}, "description": _NEXT}}
            answers[str(status)] = answer
        return answers

    def _content(self, schema: Any) -> dict[str, Any]:
        content = schema.content if isinstance(schema, MediaTypes) else {"application/json": schema}
        return {kind: {"schema": self._plain(inner)} for kind, inner in content.items()}

    def _plain(self, schema: Any) -> Any:
        """Return a schema as apispec takes it: JSON, with marshmallow classes in it."""
        if isinstance(schema, Field):
            return self._plugin.converter.field2property(schema)  # type: ignore[union-attr]
        if isinstance(schema, ManyOf):
            return {"type": "array", "items": self._plain(schema.item)}
        if isinstance(schema, Mapping):
            return {key: [self._plain(i) for i in value] if key == "anyOf" else value for key, value in schema.items()}
        return schema


def _describe(name: str, operation: Operation, parameters: Iterable[str]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "operationId": name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [
            {"name": p, "in": "path", "required": True, "schema": dict(operation.paths.get(p, TEXT))}
            for p in parameters
        ],
        "responses": _answers(operation),
    }
    shown["parameters"] += [query.to_json() for query in operation.query]
    if operation.open:
        shown["security"] = []
    else:
        shown["security"] = [{"key": []}, {"bearer": []}]
        shown["parameters"].append(OWNER.to_json())
    if operation.body is not None:
        shown["requestBody"] = {"required": operation.body_required, "content": _content(operation.body)}
    return shown


def _answers(operation: Operation) -> dict[str, Any]:
    statuses = set(operation.errors) | {400, 500}
    if not operation.open:
        statuses |= set(CALLER)
    if operation.body is not None:
        statuses |= set(BODY)
    answers: dict[str, Any] = {}
    for status in sorted(statuses | set(operation.answers)):
        schema = operation.answers.get(status, Error)
        answer: dict[str, Any] = {"description": _SENTENCES.get(status, "Done.")}
        if schema is not None:
            answer["content"] = _content(schema)
        if operation.cursor and status == 200:
            answer["headers"] = {
                "X-Next-Cursor": {"schema": dict(TEXT), "description": "The cursor of the next page, if there is one."}
            }
        answers[str(status)] = answer
    return answers


def _content(schema: Any) -> dict[str, Any]:
    content = schema.content if isinstance(schema, Media) else {"application/json": schema}
    return {kind: {"schema": _plain(inner)} for kind, inner in content.items()}


def _plain(schema: Any) -> Any:
    """Return a schema as apispec takes it: JSON, with marshmallow classes in it."""
    if isinstance(schema, ListOf):
        bounds = {} if schema.most is None else {"maxItems": schema.most}
        return {"type": "array", "items": _plain(schema.item), **bounds}
    if isinstance(schema, Mapping):
        return {key: [_plain(i) for i in value] if key == "anyOf" else value for key, value in schema.items()}
    return schema
