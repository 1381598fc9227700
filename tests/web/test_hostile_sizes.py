"""Requests that are far larger than anybody's: refused in a sentence, and nothing is done in part."""

import io
import json
import uuid
import zipfile

import pytest

from tests.web.site import echo_flow, edge, open_site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with open_site(tmp_path_factory.mktemp("site"), memory="sqlite") as made:
        made.add_user("ann")
        made.flow_id = made.flow("ann", echo_flow("echo"))
        made.say("ann", "echo", "hello", "kept")
        yield made


@pytest.mark.parametrize(
    ("verb", "path", "sent", "most", "said"),
    [
        ("DELETE", "/api/v1/monitor/messages", 100_000, 10_000, "The list has 100000 ids; at most 10000 are allowed."),
        ("DELETE", "/api/v1/flows/", 100_000, 10_000, "The list has 100000 ids; at most 10000 are allowed."),
        ("POST", "/api/v1/flows/download/", 100_000, 1_000, "The list has 100000 ids; at most 10000 are allowed."),
        (
            "POST",
            "/api/v1/flows/download/",
            1_001,
            1_000,
            "The list has 1001 flows; at most 1000 can be downloaded at once.",
        ),
        (
            "DELETE",
            "/api/v1/monitor/messages/sessions",
            100_000,
            500,
            "Cannot delete more than 500 sessions at once. Please batch your requests.",
        ),
    ],
)
def test_a_hundred_thousand_ids(site, verb, path, sent, most, said):
    ids = [str(uuid.UUID(int=n)) for n in range(sent)]
    assert site.ask("ann", verb, path, 400, json=ids)["detail"] == said
    assert site.call("ann", verb, path, json=ids[:most]).status_code in (200, 204, 404)
    assert site.texts("ann", "?session_id=kept") == ["hello", "hello"]


def test_one_flow_named_a_thousand_times_is_downloaded_once(site):
    answer = site.call("ann", "POST", "/api/v1/flows/download/", json=[site.flow_id] * 5_000)
    assert answer.mimetype == "application/json" and answer.get_json()["id"] == site.flow_id
    other = site.flow("ann", echo_flow("other"))
    packed = site.call("ann", "POST", "/api/v1/flows/download/", json=[site.flow_id, other] * 500)
    assert sorted(zipfile.ZipFile(io.BytesIO(packed.data)).namelist()) == sorted(
        [f"{site.flow_id}.json", f"{other}.json"]
    )


def test_a_nested_flow_is_not_laid_out_in_a_hundred_times_its_size(site):
    deep = [[1] * 20] * 8_000
    for _ in range(40):
        deep = [deep]
    flow = echo_flow("deep")
    flow["data"]["viewport"] = deep
    ids = [site.flow("ann", flow), site.flow_id]
    packed = site.call("ann", "POST", "/api/v1/flows/download/", json=ids)
    sizes = [entry.file_size for entry in zipfile.ZipFile(io.BytesIO(packed.data)).infolist()]
    assert max(sizes) < 2 * len(json.dumps(flow))


def test_more_edges_than_a_flow_may_have(site):
    flow = echo_flow("edges")
    flow["data"]["edges"] = [edge("ChatInput-a", "message", "ChatOutput-b", "input_value")] * 50_001
    refused = site.ask("ann", "POST", "/api/v1/flows/", 422, json=flow)["detail"]
    assert "at most 50000 edges" in refused[0]["msg"]
    assert "edges" not in [one["name"] for one in site.ask("ann", "GET", "/api/v1/flows/?header_flows=true")]


