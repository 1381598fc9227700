"""Declare a route at its view: the permission, the input and the answers.

The validation of input, the OpenAPI description and the table in docs/api.md are derived from this::

    routes = RouteGroup("variables")


    @routes.post("/api/v1/variables/", needs=AUTHOR, body=NewVariable, answers={201: Variable})
    def create_variable(body: Input) -> dict[str, Any]:
        \"\"\"Store a variable.\"\"\"
        return stores().variables.create(**body).to_json()

A view returns the JSON of its answer, or as in Flask a tuple with a status, headers or both. The default status is
the first declared one. For other content types, a view returns a response object.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partialmethod
from typing import Any, Final, TypeAlias

from flask import Response
from marshmallow import Schema
from marshmallow.fields import Field

from flowrunner.authority import Need
from flowrunner.web.input import QueryReader, read_body, read_values
from flowrunner.web.json_io import JSON, json_response
from flowrunner.web.schemas import Media

Input: TypeAlias = Mapping[str, Any]
View: TypeAlias = Callable[..., Any]
_Declaring: TypeAlias = "partialmethod[Callable[[View], View]]"

_VALUE: Final = re.compile(r"<(?:[^:<>]+:)?([a-z_]+)>")
#: The error statuses of all routes that need a caller, and of all routes with a body.
_OF_CALLERS: Final = frozenset({401, 403, 404, 429, 503})
_OF_BODIES: Final = frozenset({413, 415, 422})


@dataclass(frozen=True)
class Route:
    """A route of the API.

        :param name: the endpoint within the blueprint; the ``operationId`` in the description.
    :param needs: the permission that a caller needs; see :mod:`flowrunner.authority`.
    :param tag: its heading in the description; routes without one, such as pages, are left out.
    :param path: the fields of path values, except those that are any text.
    :param query: the fields of the query, passed to the view as ``query``.
    :param headers: headers that the view reads itself, for the description.
    :param body: the schema of a JSON body, or a field such as :class:`~flowrunner.web.fields.Items`. The view
        gets what is read as ``body``; a :class:`Media` it reads itself.
    :param body_required: whether a request without a body is refused; otherwise it counts as ``{}``.
    :param answers: the schema of each answer by its status, ``[schema]`` for a list, None for an empty one.
    :param errors: further error statuses; see :mod:`flowrunner.web.openapi.document`.
    :param deprecated: whether another route replaces it.
    :param pages: whether answers have a cursor in ``X-Next-Cursor``.
    """

    rule: str
    method: str
    view: View
    name: str
    needs: Need
    tag: str = ""
    path: Mapping[str, Field[Any]] = field(default_factory=dict)
    query: Mapping[str, Field[Any]] = field(default_factory=dict)
    headers: Mapping[str, Field[Any]] = field(default_factory=dict)
    body: type[Schema] | Field[Any] | Media | None = None
    body_required: bool = True
    answers: Mapping[int, Any] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    pages: bool = False
    deprecated: bool = False

    @property
    def summary(self) -> str:
        """The first line of the view's docstring."""
        return (inspect.getdoc(self.view) or "").partition("\n")[0].rstrip(".")

    @property
    def description(self) -> str:
        """The rest of the view's docstring."""
        return (inspect.getdoc(self.view) or "").partition("\n")[2].strip()

    @property
    def values(self) -> list[str]:
        """The names of the values in the path."""
        return _VALUE.findall(self.rule)

    @property
    def shown_rule(self) -> str:
        """The path in OpenAPI syntax: ``/flows/{flow_id}``."""
        return _VALUE.sub(r"{\1}", self.rule)

    @property
    def is_open(self) -> bool:
        """Whether it needs no key."""
        return self.needs.capability is None

    @property
    def statuses(self) -> frozenset[int]:
        """The statuses of possible errors."""
        found = {400, 500, *self.errors}
        if not self.is_open:
            found |= _OF_CALLERS
        if self.body is not None:
            found |= _OF_BODIES
        if self.path or self.query:
            found.add(422)
        return frozenset(found)

    @cached_property
    def endpoint(self) -> Callable[..., Response]:
        """The function that Flask calls: reads the input, calls the view and converts its answer."""
        view, path = self.view, self.path
        query = QueryReader(self.query) if self.query else None
        schema = self.body() if isinstance(self.body, type) else self.body
        schema = None if isinstance(schema, Media) else schema
        status = next(iter(self.answers), 200)

        def respond(**values: Any) -> Response:
            if path:
                values.update(read_values("path", path, values))
            if query is not None:
                values["query"] = query.read()
            if schema is not None:
                values["body"] = read_body(schema, required=self.body_required)
            given = view(**values)
            return given if isinstance(given, Response) else _make_answer(given, status)

        return respond


def _make_answer(given: Any, status: int) -> Response:
    headers: Mapping[str, str] = {}
    if isinstance(given, tuple):
        given, *rest = given
        for one in rest:
            if isinstance(one, int):
                status = one
            else:
                headers = one
    # Without an explicit content type, an empty answer would have Flask's default, HTML.
    empty = given is None
    answer = Response(status=204, content_type=JSON) if empty else json_response(given, status)
    answer.headers.update(headers)
    return answer


class RouteGroup(list[Route]):
    """A group of routes, in the order of declaration.

    :param tag: the heading in the description; empty for pages, which are left out.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag

    def route(self, rule: str, method: str, *, name: str = "", **declared: Any) -> Callable[[View], View]:
        """Declare a route.

        :param name: the name of the route; default: that of the view.
        :param declared: members of :class:`Route`, including ``needs``.
        """

        def declare(view: View) -> View:
            found = Route(rule=rule, method=method, view=view, name=name or view.__name__, tag=self.tag, **declared)
            self.append(found)
            return view

        return declare

    #: Declare a route for one method.
    get: _Declaring = partialmethod(route, method="GET")
    post: _Declaring = partialmethod(route, method="POST")
    put: _Declaring = partialmethod(route, method="PUT")
    patch: _Declaring = partialmethod(route, method="PATCH")
    delete: _Declaring = partialmethod(route, method="DELETE")
