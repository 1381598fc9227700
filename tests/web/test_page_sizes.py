"""Lists have a limit of characters as well as of entries, and say where they go on or what they left out."""

import pytest

from flowrunner.app import create_app, runner_of
from flowrunner.memory import paging
from flowrunner.store.masking import mask
from tests.waiting import wait_until

SESSIONS = [f"{n}-" + "漢x/ " * 100 for n in range(6)]


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    app = create_app(data_dir=tmp_path_factory.mktemp("pages"), auth="none", flows_dir="examples/flows")
    client = app.test_client()
    for session in SESSIONS:
        body = {"input_value": "x" * 500, "session_id": session}
        assert client.post("/api/v1/run/basic-chat", json=body).status_code == 200
    assert wait_until(lambda: len(client.get("/api/v1/runs").json["items"]) == len(SESSIONS), 30)
    yield client
    runner_of(app).close()


@pytest.fixture
def most(monkeypatch):
    return lambda number: monkeypatch.setattr(paging, "MOST_CHARACTERS", number)


def pages(client, path, member=None):
    """Follow the cursor of a list; return its pages."""
    found, cursor = [], None
    while True:
        place = path if cursor is None else f"{path}{'&' if '?' in path else '?'}cursor={cursor}"
        answer = client.get(place)
        assert answer.status_code == 200
        found.append(answer.json if member is None else answer.json[member])
        cursor = answer.headers.get("X-Next-Cursor")
        if member is not None:
            assert answer.json["cursor"] == cursor
        if cursor is None:
            return found
        assert len(found) < 20


LISTS = {
    "ids of sessions": ("/api/v1/monitor/messages/sessions", None, lambda entry: entry),
    "sessions": ("/api/v1/monitor/messages/sessions?view=summary", "sessions", lambda entry: entry["session_id"]),
    "runs": ("/api/v1/runs", "items", lambda entry: entry["session"]["id"]),
}


@pytest.mark.parametrize(("characters", "sizes"), [(1, [1] * 6), (1800, None), (10**9, [6])])
@pytest.mark.parametrize(("path", "member", "session_of"), LISTS.values(), ids=LISTS)
def test_pages_of_a_size_add_up_to_the_whole_list(talk, most, path, member, session_of, characters, sizes):
    most(characters)
    found = pages(talk, path, member)
    assert [session_of(entry) for page in found for entry in page] == SESSIONS[::-1]
    assert [len(page) for page in found] == sizes if sizes else 1 < len(found) < 6


def test_transactions_without_room_for_their_contents_have_null(talk, most):
    flow = talk.get("/api/v1/runs").json["items"][0]["flow_id"]
    path = f"/api/v1/monitor/transactions?flow_id={flow}"
    whole = talk.get(path).json
    most(1)
    cut = talk.get(path).json
    assert {name: cut[name] for name in ("total", "page", "size", "pages")} == {
        name: whole[name] for name in ("total", "page", "size", "pages")
    }
    assert cut["items"][0] == whole["items"][0] and cut["items"][0]["inputs"]
    assert [item["id"] for item in cut["items"]] == [item["id"] for item in whole["items"]]
    assert all((item["inputs"], item["outputs"]) == (None, None) for item in cut["items"][1:])
    assert {item["status"] for item in cut["items"]} == {"success"}


@pytest.mark.parametrize("every", ["", "&all=true"])
def test_builds_without_room_for_their_contents_say_where_these_are(talk, most, every):
    flow = talk.get("/api/v1/runs").json["items"][0]["flow_id"]
    path = f"/api/v1/monitor/builds?flow_id={flow}{every}"
    whole = talk.get(path).json["vertex_builds"]
    most(1)
    cut = talk.get(path).json["vertex_builds"]
    assert {name: len(builds) for name, builds in cut.items()} == {name: len(builds) for name, builds in whole.items()}
    first, *rest = [build for builds in cut.values() for build in builds]
    assert first == next(iter(whole.values()))[0]
    assert rest
    for build in rest:
        assert build["params"] == (
            f"Not shown, since the builds are too large together: see GET /api/v1/runs/{build['job_id']}/steps."
        )
        assert build["valid"] and not build["data"]["results"] and "x" * 100 not in str(build)


def test_no_secrets_are_looked_for_in_contents_that_are_left_out(talk, most, monkeypatch):
    flow, masked = talk.get("/api/v1/runs").json["items"][0]["flow_id"], []

    def note(value, **more):
        masked.append(value)
        return mask(value, **more)

    monkeypatch.setattr("flowrunner.store.runrecords.mask", note)
    most(1)
    talk.get(f"/api/v1/monitor/builds?flow_id={flow}&all=true")
    assert len(masked) > 2 and [bool(record["outputs"]) for record in masked] == [True] + [False] * (len(masked) - 1)
