"""Odd numbers, ids and types in every path, query and body of the API: refused or answered, never a failure."""

import io
import json

import pytest

from tests.web.described import document_of
from tests.web.site import echo_flow, open_site
from tests.web.test_isolation import FORM, bodies, fill, furnish, queries

#: As they may stand in an address.
WORDS = (
    "9" * 20,
    "9" * 5_000,
    "-1",
    "-" + "9" * 30,
    "1e400",
    "0x10",
    "NaN",
    "Infinity",
    "\u0661\u0662",
    "1_000",
    "1.5",
    "00000000-0000-0000-0000-000000000000",
    "g" * 36,
    "{urn:uuid}",
    "' OR 1=1",
    "x" * 10_000,
    "%00",
    "é",
    "null",
    "true",
    "[]",
    ".",
    " ",
)
#: As they may stand in JSON, written as text, since Python's own encoder would not write some.
VALUES = (
    "9" * 20,
    "9" * 5_000,
    "-" + "9" * 30,
    "1e400",
    "-1e400",
    "1e-400",
    "-0.0",
    "1.5",
    "-1",
    "0",
    "NaN",
    "true",
    "null",
    '"1e400"',
    '"' + "9" * 30 + '"',
    '""',
    '"\\u0000"',
    '"\\ud800"',
    "[]",
    "[[]]",
    "[null]",
    "{}",
    '{"": null}',
    "[" + "9" * 400 + "]",
    '{"a": ' + "9" * 400 + "}",
    '["' + "x" * 10_000 + '"]',
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with open_site(tmp_path_factory.mktemp("site"), memory="sqlite", metrics=True) as made:
        made.add_user("ann")
        made.ids = furnish(made, "ann", "word")
        yield made


def routes(site):
    """Return name, rule and verb of each operation, where the API tells of it."""
    described = document_of(site.app).operations
    for rule in site.app.url_map.iter_rules():
        name = str(rule.endpoint).rpartition(".")[2]
        for verb in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            if not name.startswith("nothing"):
                yield name, rule, verb, described.get(name, {})


def tried(site, name, verb, path, **more):
    answer = site.call("ann", verb, path, **more)
    assert answer.status_code < 500, (name, verb, path[:200], str(more)[:300], answer.get_data(as_text=True)[:500])
    answer.close()
    return answer.status_code


def test_in_paths(site):
    asked = 0
    for name, rule, verb, _ in routes(site):
        for argument in sorted(rule.arguments):
            for word in WORDS:
                path = fill(rule.rule, {**site.ids, argument: word.replace("%", "%25")})
                tried(site, name, verb, path, **({} if verb == "GET" else {"json": {}}))
                asked += 1
    assert asked > 500


def test_in_queries(site):
    asked = 0
    for name, rule, verb, told in routes(site):
        path = fill(rule.rule, site.ids)
        usual = dict(pair.split("=", 1) for query in queries(name, site.ids)[:1] for pair in query.split("&") if pair)
        for parameter in told.get("parameters", []):
            if parameter["in"] != "query" or name == "run":
                continue
            for word in WORDS:
                tried(site, name, verb, path, query_string={**usual, parameter["name"]: word}, json=None)
                asked += 1
    assert asked > 300


def members_of(site, told):
    """Return the names of the members that the API takes in the body of an operation."""
    document = document_of(site.app).document
    found = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    names = []
    for schema in (found, *found.get("anyOf", ()), *found.get("oneOf", ())):
        while "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        names += schema.get("properties", {})
    return sorted(set(names))


def test_in_bodies(site):
    asked = 0
    for name, rule, verb, told in routes(site):
        sent = bodies(name, site.ids).get("json")
        if verb == "GET" or "data" in bodies(name, site.ids):
            continue
        path = fill(rule.rule, {**site.ids, "flow_id": site.ids["flow"]})
        for value in VALUES:
            tried(site, name, verb, path, data=value, content_type="application/json")
            asked += 1
            if isinstance(sent, list):
                tried(site, name, verb, path, data=f"[{value}]", content_type="application/json")
        if not isinstance(sent, dict):
            continue
        for member in [*members_of(site, told), "tweaks", "extra"]:
            usual = {key: item for key, item in sent.items() if key != member}
            for value in VALUES:
                text = json.dumps(usual)[:-1] + (", " if usual else "") + f'"{member}": {value}}}'
                tried(site, name, verb, path, data=text, content_type="application/json")
                asked += 1
    assert asked > 1000


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_in_tweaks_and_graphs(site, value):
    flow = site.ids["flow"]
    for body in (
        f'{{"tweaks": {{"ChatInput-a": {{"session_id": {value}}}}}}}',
        f'{{"tweaks": {{"ChatOutput-b": {value}}}}}',
        f'{{"tweaks": {{"input_value": {value}}}}}',
        f'{{"input_value": {value}, "session_id": "s", "output_type": {value}}}',
        f'{{"inputs": {value}, "stream": {value}}}',
    ):
        tried(site, "run", "POST", f"/api/v1/run/{flow}", data=body, content_type="application/json")
    graph = json.dumps(echo_flow("odd"))
    for place in ('"id": "ChatInput-a"', '"type": "ChatInput"', '"template": {}', '"edges"', '"source": "ChatInput-a"'):
        assert place in graph
        text = graph.replace(place, place.split(":")[0] + f": {value}" + (', "x"' if place == '"edges"' else ""))
        made = site.call("ann", "POST", "/api/v1/flows/", data=text, content_type="application/json")
        assert made.status_code < 500, (place, made.text[:500])
        if made.status_code == 201:
            made_id = made.get_json()["id"]
            for verb, path in (("POST", f"/api/v1/run/{made_id}"), ("GET", f"/api/v1/flows/{made_id}")):
                answer = site.call("ann", verb, path, **({"json": {}} if verb == "POST" else {}))
                # What such a graph lacks is said as the reference server says it: an edge that does not fit is 500.
                assert answer.status_code < 500 or answer.get_json()["code"] != "internal_error", (place, answer.text)
            site.ask("ann", "DELETE", f"/api/v1/flows/{made_id}")


@pytest.mark.parametrize("word", WORDS, ids=range(len(WORDS)))
def test_in_forms(site, word):
    for path in (f"/api/v1/files/upload/{site.ids['flow']}", "/api/v2/files/", "/api/v1/flows/upload/"):
        for data in (
            {"file": (io.BytesIO(b"1"), word)},
            {"file": word},
            {word: (io.BytesIO(b"1"), "a")},
            {"file": (io.BytesIO(json.dumps({"data": {"nodes": word, "edges": word}}).encode()), "a.json")},
        ):
            tried(site, "form", "POST", path, data=data, **FORM)


@pytest.mark.parametrize("word", [word for word in WORDS if word.isascii()], ids=lambda word: word[:12])
def test_in_headers(site, word):
    for header in (
        "Last-Event-ID",
        "X-Request-Id",
        "Content-Length-Of",
        "Range",
        "If-None-Match",
        "Accept",
        "Prefer",
        "Idempotency-Key",
        "X-Flowrunner-Owner",
        "Content-Type",
        "Origin",
        "Traceparent",
        "X-LANGFLOW-GLOBAL-VAR-X",
    ):
        for verb, path in (("GET", "/api/v1/monitor/messages"), ("POST", f"/api/v1/run/{site.ids['flow']}?stream=sse")):
            tried(site, header, verb, path, headers={header: word}, data="{}")
