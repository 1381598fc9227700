"""A run of any kind is read by its id, from any worker: its state, its result, its events."""

import json
import sys
import threading
import uuid

import pytest
import requests

from tests.faults.site import Site, waiting_flow
from tests.live_server import DEADLINE
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers through /proc")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    flows = {
        "short": waiting_flow(0.3),
        "slow": waiting_flow(30),
        "hook": waiting_flow(0.1, source="Webhook"),
        "bad": waiting_flow(0.01),
    }
    flows["bad"]["components"]["wait0"] = {"type": "Fails"}
    made = Site(tmp_path_factory.mktemp("reading"), flows, WORKERS=2, RESUME_SECONDS=1, COMPONENT_TIMEOUT=20)
    yield made.start()
    made.close()


def events(site, run_id, last="", key=None):
    """Return the events of a run as ``(id, name, data)``, to its end."""
    headers = {"x-api-key": key or site.key, **({"Last-Event-ID": last} if last else {})}
    answer = requests.get(f"{site.url}/api/v1/runs/{run_id}/events", headers=headers, timeout=DEADLINE)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    found = []
    for block in answer.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in lines:
            found.append((lines["id"], lines["event"], json.loads(lines["data"])))
    return found


def start(site, kind):
    """Ask for a run in one way or another and return its id."""
    if kind == "webhook":
        return site.webhook("hook", "hi")
    if kind == "response":
        answer = site.post("/api/v1/responses", {"model": "short", "input": "hi"})
    else:
        query = {"plain": "", "lines": "?stream=true", "sse": "?stream=sse", "background": "?background=true"}[kind]
        answer = site.post(f"/api/v1/run/short{query}", {"input_value": "hi", "session_id": str(uuid.uuid4())})
    assert answer.status_code < 300, answer.text
    return answer.headers["X-Run-Id"]


@pytest.mark.parametrize("kind", ["plain", "lines", "sse", "response", "background", "webhook"])
def test_the_events_of_a_run_are_read_while_it_runs_and_afterwards(site, kind):
    run_id = start(site, kind)
    found = events(site, run_id)
    assert [name for _, name, _ in found if name not in ("token",)][-1] == "end"
    said = [data["text"] for _, name, data in found if name == "add_message"]
    assert "hi" in said[-1]
    assert [i for i, _, _ in found] == [f"{run_id}:{n}" for n in range(1, len(found) + 1)]
    rest = events(site, run_id, last=found[-2][0])
    assert [name for _, name, _ in rest] == ["end"]
    shown = site.get(f"/api/v1/runs/{run_id}")
    assert shown["status"] == "success"
    assert shown["ended_at"] >= shown["accepted_at"]
    if kind in ("background", "webhook"):
        assert shown["result"]["outputs"][0]["outputs"][0]["component_id"] == "out"
        assert found[-1][2]["result"] == shown["result"]
    else:
        assert shown["result"] is None


def test_the_events_of_a_stream_that_is_no_longer_kept_end_as_it_did(site):
    run_id = start(site, "sse")
    assert wait_until(lambda: not (site.data / "streams" / f"{run_id}.events").exists())
    assert [name for _, name, _ in events(site, run_id)] == ["add_message", "add_message", "end"]
    (last,) = events(site, run_id, last=f"{run_id}:7")
    assert last[:2] == (f"{run_id}:8", "end")


def test_a_failed_and_a_cancelled_run_end_with_an_error(site):
    failed = site.post("/api/v1/run/bad?background=true", {"input_value": "hi"}).json()["run_id"]
    assert events(site, failed)[-1][1:] == (
        "error",
        {"error": "Error running graph: Error building Component Fails: no luck", "code": "component_failed"},
    )
    slow = site.post("/api/v1/run/slow?background=true", {"input_value": "hi"}).json()["run_id"]
    found = []
    reader = threading.Thread(target=lambda: found.extend(events(site, slow)))
    reader.start()
    assert wait_until(lambda: site.states()[slow] == "running")
    assert site.post(f"/api/v1/runs/{slow}/cancel").status_code == 202
    reader.join()
    assert found[-1][1:] == ("error", {"error": "The run was stopped: the user cancelled it.", "code": "run_cancelled"})


def test_nobody_reads_what_is_not_theirs(site):
    run_id, bob = start(site, "background"), site.make_key(user="bob")
    limited = site.make_key("--flow", "hook")
    for key in (bob, limited):
        for path in ("", "/events"):
            url = f"{site.url}/api/v1/runs/{run_id}{path}"
            assert requests.get(url, headers={"x-api-key": key}, timeout=DEADLINE).status_code == 404
    admin = site.make_key("--admin", user="root")
    assert events(site, run_id, key=admin)[-1][1] == "end"


def test_a_limited_key_sees_results_of_outputs_alone(site):
    limited = site.make_key("--flow", "short")
    body = {"input_value": "hi", "output_type": "debug"}
    mine = requests.post(
        f"{site.url}/api/v1/run/short?background=true", json=body, headers={"x-api-key": limited}, timeout=DEADLINE
    ).json()["run_id"]
    authors = site.post("/api/v1/run/short?background=true", body).json()["run_id"]
    for run_id, seen in ((mine, ["out"]), (authors, None)):
        assert events(site, run_id, key=limited)[-1][1] == "end"
        shown = requests.get(f"{site.url}/api/v1/runs/{run_id}", headers={"x-api-key": limited}, timeout=DEADLINE)
        result = shown.json()["result"]
        assert seen == (result and [o["component_id"] for o in result["outputs"][0]["outputs"]])
    assert len(site.get(f"/api/v1/runs/{authors}")["result"]["outputs"][0]["outputs"]) > 1


@pytest.mark.parametrize("last", ["x", "1", "{other}:1", "{run}:-1", "{run}:", "{run}:²"])
def test_an_event_id_that_is_none_is_refused(site, last):
    run_id = start(site, "background")
    last = last.replace("{run}", run_id).replace("{other}", str(uuid.uuid4()))
    headers = {"x-api-key": site.key, "Last-Event-ID": last.encode()}
    answer = requests.get(f"{site.url}/api/v1/runs/{run_id}/events", headers=headers, timeout=DEADLINE)
    assert answer.status_code == 400


def test_without_a_run_log_a_run_is_read_all_the_same(make_site):
    site = make_site({"short": waiting_flow(0.01)}, RUN_LOG="false", RESULT_SECONDS=0).start()
    run_id = site.post("/api/v1/run/short?background=true", {"input_value": "hi"}).json()["run_id"]
    assert events(site, run_id)[-1][1] == "end"
    shown = site.get(f"/api/v1/runs/{run_id}")
    assert (shown["status"], shown["result"], [m["text"] for m in shown["messages"]]) == ("success", None, ["hi", "hi"])
