"""Ending a run: by its id from any worker, by leaving, by taking too long."""

import socket
import sys
import threading

import pytest
import requests

from tests.faults.site import waiting_flow
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers through /proc")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    from tests.faults.site import Site

    hook = waiting_flow(30, source="Webhook")
    hook["components"]["out"]["settings"] = {"session_id": "one"}
    made = Site(
        tmp_path_factory.mktemp("ending"), {"slow": waiting_flow(30), "hook": hook}, WORKERS=3, COMPONENT_TIMEOUT=20
    )
    yield made.start()
    made.close()


def ask(site, stream="", **body):
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(site.post(f"/api/v1/run/slow{stream}", {"input_value": "hi", **body}))
    )
    thread.start()
    return thread, answers


def open_run(site):
    return wait_until(lambda: [i for i in site.open_runs() if site.states()[i] == "running"])[0]


@pytest.mark.parametrize("stream", ["", "?stream=true", "?stream=sse"])
def test_a_run_is_cancelled_by_its_id_whichever_worker_is_asked(site, stream):
    thread, answers = ask(site, stream)
    run_id = open_run(site)
    assert site.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
    thread.join()
    # A stream has ended a moment before its record says so.
    assert wait_until(lambda: site.states()[run_id] != "running")
    assert site.states()[run_id] == "cancelled"
    if stream:
        assert "the user cancelled it" in answers[0].text
    else:
        assert (answers[0].status_code, answers[0].json()["code"]) == (499, "run_cancelled")
    assert site.post(f"/api/v1/runs/{run_id}/cancel").status_code == 409
    assert site.get(f"/api/v1/runs/{run_id}")["error"] == {"code": "run_cancelled", "message": "the user cancelled it"}


def test_a_background_run_is_cancelled_before_and_after_it_begins(site):
    first, second = (site.webhook("hook", text) for text in ("one", "two"))
    assert open_run(site) == first
    for run_id in (second, first):
        assert site.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
    assert wait_until(lambda: not site.open_runs())
    assert [site.states()[i] for i in (first, second)] == ["cancelled", "cancelled"]


def test_nobody_cancels_what_is_not_theirs(site):
    thread, _ = ask(site)
    run_id = open_run(site)
    url, other = f"{site.url}/api/v1/runs/{run_id}/cancel", site.make_key(user="bob")
    assert requests.post(url, headers={"x-api-key": other}, timeout=10).status_code == 404
    assert site.states()[run_id] == "running"
    assert site.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
    thread.join()


def leave_after(site, happened, session):
    body = b'{"input_value": "anybody?", "session_id": "%s"}' % session
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            b"POST /api/v1/run/slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"x-api-key: %s\r\nContent-Length: %d\r\n\r\n%s" % (site.key.encode(), len(body), body)
        )
        return happened()


def test_a_client_that_leaves_ends_its_run(site):
    run_id = leave_after(site, lambda: open_run(site), b"left")
    assert wait_until(lambda: site.states()[run_id] == "cancelled")
    found = site.get("/api/v1/monitor/messages?session_id=left")
    assert [(m["text"], m["properties"]["unanswered"]) for m in found] == [("anybody?", "cancelled")]


def test_a_component_that_takes_too_long_ends_the_run(make_site):
    site = make_site({"slow": waiting_flow(30)}, COMPONENT_TIMEOUT=0.2).start()
    answer = site.post("/api/v1/run/slow", {"input_value": "hi"})
    assert (answer.status_code, answer.json()["code"]) == (504, "run_timeout")
    assert "The component Wait took longer than 0.2 seconds" in answer.json()["detail"]
    assert list(site.states().values()) == ["error"]
