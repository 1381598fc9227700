"""Read and validate path, query and body of a request, as its route declares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from flask import request
from marshmallow import Schema, ValidationError, missing
from marshmallow.fields import Field
from werkzeug.datastructures import FileStorage
from werkzeug.routing import BaseConverter

from flowrunner.errors import BadRequest, RequestInvalid
from flowrunner.web.auth import this_request, this_runner
from flowrunner.web.fields import entries_of
from flowrunner.web.json_io import read_json, refuse_packed

Fields = Mapping[str, Field[Any]]
#: The name of the converter for session ids in paths.
SESSION_CONVERTER: Final = "flowrunner_session"


class SessionConverter(BaseConverter):
    """Matches the rest of a path, at least one character, with all slashes."""

    regex = r"(?s:.+)"
    weight = 200
    part_isolating = False


def add_session_converter(state: Any) -> None:
    """Register the converter with the app."""
    state.app.url_map.converters[SESSION_CONVERTER] = SessionConverter


def check_path() -> None:
    """Refuse a path that is not valid UTF-8: with replacement characters it could name another session.

    :raises BadRequest: if it is not valid.
    """
    try:
        request.environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise BadRequest("The path is not valid UTF-8.") from None


def refuse(entries: Sequence[Mapping[str, Any]]) -> RequestInvalid:
    """Return the error for an invalid request.

    :param entries: ``type``, ``loc`` and ``msg`` of each problem, as in ``detail`` of the answer.
    """
    first = entries[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    return RequestInvalid(f"{name}: {first['msg']}" if name else first["msg"], list(entries))


def invalid(place: Sequence[Any], kind: str, message: str, **context: Any) -> RequestInvalid:
    """Return the error for one invalid value, at a location such as ``("query", "limit")``."""
    return refuse([{"type": kind, "loc": list(place), "msg": message, **({"ctx": context} if context else {})}])


def read_values(where: str, fields: Fields, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the declared values of a path or query; None stands for one that is absent and has no default.

    :raises RequestInvalid: for what is missing or wrong, each with its place.
    """
    found: dict[str, Any] = {}
    wrong: list[dict[str, Any]] = []
    for name, field in fields.items():
        try:
            value = field.deserialize(given.get(name, missing), name)
        except ValidationError as error:
            wrong += entries_of(error, (where, name))
        else:
            found[name] = None if value is missing else value
    if wrong:
        raise refuse(wrong)
    return found


class QueryReader:
    """Reads the declared values of a query, as :func:`read_values`.

    :param fields: by the names of the values.
    """

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        #: What is read where there is no query, as in most requests; None where one is needed.
        self._nothing: Mapping[str, Any] | None = None
        if not any(field.required for field in fields.values()):
            self._nothing = MappingProxyType(read_values("query", fields, {}))

    def read(self) -> Mapping[str, Any]:
        """Return the values of the current request."""
        if this_request().environ.get("QUERY_STRING"):
            return read_values("query", self._fields, request.args)
        return read_values("query", self._fields, {}) if self._nothing is None else self._nothing


def read_body(schema: Schema | Field[Any], *, required: bool = True) -> Any:
    """Return the JSON body of the present request, checked.

    :param required: whether it is wrong to send none; else none counts as ``{}``.
    :raises RequestInvalid: for what is missing or wrong, each with its place.
    :raises FlowRunnerError: as :func:`~flowrunner.web.json_io.read_json`.
    """
    settings = this_runner().settings
    given = read_json(request, limit=settings.max_body, strict_type=settings.auth == "none", empty=missing)
    if given is missing:
        if required:
            raise invalid(("body",), "missing", "Field required")
        given = {}
    return check_body(schema, given)


def uploaded_file(limit: int) -> FileStorage:
    """Return the file of a form.

    :param limit: bytes that the whole form may have.
    :raises RequestInvalid: if it has none.
    :raises UnsupportedBody: for a form that is packed.
    """
    request.max_content_length = limit
    refuse_packed(request)
    given = request.files.get("file")
    if given is None:
        raise invalid(("body", "file"), "missing", "Field required")
    return given


def check_body(schema: Schema | Field[Any], given: Any) -> Any:
    """Validate a body that was read before.

    :raises RequestInvalid: for what is missing or wrong, each with its place.
    """
    try:
        if not isinstance(schema, Schema):
            return schema.deserialize(given)
        if not isinstance(given, dict):
            message = "Input should be a valid dictionary or object to extract fields from"
            raise invalid(("body",), "model_attributes_type", message)
        return schema.load(given)
    except ValidationError as error:
        raise refuse(entries_of(error, ("body",))) from None
