"""What was answered 202 ends, whatever becomes of the processes; what had begun says so."""

import sys
import threading

import pytest

from tests.faults.site import waiting_flow
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers through /proc")


def wait_until_all_end(site, seconds=60):
    assert wait_until(lambda: not site.open_runs(), seconds), site.states()


def test_a_worker_that_is_replaced_leaves_no_accepted_run_behind(make_site):
    site = make_site({"two": waiting_flow(0.1, 0.1, source="Webhook")}).start("--max-requests", "6")
    accepted = [site.webhook("two", f"n{number}") for number in range(12)]
    wait_until_all_end(site)
    assert site.states() == dict.fromkeys(accepted, "success")
    site.close()


def test_a_run_in_the_background_is_read_later(make_site):
    site = make_site({"chat": waiting_flow(0.1)}).start()
    answer = site.post("/api/v1/run/chat?background=true", {"input_value": "hi", "session_id": "s"})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    run_id = answer.json()["run_id"]
    wait_until_all_end(site)
    shown = wait_until(lambda: (r := site.get(f"/api/v1/runs/{run_id}"))["vertices"] and r)
    assert (shown["status"], shown["kind"], [m["text"] for m in shown["messages"]]) == (
        "success",
        "background",
        ["hi", "hi"],
    )
    refused = site.post("/api/v1/run/chat?background=true&stream=true", {"input_value": "hi"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
    assert list(site.states()) == [run_id]


@pytest.mark.parametrize("number", [40, pytest.param(200, marks=pytest.mark.long)])
def test_runs_of_one_session_end_in_the_order_in_which_they_were_accepted(make_site, tmp_path, number):
    trace = tmp_path / "trace"
    flow = waiting_flow(0.01, source="Webhook", trace=str(trace))
    flow["components"]["out"]["settings"] = {"session_id": "one"}
    site = make_site({"one": flow}, WORKERS=2, TURN_WAIT=0.1, POOL_SIZE=8).start()
    accepted = [site.webhook("one", f"n{count}") for count in range(number)]
    wait_until_all_end(site, 60 + number)
    assert site.states() == dict.fromkeys(accepted, "success")
    assert trace.read_text().splitlines() == [f"n{count}" for count in range(number)]


def test_webhooks_under_way_when_everything_is_killed_end_or_are_lost_and_say_so(make_site):
    site = make_site({"slow": waiting_flow(0.5, 0.5, source="Webhook")}, POOL_SIZE=8, WORKERS=2).start()
    accepted = [site.webhook("slow", f"n{number}") for number in range(6)]
    assert wait_until(lambda: "running" in site.states().values())
    site.kill_all()
    site.start()
    wait_until_all_end(site)
    assert set(site.states()) == set(accepted)
    assert set(site.states().values()) <= {"success", "lost"}
    for run_id, state in site.states().items():
        shown = site.get(f"/api/v1/runs/{run_id}")
        assert (shown["status"], shown["error"] is None) == (state, state == "success")
        assert state == "success" or f"run {run_id} of " in site.server.output


def test_after_a_kill_what_had_begun_is_lost_and_what_had_not_begins(make_site):
    flow = waiting_flow(30, source="Webhook")
    flow["components"]["out"]["settings"] = {"session_id": "one"}
    site = make_site({"slow": flow, "quick": waiting_flow(0.01, source="Webhook")}).start()
    first = site.webhook("slow", "first")
    assert wait_until(lambda: site.states() == {first: "running"})
    site.webhook("slow", "second")
    site.kill_all()
    site.start()
    assert wait_until(lambda: list(site.states().values()) == ["lost", "running"]), site.states()
    shown = site.get(f"/api/v1/runs/{first}")
    assert (shown["status"], shown["error"]["code"]) == ("lost", "run_lost")
    assert f"run {first} of " in site.server.output
    assert "is lost: its process ended before the run did" in site.server.output
    site.kill_workers()
    assert wait_until(lambda: list(site.states().values()) == ["lost", "lost"]), site.states()


def test_a_question_whose_run_is_lost_is_marked_and_not_sent_to_a_model_again(make_site):
    site = make_site({"slow": waiting_flow(30)}, WORKERS=2).start()
    asked = threading.Thread(
        target=lambda: pytest.raises(
            OSError, site.post, "/api/v1/run/slow", {"input_value": "anybody?", "session_id": "s"}
        )
    )
    asked.start()
    assert wait_until(lambda: list(site.states().values()) == ["running"])
    site.kill_workers()
    asked.join()
    assert wait_until(lambda: list(site.states().values()) == ["lost"])
    found = wait_until(
        lambda: [m for m in site.get("/api/v1/monitor/messages?session_id=s") if m["properties"].get("unanswered")]
    )
    assert [(m["text"], m["properties"]["unanswered"]) for m in found] == [("anybody?", "lost")]


@pytest.mark.parametrize("stream", ["", "?stream=true", "?stream=sse"])
def test_a_stop_that_runs_out_of_time_tells_the_client(make_site, stream):
    site = make_site({"slow": waiting_flow(45)}, STOP_WAIT=0.2).start()
    answers = []
    asked = threading.Thread(
        target=lambda: answers.append(site.post(f"/api/v1/run/slow{stream}", {"input_value": "hi"}))
    )
    asked.start()
    assert wait_until(lambda: list(site.states().values()) == ["running"])
    site.server.stop()
    asked.join()
    assert list(site.states().values()) == ["cancelled"]
    if stream:
        assert answers[0].status_code == 200
        assert '"error"' in answers[0].text
        assert "the server stops" in answers[0].text
    else:
        assert (answers[0].status_code, answers[0].json()["code"]) == (503, "server_stops")
    assert "1 runs that did not finish within" in site.server.output


def test_a_stop_leaves_what_has_not_begun_to_the_next_start(make_site):
    flow = waiting_flow(0.5, source="Webhook")
    flow["components"]["out"]["settings"] = {"session_id": "one"}
    site = make_site({"slow": flow}).start()
    accepted = [site.webhook("slow", f"n{number}") for number in range(3)]
    assert wait_until(lambda: "running" in site.states().values())
    site.stop()
    states = list(site.states().values())
    assert "running" not in states
    assert states[-1] == "queued"
    site.start()
    wait_until_all_end(site)
    assert site.states() == dict.fromkeys(accepted, "success")


def test_a_flow_that_may_run_twice_begins_again_and_says_nothing_twice(make_site, tmp_path):
    trace = tmp_path / "trace"
    flow = {"idempotent": True, **waiting_flow(1, trace=str(trace))}
    once = waiting_flow(30, trace=str(trace))
    site = make_site({"twice": flow, "once": once}, POOL_SIZE=4).start()
    body = {"input_value": "again", "session_id": "s"}
    again = site.post("/api/v1/run/twice?background=true", body).json()["run_id"]
    never = site.post("/api/v1/run/once?background=true", {"input_value": "never", "session_id": "t"}).json()["run_id"]
    assert wait_until(lambda: trace.exists() and sorted(trace.read_text().split()) == ["again", "never"])
    site.kill_all()
    site.start()
    wait_until_all_end(site)
    assert site.states() == {again: "success", never: "lost"}
    assert sorted(trace.read_text().split()) == ["again", "again", "never"]
    assert [m["text"] for m in site.get("/api/v1/monitor/messages?session_id=s")] == ["again", "again"]
    assert site.get(f"/api/v1/runs/{again}")["result"]["session_id"] == "s"


def test_a_run_that_ends_its_process_each_time_does_not_begin_for_ever(make_site, tmp_path):
    trace = tmp_path / "trace"
    site = make_site({"twice": {"idempotent": True, **waiting_flow(30, trace=str(trace))}}).start()
    run_id = site.post("/api/v1/run/twice?background=true", {"input_value": "again"}).json()["run_id"]
    for times in (1, 2, 3):
        assert wait_until(lambda times=times: trace.exists() and len(trace.read_text().split()) == times)
        site.kill_workers()
    assert wait_until(lambda: site.states() == {run_id: "lost"})
