"""Declare a route at its view: who may call it, what it takes, what it answers.

From there come the reading and refusing of input, the OpenAPI description and the table in docs/api.md::

    routes = RouteGroup("variables")


    @routes.post("/api/v1/variables/", needs=AUTHOR, body=NewVariable, answers={201: Variable})
    def create_variable(body: Input) -> dict[str, Any]:
        \"\"\"Store a variable.\"\"\"
        return stores().variables.create(**body).to_json()

A view returns the JSON of its answer, or as in Flask a tuple of it with another status, headers or both. The status
is the first that is declared unless it says otherwise. What is not JSON it returns as a response of its own.
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
#: Statuses of errors of every route that wants a caller, and of every route that takes a body.
_OF_CALLERS: Final = frozenset({401, 403, 404, 429, 503})
_OF_BODIES: Final = frozenset({413, 415, 422})


@dataclass(frozen=True)
class Route:
    """A route of the API.

    :param name: the endpoint, within the blueprint; the ``operationId`` of the description.
    :param needs: what a caller must be allowed; see :mod:`flowrunner.authority`.
    :param tag: the heading under which the description lists it; one without is left out, such as a page.
    :param path: fields of the path's values that are not just any text.
    :param query: fields of the query. The view gets them as ``query``.
    :param headers: headers that the view reads by itself, for the description.
    :param body: the schema of a JSON body, or a field such as :class:`~flowrunner.web.fields.Items`. The view
        gets what is read as ``body``; a :class:`Media` it reads itself.
    :param body_required: whether a request without a body is refused; else it counts as ``{}``.
    :param answers: the schema of each answer by its status, ``[schema]`` for a list, None for an empty one.
    :param errors: statuses of errors that the rest does not tell; see :mod:`flowrunner.web.openapi.document`.
    :param deprecated: whether another route has taken its place.
    :param pages: whether an answer may say in ``X-Next-Cursor`` where its list goes on.
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
        """What it does, in one line: the first of the view's docstring."""
        return (inspect.getdoc(self.view) or "").partition("\n")[0].rstrip(".")

    @property
    def description(self) -> str:
        """What else there is to say: the rest of the view's docstring."""
        return (inspect.getdoc(self.view) or "").partition("\n")[2].strip()

    @property
    def values(self) -> list[str]:
        """The names of the values in its path."""
        return _VALUE.findall(self.rule)

    @property
    def shown_rule(self) -> str:
        """Its path as documents write it: ``/flows/{flow_id}``."""
        return _VALUE.sub(r"{\1}", self.rule)

    @property
    def is_open(self) -> bool:
        """Whether it answers without a key."""
        return self.needs.capability is None

    @property
    def statuses(self) -> frozenset[int]:
        """Statuses of the errors that it may answer."""
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
        """The function that Flask calls: the view, between what is read of a request and its answer."""
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
    # Without a content type of our own an empty one would have Flask's, of a page.
    empty = given is None
    answer = Response(status=204, content_type=JSON) if empty else json_response(given, status)
    answer.headers.update(headers)
    return answer


class RouteGroup(list[Route]):
    """Routes that belong together, in the order in which they are declared.

    :param tag: the heading under which the description lists them; empty for pages, which it leaves out.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag

    def route(self, rule: str, method: str, *, name: str = "", **declared: Any) -> Callable[[View], View]:
        """Declare a route.

        :param name: its name; that of the view by default.
        :param declared: members of :class:`Route`. ``needs`` must be among them.
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
