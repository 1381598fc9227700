"""Holding every answer that a test gets against the description of the API."""

from functools import cache

import jsonschema_rs
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.exceptions import HTTPException

_KEPT = "described"
_documents = {}


def document_of(app):
    """Return the description that an app serves; all apps of one set of routes serve the same."""
    if _KEPT not in app.extensions:
        endpoints = frozenset(rule.endpoint for rule in app.url_map.iter_rules())
        if endpoints not in _documents:
            _documents[endpoints] = _Described(app.test_client().get("/openapi.json").get_json())
        app.extensions[_KEPT] = _documents[endpoints]
    return app.extensions[_KEPT]


class _Described:
    def __init__(self, document):
        self.document = document
        self.operations = {o["operationId"]: o for path in document["paths"].values() for o in path.values()}
        self.validator = cache(self._validator)

    def _validator(self, name, status, kind):
        schema = self.operations[name]["responses"][status]["content"][kind]["schema"]
        return _Shape({**schema, "components": self.document["components"]})


class _Shape:
    """A schema, held against answers by a validator in Rust; what that one refuses or cannot read, Python's explains.

    Thousands of answers are checked, and validating in Python would be a tenth of what their tests take.
    """

    def __init__(self, schema):
        self._quick = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        self._schema = schema

    def validate(self, value):
        try:
            if self._quick.is_valid(value):
                return
        except ValueError:
            # A number, text or depth that the other language has not.
            pass
        Draft202012Validator(self._schema, format_checker=FormatChecker()).validate(value)


def check_answer(app, answer):
    """Fail if an answer of a documented operation has a status, a type or a shape that is not documented."""
    request = answer.request
    try:
        endpoint, _ = app.url_map.bind_to_environ(request.environ).match()
    except HTTPException:
        return
    name = endpoint.rsplit(".", 1)[-1]
    described = document_of(app)
    if name not in described.operations or request.method in ("OPTIONS", "HEAD"):
        return
    what = f"{request.method} {request.path} ({name}) answered {answer.status_code}"
    responses = described.operations[name]["responses"]
    assert str(answer.status_code) in responses, f"{what}, which is not documented"
    content = responses[str(answer.status_code)].get("content")
    if content is None:
        assert answer.data == b"", f"{what} with a body, which is not documented"
        return
    assert answer.mimetype in content, f"{what} as {answer.mimetype}, which is not documented"
    if answer.mimetype == "application/json":
        described.validator(name, str(answer.status_code), "application/json").validate(answer.get_json())
