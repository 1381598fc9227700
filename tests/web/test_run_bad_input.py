"""Bad input of the run endpoint: each kind has its status and a body that says what and where; nothing is stored."""

from __future__ import annotations

import io
import json
import logging
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowrunner.identity import LOCAL_IDENTITY, Identity
from flowrunner.store.keys import owner_of_user
from tests.web.site import echo_flow, open_site

RUN = "/api/v1/run/echo"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One site for all that is refused, since it leaves nothing behind."""
    with open_site(tmp_path_factory.mktemp("shared")) as site:
        site.add_user("ann")
        site.add_user("bob")
        site.flow("ann", echo_flow())
        yield site


@pytest.fixture
def quiet(shared, caplog):
    """The site; at the end nothing is stored and no traceback was sent or logged."""
    before = shared.ask("ann", "GET", "/api/v1/runs")["items"]
    with caplog.at_level(logging.INFO):
        yield shared
    stored = shared.messages("ann")
    shared.ask("ann", "DELETE", "/api/v1/monitor/messages", 204, json=[message["id"] for message in stored])
    assert stored == []
    assert shared.ask("ann", "GET", "/api/v1/runs")["items"] == before
    assert "Traceback" not in caplog.text


def _refused(answer, status, code):
    body = answer.get_json()
    assert (answer.status_code, body["code"]) == (status, code), answer.get_data(as_text=True)
    assert "Traceback" not in answer.get_data(as_text=True)
    return body["detail"]


def _post(site, data, kind="application/json", path=RUN, user="ann"):
    return site.call(user, "POST", path, data=data, headers={"Content-Type": kind} if kind else {})


WRONG_TYPES = {
    "input_value": [1, 1.5, True, [], {}, ["x"], {"text": "x"}],
    "session_id": [0, 1, False, [], {}],
    "input_type": [1, [], "Chat", "chats", "none", " chat"],
    "output_type": [1, {}, "CHAT", "all"],
    "output_component": [1, [], {}],
    "tweaks": [1, "x", [], ["a"], True],
    "user_id": [1, {}],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, v) for name, values in WRONG_TYPES.items() for v in values], ids=str
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["", "wrapped"])
def test_a_member_of_the_wrong_type_is_named(quiet, name, value, wrapped):
    body = {"input_value": "hi", name: value}
    body = {"input_request": body} if wrapped else body
    (entry,) = _refused(_post(quiet, json.dumps(body)), 422, "request_invalid")
    assert entry["loc"] == ["body", name]
    assert entry["type"]
    assert entry["msg"]


def test_several_wrong_members_are_all_named(quiet):
    found = _refused(_post(quiet, '{"input_value": 1, "tweaks": [], "output_type": "x"}'), 422, "request_invalid")
    assert sorted(entry["loc"][1] for entry in found) == ["input_value", "output_type", "tweaks"]


@pytest.mark.parametrize("body", ["[]", "[1, 2]", '"text"', "1", "1.5", "true", "false"])
def test_a_body_that_is_no_object(quiet, body):
    (entry,) = _refused(_post(quiet, body), 422, "request_invalid")
    assert entry["loc"] == ["body"]


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "}",
        '{"input_value": }',
        "{'input_value': 'x'}",
        '{"input_value": "x",}',
        "nothing",
        '{"a": 1} x',
        '{"a": "\x01"}',
        '{"input_value": "' + "x" * 100,
        "\x00",
    ],
)
def test_broken_json_says_where(quiet, body):
    (entry,) = _refused(_post(quiet, body), 422, "request_invalid")
    assert entry["type"] == "json_invalid"
    assert entry["loc"][0] == "body"
    assert 0 <= entry["loc"][1] <= len(body)


@pytest.mark.parametrize("body", ['{"a": NaN}', '{"a": Infinity}', '{"a": 1e999}', '{"a": ' + "9" * 5000 + "}"])
def test_numbers_that_are_none(quiet, body):
    (entry,) = _refused(_post(quiet, body), 422, "request_invalid")
    assert entry["loc"] == ["body"]


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"tweaks":{"a":['])
def test_json_that_is_nested_too_deeply(quiet, opening):
    assert _post(quiet, opening * 200_000).status_code == 422
    closing = {"[": "]", '{"a":': "}"}.get(opening)
    if closing:
        assert _post(quiet, opening * 100_000 + "1" + closing * 100_000).status_code == 422


def test_tweaks_that_are_nested_deeply(site):
    """As deep as a body may be, they are ignored or refused, and any deeper refused, but harm nothing."""
    site.flow("ann", echo_flow())
    for levels, statuses in ((198, (200, 422)), (199, (422,)), (330, (422,)), (900, (422,))):
        value = '{"a":' * levels + "1" + "}" * levels
        for name in ("nobody", "ChatInput-a", "sender_name"):
            answer = _post(site, f'{{"tweaks": {{"{name}": {value}}}}}')
            assert answer.status_code in statuses, answer.get_data(as_text=True)[:300]
            if levels > 198:
                entry = answer.get_json()["detail"][0]
                assert (entry["type"], entry["loc"]) == ("json_invalid", ["body"])
                assert "nested" in entry["msg"]


@pytest.mark.parametrize(
    "data", [b"\xff", b'{"input_value": "\xff\xfe"}', '{"input_value": "ä"}'.encode("latin-1"), "{}".encode("utf-16")]
)
def test_bytes_that_are_not_utf8(quiet, data):
    assert _refused(_post(quiet, data), 400, "bad_request") == "There was an error parsing the body"


@pytest.mark.parametrize("text", [r"\ud800", r"\udc00 x", r"\ud83d\ud83d", r"\ude00\ud83d"])
@pytest.mark.parametrize("place", ['{"input_value": "%s"}', '{"session_id": "%s"}', '{"tweaks": {"%s": 1}}'])
def test_half_of_a_surrogate_pair(quiet, text, place):
    (entry,) = _refused(_post(quiet, place % text), 422, "request_invalid")
    assert entry["type"] == "string_unicode"


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "application/xml", "image/png", "text/html", "nonsense", "a/b/c;;="]
)
def test_another_content_type(quiet, kind):
    assert "application/json" in _refused(_post(quiet, '{"input_value": "x"}', kind), 415, "unsupported_body")


def test_a_multipart_body_whose_tweaks_are_no_json(quiet):
    answer = quiet.call(
        "ann", "POST", RUN, data={"input_value": "x", "tweaks": "{"}, content_type="multipart/form-data"
    )
    assert answer.status_code == 422


@pytest.mark.parametrize("query", ["stream=maybe", "envelope=2.0", "stream=", "stream=2"])
def test_a_query_that_is_wrong(quiet, query):
    answer = _post(quiet, '{"input_value": "hi"}', path=f"{RUN}?{query}")
    found = _refused(answer, 422, "request_invalid")
    assert found[0]["loc"] == ["query", query.partition("=")[0]]


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "ECHO",
        "echo ",
        "00000000-0000-4000-8000-000000000000",
        "%00",
        "..%2f..%2fetc%2fpasswd",
        "%F0%9F%A6%9C",
        "x" * 5000,
        "'; DROP TABLE flowrunner_flows; --",
        "%ff",
    ],
)
def test_an_unknown_flow(quiet, name):
    answer = _post(quiet, '{"input_value": "hi"}', path=f"/api/v1/run/{name}")
    assert answer.status_code == 404
    assert answer.get_json()["code"] in ("flow_not_found", "not_found")


def test_a_foreign_flow_is_as_unknown_as_one_that_is_not_there(quiet):
    foreign = quiet.flow("bob")
    there = _refused(_post(quiet, "{}", path=f"/api/v1/run/{foreign}"), 404, "flow_not_found")
    other = foreign[:-1] + ("0" if foreign[-1] != "0" else "1")
    assert there.replace(foreign, other) == _refused(
        _post(quiet, "{}", path=f"/api/v1/run/{other}"), 404, "flow_not_found"
    )


@pytest.mark.parametrize(
    "tweaks", [{"code": "x"}, {"ChatInput-a": {"code": "x"}}, {"ChatOutput": {"code": {"value": "x"}}}]
)
def test_a_tweak_of_code(quiet, tweaks):
    found = _refused(_post(quiet, json.dumps({"input_value": "hi", "tweaks": tweaks})), 422, "TWEAKS_REFUSED")
    assert found["fields"] == ["code"]


def test_an_input_and_a_tweak_of_the_same_input(quiet):
    body = {"input_value": "hi", "tweaks": {"ChatInput-a": {"input_value": "ho"}}}
    assert "input_value" in _refused(_post(quiet, json.dumps(body)), 400, "bad_request")


@pytest.mark.parametrize("variables", [[], "x", {"A": 1}, {"A": None}])
def test_request_variables_that_are_none(quiet, variables):
    body = {"input_request": {"input_value": "hi"}, "context": {"request_variables": variables}}
    (entry,) = _refused(_post(quiet, json.dumps(body)), 422, "request_invalid")
    assert entry["loc"] == ["body", "context", "request_variables"]


def test_the_key_is_looked_at_before_the_body_and_the_flow(quiet):
    for path in (RUN, "/api/v1/run/nothing"):
        for body in ("{", "[]", '{"input_value": 1}', b"\xff"):
            assert _refused(_post(quiet, body, path=path, user=None), 403, "not_allowed")
            answer = quiet.call(None, "POST", path, data=body, headers={"x-api-key": "fr-wrong"})
            assert _refused(answer, 403, "not_allowed") == "Invalid or missing API key"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_verb(quiet, method):
    answer = quiet.call("ann", method, RUN)
    assert _refused(answer, 405, "method_not_allowed") == "Method Not Allowed"
    assert "POST" in answer.headers["Allow"]


def test_an_empty_webhook_body(quiet):
    assert "empty" in _refused(_post(quiet, b"", path="/api/v1/webhook/echo"), 400, "bad_request")
    assert "empty" in _refused(_post(quiet, b" \n", path="/api/v1/webhook/echo"), 400, "bad_request")


def test_a_body_over_the_limit(make_site):
    site = make_site(max_body=1000)
    site.add_user("ann")
    site.flow("ann", echo_flow())
    large = json.dumps({"input_value": "x" * 1000})
    assert "at most 1000" in _refused(_post(site, large), 413, "body_too_large")
    for path in ("/api/v1/webhook/echo", "/api/v1/flows/"):
        assert _post(site, large, path=path).status_code == 413
    chunked = site.call(
        "ann",
        "POST",
        RUN,
        input_stream=io.BytesIO(large.encode()),
        headers={"Content-Type": "application/json"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert chunked.status_code == 413
    assert site.messages("ann") == []
    assert _post(site, json.dumps({"input_value": "x" * 900})).status_code == 200


NATIVE = {"components": {"q": {"type": "ChatInput"}, "a": {"type": "ChatOutput"}}, "edges": ["q -> a"]}


def _hostile_flows():
    vertices = [
        {"id": f"ChatInput-{n}", "data": {"type": "ChatInput", "node": {"template": {}}}} for n in range(10_000)
    ]
    yield "ten thousand vertices", {"name": "x", "data": {"nodes": vertices, "edges": []}}
    one = {"id": "ChatInput-a", "data": {"type": "ChatInput", "node": {"template": {}}}}
    yield "duplicate ids", {"name": "x", "data": {"nodes": [one, one], "edges": []}}
    yield "nodes that are none", {"name": "x", "data": {"nodes": [1, None, "x"], "edges": []}}
    yield "edges that are none", {"name": "x", "data": {"nodes": [one], "edges": [1, None]}}
    yield "no nodes", {"name": "x", "data": {"nodes": {}, "edges": {}}}
    yield "no data", {"name": "x", "data": []}
    yield "no name", {"data": {"nodes": [], "edges": []}}
    yield "a name that is none", {"name": 5, "data": {"nodes": [], "edges": []}}
    deep = {}
    for _ in range(400):
        deep = {"data": deep}
    yield "a depth bomb", {"name": "x", "data": {"nodes": [{**one, "data": deep}], "edges": []}}


@pytest.mark.parametrize(
    ("label", "flow"), list(_hostile_flows()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_hostile_flow_is_refused_or_harmless(quiet, label, flow):
    """Refused when it is created, or else when it is run; the flows beside it are not affected."""
    before = len(quiet.ask("ann", "GET", "/api/v1/flows/"))
    answer = quiet.call("ann", "POST", "/api/v1/flows/", json=flow)
    if answer.status_code == 201:
        answer = _post(quiet, '{"input_value": "hi"}', path=f"/api/v1/run/{answer.get_json()['id']}")
    assert 400 <= answer.status_code < 500, answer.get_data(as_text=True)[:300]
    assert len(answer.data) < 5000
    assert len(quiet.ask("ann", "GET", "/api/v1/flows/")) <= before + 1


@pytest.mark.parametrize(
    "edges", [["q -> q"], ["q -> a", "a -> a"], ["x -> y.text1", "y -> x.text1", "y -> a"]], ids=str
)
def test_cycles_and_self_edges_are_named_when_run(tmp_path, edges):
    components = {**NATIVE["components"], "x": {"type": "CombineText"}, "y": {"type": "CombineText"}}
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "cycle.json").write_text(json.dumps({"components": components, "edges": edges}))
    (flows / "fine.json").write_text(json.dumps(NATIVE))
    with open_site(tmp_path / "data", flows_dir=(str(flows),)) as site:
        site.add_user("ann")
        assert _post(site, '{"input_value": "hi"}', path="/api/v1/run/cycle").status_code in (422, 500)
        assert site.messages("ann") == []
        assert _post(site, '{"input_value": "hi"}', path="/api/v1/run/fine").status_code == 200


def test_a_file_of_50_megabytes_harms_nobody_beside_it(tmp_path):
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "huge.json").write_text('{"components": {}, "edges": [], "name": "' + "x" * (50 * 1024 * 1024) + '"}')
    (flows / "broken.json").write_text("{")
    with zipfile.ZipFile(flows / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.json", "0" * (60 * 1024 * 1024))
    (flows / "fine.json").write_text(json.dumps(NATIVE))
    with open_site(tmp_path / "data", flows_dir=(str(flows),)) as site:
        site.add_user("ann")
        assert _post(site, '{"input_value": "hi"}', path="/api/v1/run/fine").status_code == 200
        for name in ("huge", "broken", "bomb"):
            assert _refused(_post(site, "{}", path=f"/api/v1/run/{name}"), 404, "flow_not_found")


# What is fine, though it looks strange.


def _said(answer):
    assert answer.status_code == 200, answer.get_data(as_text=True)[:500]
    body = answer.get_json()
    (vertex,) = body["outputs"][0]["outputs"]
    texts = {
        vertex["results"]["message"]["text"],
        vertex["results"]["message"]["data"]["text"],
        vertex["outputs"]["message"]["message"],
        vertex["artifacts"]["message"],
        body["outputs"][0]["inputs"]["input_value"],
    }
    (text,) = texts
    return text


TEXTS = [
    "🦜",
    "a\x00b",
    "\x00",
    "\x01\x1b[31m\x7f",
    "\r\n \t\n",
    " spaces ",
    "שלום עולם",
    "\u202eevil\u202c",
    "{a} {{b}}",
    "<script>",
    "e\u0301",
    "\ufeff",
    "\u2028\u2029",
    "\uffff\ufffe",
    "\\u0000",
    '"',
    "'",
    "%s %(x)s",
    "${x}",
    "\U0010ffff",
    "null",
]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_any_text_comes_back_as_it_was(site, text):
    site.flow("ann", echo_flow())
    for escaped in (True, False):
        body = json.dumps({"input_value": text, "session_id": "s"}, ensure_ascii=escaped)
        assert _said(_post(site, body.encode())) == text
    assert site.texts("ann", "?session_id=s") == [text] * 4


@pytest.mark.parametrize("memory", ["sqlite", "file-json"])
def test_five_megabytes_come_back_as_they_were(make_site, memory):
    site = make_site(memory=memory)
    site.add_user("ann")
    site.flow("ann", echo_flow())
    text = ("naïve 🦜 " * 600_000)[: 5 * 1024 * 1024 // 2] + "\x00end"
    assert len(text.encode()) > 2.5 * 1024 * 1024
    assert _said(_post(site, json.dumps({"input_value": text, "session_id": "s"}))) == text
    assert site.texts("ann", "?session_id=s") == [text, text]
    ascii_text = "y" * (5 * 1024 * 1024)
    assert _said(_post(site, json.dumps({"input_value": ascii_text, "session_id": "t"}))) == ascii_text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{}", "application/json"),
        (b" \n", "application/json"),
        (b"\xef\xbb\xbf{}", "application/json"),
        (b'{"input_value": null, "tweaks": null, "session_id": null, "input_type": null}', "application/json"),
        (b'{"stream": true, "unknown": [1], "x": {}}', "application/json; charset=utf-8"),
        (b"{}", "text/plain"),
        (b"{}", None),
        (b"{}", "application/vnd.api+json"),
        (b'{"input_request": {}, "context": null}', "application/json"),
        (b'{"input_request": {}, "context": {}}', "application/json"),
    ],
)
def test_bodies_that_run_with_the_defaults(site, body, kind):
    flow_id = site.flow("ann", echo_flow())
    answer = _post(site, body, kind)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.get_json()["session"] == {"id": flow_id, "source": "flow", "component": None}
    assert answer.get_json()["outputs"][0]["inputs"] == {}


def test_of_equal_keys_the_last_counts(site):
    site.flow("ann", echo_flow())
    assert _said(_post(site, '{"input_value": "first", "input_value": "last"}')) == "last"


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(
    [
        "input_value",
        "input_type",
        "output_type",
        "output_component",
        "tweaks",
        "session_id",
        "input_request",
        "context",
        "stream",
        "x",
    ]
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    with open_site(tmp_path_factory.mktemp("fuzzed")) as site:
        site.add_user("ann")
        site.flow("ann", echo_flow())
        yield site


@given(body=st.dictionaries(MEMBERS, JSONS, max_size=6) | JSONS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_is_answered_with_a_run_or_with_what_is_wrong(fuzzed, body):
    answer = _post(fuzzed, json.dumps(body))
    assert answer.status_code in (200, 400, 422), answer.get_data(as_text=True)
    shown = answer.get_json() if answer.is_json else None
    if answer.status_code != 200:
        assert shown["detail"]
        assert shown["code"] in ("request_invalid", "bad_request", "TWEAKS_REFUSED")


@given(
    data=st.binary(max_size=200), kind=st.sampled_from(["application/json", "text/plain", "x/y", "multipart/form-data"])
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_answered(fuzzed, data, kind):
    answer = _post(fuzzed, data, kind)
    assert answer.status_code in (200, 400, 413, 415, 422), answer.get_data(as_text=True)


@given(text=st.text(min_size=1, max_size=60), session=st.text(min_size=1, max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_and_any_session_come_back(fuzzed, text, session):
    answer = _post(fuzzed, json.dumps({"input_value": text, "session_id": session}))
    if not session.strip():
        return
    assert _said(answer) == text
    assert answer.get_json()["session_id"] == session


# The same in Python.


@pytest.mark.parametrize(
    "asked",
    [
        {"input_value": "hi"},
        {"input_value": "hi", "session_id": "a/b 🦜"},
        {"input_value": "", "output_type": "debug"},
        {"input_value": None},
        {"input_value": "hi", "tweaks": {"ChatOutput-b": {"sender_name": "Echo", "session_id": "tweaked"}}},
        {"input_value": "hi", "output_component": "ChatInput-a"},
    ],
    ids=str,
)
def test_python_gives_the_same_result_and_stores_the_same_messages(site, asked):
    site.flow("ann", echo_flow())
    over_http = site.ask("ann", "POST", RUN, json=asked)
    stored = site.messages("ann")
    site.runner.memory_of(Identity(owner_of_user("ann"))).delete()
    given_text = dict(asked)
    result = site.runner.run(
        "echo", given_text.pop("input_value"), identity=Identity(owner_of_user("ann")), **given_text
    )
    assert _without_moments(result.to_json()) == _without_moments(over_http)
    assert _without_moments(site.messages("ann")) == _without_moments(stored)
    assert [message.text for message in result.messages] == [row["text"] for row in stored]


@pytest.mark.parametrize(
    ("flow", "asked"),
    [
        ("nothing", {}),
        ("echo", {"tweaks": {"code": "x"}}),
        ("echo", {"input_value": "hi", "tweaks": {"ChatInput-a": {"input_value": "ho"}}}),
    ],
)
def test_python_raises_what_http_answers(site, flow, asked):
    from flowrunner import FlowRunnerError

    site.flow("ann", echo_flow())
    answer = site.call("ann", "POST", f"/api/v1/run/{flow}", json=asked)
    with pytest.raises(FlowRunnerError) as raised:
        site.runner.run(
            flow, asked.get("input_value"), tweaks=asked.get("tweaks"), identity=Identity(owner_of_user("ann"))
        )
    assert (raised.value.status, raised.value.code) == (answer.status_code, answer.get_json()["code"])
    assert raised.value.detail == answer.get_json()["detail"]
    with pytest.raises(FlowRunnerError):
        site.runner.run("echo", "hi", identity=LOCAL_IDENTITY)


def _without_moments(value):
    """Return JSON without what differs from run to run."""
    if isinstance(value, dict):
        own = ("timestamp", "id", "run_id", "graph_run_id", "duration")
        return {name: _without_moments(member) for name, member in value.items() if name not in own}
    return [_without_moments(member) for member in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "body", [b"null", b" null\n", b"[]", b"[{}]", b"3", b"true", b'"text"', b'""', b"0", b"\xef\xbb\xbfnull"]
)
def test_a_body_that_is_no_object_is_refused_and_nothing_runs(site, body):
    site.flow("ann", echo_flow())
    answer = _post(site, body, "application/json")
    assert answer.status_code == 422
    assert [entry["loc"] for entry in answer.json["detail"]] == [["body"]]
    assert site.ask("ann", "GET", "/api/v1/monitor/messages") == []
