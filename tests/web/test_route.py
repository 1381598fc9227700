"""Routes that are declared at their views: what is read, what is refused, and with which words."""

import pytest
from flask import Flask

from flowrunner.authority import OPEN
from flowrunner.errors import FlowRunnerError
from flowrunner.web.auth import RUNNER
from flowrunner.web.fields import Choice, Flag, Items, Number, Object, Text, Texts, Truth, Uuid, filter_text
from flowrunner.web.input import QueryReader
from flowrunner.web.json_io import json_response
from flowrunner.web.route import RouteGroup
from flowrunner.web.schemas import Body, Media

ID = "5f0c2d2e-8a36-4f0c-9a3d-6a1f3f1c0001"


class Wish(Body):
    name = Text(required=True, least=2)
    note = Text(allow_none=True)
    loud = Truth()
    extra = Object()
    labels = Texts()
    ids = Items(Uuid(), most=2)


QUERY = {
    "limit": Number("How many.", low=1, high=10, load_default=5),
    "all": Flag(),
    "view": Choice("ids", "summary", load_default="ids"),
    "flow_id": Uuid(),
    "q": filter_text("Words."),
    "name": Text(required=True),
}


@pytest.fixture
def ask(site):
    """Return a function that sends a request to a view with what it declares, and gives its answer or refusal."""
    app = Flask("declared")

    def send(declared, *, query="", **sent):
        routes = RouteGroup("wishes")

        @routes.post("/wish/<wish_id>", needs=OPEN, **declared)
        def wish(**values):
            """Make a wish."""
            return json_response(values)

        (route,) = routes
        environ = {RUNNER: site.runner}
        with app.test_request_context(f"/wish/{ID.upper()}?{query}", method="POST", environ_overrides=environ, **sent):
            try:
                return route.endpoint(wish_id=ID.upper()).get_json()
            except FlowRunnerError as error:
                return error.status, error.detail

    return send


def test_a_view_gets_what_it_declares(ask):
    assert ask({}) == {"wish_id": ID.upper()}
    assert ask({"path": {"wish_id": Uuid()}}) == {"wish_id": ID}
    got = ask({"query": QUERY}, query=f"name=a&all=ON&q=&flow_id={ID.upper()}&name=b&other=1")["query"]
    assert got == {"limit": 5, "all": True, "view": "ids", "flow_id": ID, "q": None, "name": "a"}
    sent = {"name": "ab", "note": None, "ids": [ID.upper()], "unknown": 1}
    assert ask({"body": Wish}, json=sent)["body"] == {"name": "ab", "note": None, "ids": [ID]}
    assert ask({"body": Items(Uuid())}, json=[ID])["body"] == [ID]
    assert ask({"body": Media({"text/plain": Text()})}, data=b"{") == {"wish_id": ID.upper()}


@pytest.mark.parametrize(
    ("query", "name", "kind", "context"),
    [
        ("", "name", "missing", None),
        ("name=a&limit=x", "limit", "int_parsing", None),
        ("name=a&limit=", "limit", "int_parsing", None),
        ("name=a&limit=0", "limit", "greater_than_equal", {"ge": 1}),
        ("name=a&limit=11", "limit", "less_than_equal", {"le": 10}),
        ("name=a&all=perhaps", "all", "bool_parsing", None),
        ("name=a&view=", "view", "enum", None),
        ("name=a&flow_id=x", "flow_id", "uuid_parsing", None),
    ],
    ids=["missing", "letters", "empty", "low", "high", "perhaps", "no-word", "no-uuid"],
)
def test_a_wrong_query_is_refused_where_it_is_wrong(ask, query, name, kind, context):
    status, (entry,) = ask({"query": QUERY}, query=query)
    assert (status, entry["type"], entry["loc"], entry.get("ctx")) == (422, kind, ["query", name], context)
    assert entry["msg"]


@pytest.mark.parametrize(
    ("body", "kind", "place"),
    [
        ({}, "missing", ["name"]),
        ({"name": None}, "string_type", ["name"]),
        ({"name": 5}, "string_type", ["name"]),
        ({"name": "a"}, "string_too_short", ["name"]),
        ({"name": "ab", "note": []}, "string_type", ["note"]),
        ({"name": "ab", "loud": "true"}, "bool_type", ["loud"]),
        ({"name": "ab", "loud": 1}, "bool_type", ["loud"]),
        ({"name": "ab", "extra": []}, "dict_type", ["extra"]),
        ({"name": "ab", "labels": ["a", 1]}, "list_type", ["labels"]),
        ({"name": "ab", "ids": "x"}, "list_type", ["ids"]),
        ({"name": "ab", "ids": [ID, 5]}, "uuid_parsing", ["ids", 1]),
        ([], "model_attributes_type", []),
        (5, "model_attributes_type", []),
    ],
    ids=str,
)
def test_a_wrong_body_is_refused_where_it_is_wrong(ask, body, kind, place):
    status, (entry,) = ask({"body": Wish}, json=body)
    assert (status, entry["type"], entry["loc"]) == (422, kind, ["body", *place])


def test_everything_that_is_wrong_is_told_at_once(ask):
    _, entries = ask({"body": Wish}, json={"loud": 5, "ids": ["x", "y"]})
    assert [entry["loc"] for entry in entries] == [
        ["body", "name"],
        ["body", "loud"],
        ["body", "ids", 0],
        ["body", "ids", 1],
    ]
    _, entries = ask({"query": QUERY}, query="limit=x&all=perhaps")
    assert [entry["loc"] for entry in entries] == [["query", "limit"], ["query", "all"], ["query", "name"]]


def test_no_body_is_refused_unless_none_is_needed(ask):
    assert ask({"body": Wish})[1] == [{"type": "missing", "loc": ["body"], "msg": "Field required"}]
    assert ask({"body": Items(Uuid())})[1][0]["loc"] == ["body"]

    class Empty(Body):
        note = Text()

    assert ask({"body": Empty, "body_required": False})["body"] == {}
    assert ask({"body": Empty}, data=b"x=1", content_type="application/x-www-form-urlencoded")[0] == 415


def test_too_long_a_list_is_refused(ask):
    assert ask({"body": Wish}, json={"name": "ab", "ids": [ID] * 3}) == (
        400,
        "The list has 3 items; at most 2 are allowed.",
    )


def test_a_route_says_what_it_does_and_which_errors_it_answers():
    routes = RouteGroup("wishes")

    @routes.get("/wishes", needs=OPEN, query=QUERY, answers={200: [Wish]}, errors=(409,))
    def list_wishes(query):
        """List wishes.

        The newest first.
        """

    (route,) = routes
    assert (route.name, route.tag, route.method) == ("list_wishes", "wishes", "GET")
    assert (route.summary, route.description, route.is_open) == ("List wishes", "The newest first.", True)
    assert route.statuses == {400, 409, 422, 500}


def test_a_route_must_say_what_its_caller_needs():
    routes = RouteGroup("wishes")
    with pytest.raises(TypeError, match="needs"):
        routes.get("/wishes")(lambda: None)


def test_no_query_is_parsed_where_there_is_none(site):
    with Flask("declared").test_request_context("/"):
        assert QueryReader({"limit": QUERY["limit"], "q": QUERY["q"]}).read() == {"limit": 5, "q": None}