def archive(*entries, packing=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", packing) as made:
        for name, data in entries:
            made.writestr(name, data)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: archive(("a.json", b" " * 40_000_000)), "unpacks to more than"),
        (lambda: archive(*((f"{n}.json", b" " * 900_000) for n in range(40))), "unpacks to more than"),
        (lambda: archive(*((f"{n}.json", b"{}") for n in range(1_001))), "at most 1000"),
        (lambda: archive(("a.json", b"{}"))[:-40], "cannot be read"),
        (lambda: archive(("a.json", b"[" * 100_000)), "nest"),
        (lambda: archive(("a.zip", archive(("b.json", b" " * 40_000_000)))), "does not contain a flow"),
    ],
    ids=["one", "together", "many", "cut off", "deep", "in each other"],
)
def test_archives(site, make, said):
    data = {"file": (io.BytesIO(make()), "flows.zip")}
    answer = site.call("ann", "POST", "/api/v1/flows/upload/", data=data)
    assert answer.status_code in (400, 422), answer.text
    assert said in answer.text


@pytest.mark.parametrize("depth", [2_000, 1_000_000])
@pytest.mark.parametrize("signs", ["[]", ('{"a":', "}")], ids=["lists", "objects"])
def test_json_that_is_deep(site, depth, signs):
    opened, closed = signs
    text = f'{{"tweaks": {{"ChatInput-a": {opened * depth}1{closed * depth}}}}}'
    answer = site.call("ann", "POST", "/api/v1/run/echo", data=text, content_type="application/json")
    assert answer.status_code == 422, answer.text[:500]


# werkzeug leaves the parts of a form that it gives up to the collector, which closes them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("path", ["/api/v2/files/", "/api/v1/flows/upload/"])
@pytest.mark.parametrize("kind", ["files", "fields"])
def test_a_form_of_thousands_of_parts(site, path, kind):
    more = '; filename="a"' if kind == "files" else ""
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="f{n}"{more}\r\n\r\n1\r\n' for n in range(5_000)
    )  # fmt: skip
    answer = site.call("ann", "POST", path, data=parts + "--x--\r\n", content_type="multipart/form-data; boundary=x")
    assert answer.status_code in (413, 422), answer.text


def test_thousands_of_query_parameters_headers_and_cookies(site):
    query = "&".join(f"a{n}=b" for n in range(10_000))
    assert site.call("ann", "GET", f"/api/v1/monitor/messages?{query}").status_code == 200
    headers = {"Cookie": "; ".join(f"a{n}=b" for n in range(10_000)), "X-Request-Id": "x" * 1_000_000}
    answer = site.call("ann", "GET", "/api/v1/monitor/messages", headers=headers)
    assert answer.status_code == 200 and len(answer.headers["X-Request-Id"]) < 300
    variables = {f"X-LANGFLOW-GLOBAL-VAR-A{n}": "x" for n in range(5_000)}
    assert site.call("ann", "POST", "/api/v1/run/echo", json={}, headers=variables).status_code < 500


@pytest.mark.parametrize("session", ["s" * 100_000, "\U0001f300" * 50_000, "%2F" * 20_000, "/" * 50_000], ids=range(4))
def test_an_id_of_a_session_that_is_long(site, session):
    said = site.say("ann", "echo", "long", session)
    assert said["session_id"] == session
    found = site.ask("ann", "GET", "/api/v1/monitor/messages?limit=2")
    assert found[-1]["session_id"] == session
    site.ask("ann", "DELETE", "/api/v1/monitor/messages/sessions", json=[session])
    assert not [one for one in site.messages("ann") if one["session_id"] == session]


@pytest.mark.parametrize(
    "word",
    ["x", "9" * 5_000, "-1", f"{uuid.UUID(int=1)}", f"{uuid.UUID(int=1)}:{'9' * 400}", f"{uuid.UUID(int=1)}:-1",
     f"{uuid.UUID(int=1)}:1e4", "../../x:1", "a/b:1", "x" * 100_000],
    ids=range(10),
)  # fmt: skip
def test_a_last_event_that_never_was(site, word):
    headers = {"Last-Event-ID": word}
    answer = site.call("ann", "POST", "/api/v1/run/echo?stream=sse", json={"input_value": "x"}, headers=headers)
    assert answer.status_code in (400, 404), answer.text[:500]
    assert len(answer.text) < 1_000
