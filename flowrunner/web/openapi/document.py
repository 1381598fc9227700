"""The OpenAPI 3.1 description, generated from the declarations of routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow.fields import Field

from flowrunner import __version__
from flowrunner.web.fields import Text
from flowrunner.web.pages import NEXT_CURSOR
from flowrunner.web.route import Route
from flowrunner.web.schemas import Error, Media

_NEXT: Final = "The cursor of the next page, if there is one."
#: The parameter of all routes that need a caller.
_OWNER: Final = Text("The owner to act as; for admin keys only. Also as the header X-Flowrunner-Owner.")
_ABOUT: Final = (
    "Run component graphs, and read and manage the conversations that they store. All data belongs to the owner of"
    " the API key; requests for data of other owners are answered with 404."
)
_SENTENCES: Final = {
    400: "The request contradicts itself, or refers to something that it may not use.",
    401: "The bearer token is not a valid key.",
    403: "The key is missing, unknown, or not allowed to do this.",
    404: "Not found, or not the caller's.",
    405: "Method not allowed.",
    409: "The session is busy, or the request conflicts with stored data.",
    410: "The request with this Idempotency-Key was completed, but its answer was not kept.",
    413: "The body is too large.",
    415: "The content type of the body is not supported.",
    422: "A value in the path, the query or the body is not valid; detail says which.",
    429: "Too many requests at once or per hour; Retry-After says when to try again.",
    499: "The run was cancelled.",
    500: "The run or the request failed; detail says why.",
    503: "The server is too busy, or a store is unavailable.",
    504: "The run timed out.",
}


def build_document(routes: Iterable[Route], *, server: str = "") -> dict[str, Any]:
    """Return the description of all routes with a tag.

    :param server: the base address of the paths.
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
    operations = _Operations(plugin)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.tag:
            paths.setdefault(route.shown_rule, {})[route.method.lower()] = operations.describe(route)
    for path, described in paths.items():
        spec.path(path, operations=described)
    document: dict[str, Any] = spec.to_dict()
    return document


class _Operations:
    """Describes routes from their declarations."""

    def __init__(self, plugin: MarshmallowPlugin) -> None:
        self._plugin = plugin

    def describe(self, route: Route) -> dict[str, Any]:
        """Return the OpenAPI operation of a route."""
        parameters = [
            self._parameter(name, "path", route.path.get(name, Text()), required=True) for name in route.values
        ]
        parameters += [self._parameter(n, "query", f, required=f.required) for n, f in route.query.items()]
        parameters += [self._parameter(n, "header", f, required=False) for n, f in route.headers.items()]
        shown: dict[str, Any] = {"operationId": route.name, "summary": route.summary, "tags": [route.tag]}
        if route.deprecated:
            shown["deprecated"] = True
        if route.description:
            shown["description"] = route.description
        if not route.is_open:
            parameters.append(self._parameter("owner", "query", _OWNER, required=False))
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
        content = schema.content if isinstance(schema, Media) else {"application/json": schema}
        return {kind: {"schema": self._plain(inner)} for kind, inner in content.items()}

    def _plain(self, schema: Any) -> Any:
        """Return a schema in the form for apispec: JSON with marshmallow classes in it."""
        if isinstance(schema, Field):
            return self._plugin.converter.field2property(schema)  # type: ignore[union-attr]
        if isinstance(schema, list):
            return {"type": "array", "items": self._plain(schema[0])}
        if isinstance(schema, Mapping):
            return {key: [self._plain(i) for i in value] if key == "anyOf" else value for key, value in schema.items()}
        return schema
