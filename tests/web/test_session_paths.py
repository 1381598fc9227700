"""Session ids in paths are taken byte for byte."""

from urllib.parse import quote

import pytest

ODD = [
    "a",
    "a/",
    "/a",
    "//a",
    "a//b",
    "a/b",
    "/",
    "//",
    "%",
    "%2F",
    "a%2Fb",
    "%25",
    "100% of it",
    " ",
    " a ",
    ".",
    "..",
    "../sessions",
    "sessions",
    "a?b",
    "a#b",
    "a&b=c",
    "a+b",
    "\u0441\u0435\u0441\u0441\u0438\u044f \U0001f99c",
    "new\nline",
    "tab\t",
    "q'\"<>",
    "x" * 2000,
]


def address(session_id):
    return "/api/v1/monitor/messages/session/" + quote(session_id, safe="")


@pytest.fixture
def flow(each_site):
    return each_site.flow("ann")


def test_every_id_is_deleted_alone(each_site, flow):
    for session_id in ODD:
        each_site.say("ann", flow, "x", session_id)
    left = set(ODD)
    assert set(each_site.sessions("ann")) == left
    for session_id in ODD:
        each_site.ask("ann", "DELETE", address(session_id), 204)
        left.discard(session_id)
        assert set(each_site.sessions("ann")) == left, session_id


def test_every_id_is_renamed_alone(each_site, flow):
    for session_id in ODD:
        each_site.say("ann", flow, f"in {session_id}", session_id)
    for number, session_id in enumerate(ODD):
        moved = each_site.ask("ann", "PATCH", f"{address(session_id)}?new_session_id=moved-{number}")
        assert [message["text"] for message in moved] == [f"in {session_id}"] * 2
    assert set(each_site.sessions("ann")) == {f"moved-{number}" for number in range(len(ODD))}


def test_slashes_that_are_not_encoded_are_the_id_too(site):
    flow = site.flow("ann")
    for session_id in ("a", "/a", "a/b"):
        site.say("ann", flow, "x", session_id)
    site.ask("ann", "DELETE", "/api/v1/monitor/messages/session//a", 204)
    assert set(site.sessions("ann")) == {"a", "a/b"}
    site.ask("ann", "DELETE", "/api/v1/monitor/messages/session/a/b", 204)
    assert site.sessions("ann") == ["a"]


def test_a_path_is_not_decoded_twice(site):
    flow = site.flow("ann")
    site.say("ann", flow, "x", "a/b")
    site.ask("ann", "DELETE", "/api/v1/monitor/messages/session/a%252Fb", 204)
    assert site.sessions("ann") == ["a/b"]


def test_bytes_that_are_no_text_reach_no_session(site):
    flow = site.flow("ann")
    site.say("ann", flow, "x", "\ufffd")
    for method in ("DELETE", "PATCH"):
        raw = {"PATH_INFO": "/api/v1/monitor/messages/session/\xff", "REQUEST_METHOD": method}
        site.ask("ann", method, "/x?new_session_id=y", 400, environ_overrides=raw)
    assert site.sessions("ann") == ["\ufffd"]


def test_an_empty_id_is_no_session(site):
    assert site.call("ann", "DELETE", "/api/v1/monitor/messages/session/").status_code in (404, 405)


def test_an_id_in_the_query_is_found_however_it_is_encoded(site):
    flow = site.flow("ann")
    for session_id in ("100%25 of %2F", "100% of /"):
        site.say("ann", flow, session_id, session_id)
    for session_id in ("100%25 of %2F", "100% of /"):
        once = quote(session_id, safe="")
        assert site.texts("ann", f"?session_id={once}") == [session_id] * 2
    assert site.texts("ann", "?session_id=" + quote(quote("100% of /", safe=""), safe="")) == ["100% of /"] * 2
