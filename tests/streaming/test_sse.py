"""Server-sent events: ids, heartbeat, and streams that go on where they were cut."""

from __future__ import annotations

import threading

import pytest

from flowrunner.testing.model_script import USUAL_WORDS, Fail, say
from tests.streaming.reading import events_of, opened, take
from tests.waiting import wait_until

REPLY = "".join(USUAL_WORDS)


def test_the_events_of_a_stream(server):
    with opened(server, "chat", "hi", session="sse-1") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [event for event in events_of(response) if event[1] != "comment"]
    assert [name for _, name, _ in events] == ["add_message"] * 2 + ["token"] * 7 + ["add_message", "end"]
    numbers = [int(event_id.partition(":")[2]) for event_id, _, _ in events]
    assert numbers == list(range(1, len(events) + 1))
    final = events[-2][2]
    assert final["text"] == REPLY
    assert final["properties"]["state"] == "complete"
    assert final["properties"]["usage"]["total_tokens"] == 15
    assert len({data["id"] for _, name, data in events[1:-1]}) == 1
    assert [m["text"] for m in server.messages("sse-1")] == ["hi", REPLY]


@pytest.mark.parametrize("stream", ["sse", "true"])
def test_no_line_of_a_stream_ends_within_a_text(server, stream):
    odd = "a\u2028b\u2029c\x85d"
    with opened(server, "echo", odd, stream=stream, session=f"ends-{stream}") as response:
        body = response.content.decode()
    assert not set("\u2028\u2029\x85") & set(body)
    assert [m["text"] for m in server.messages(f"ends-{stream}")] == [odd, odd]


def test_a_cut_at_every_event_and_on_to_another_worker(server, other, model):
    first, second = server, other
    with opened(first, "chat", "hi", session="whole") as response:
        whole = [(name, _plain(data)) for _, name, data in events_of(response) if name != "comment"]
    for cut in range(1, len(whole) + 1):
        gate = threading.Event()
        model.script(say(*USUAL_WORDS, gate=gate))
        if cut > 3:
            gate.set()
        with opened(first, "chat", "hi", session=f"cut-{cut}") as response:
            before = take(response, cut)
        gate.set()
        with opened(second, "chat", "ignored", session="ignored", last=before[-1][0]) as response:
            assert response.status_code == 200
            after = [event for event in events_of(response) if event[1] != "comment"]
        assert [(name, _plain(data)) for _, name, data in before + after] == whole, cut
        ids = [int(event_id.partition(":")[2]) for event_id, _, _ in before + after]
        assert ids == list(range(1, len(whole) + 1))
        assert [m["text"] for m in first.messages(f"cut-{cut}")] == ["hi", REPLY]


def test_the_worker_that_runs_it_answers_too(server, model):
    gate = threading.Event()
    model.script(say("one", " two", gate=gate))
    with opened(server, "chat", "hi", session="same") as response:
        before = take(response, 3)
    gate.set()
    with opened(server, "chat", "hi", session="same", last=before[-1][0]) as response:
        after = [event for event in events_of(response) if event[1] != "comment"]
    assert [name for _, name, _ in after] == ["token", "add_message", "end"]
    assert len(server.messages("same")) == 2


def test_nobody_else_takes_a_stream_up(server):
    with opened(server, "chat", "hi", session="mine") as response:
        last = take(response, 1)[0][0]
    with opened(server, "echo", "hi", last=last) as response:
        assert response.status_code == 404
    for bad, status in (("nonsense", 400), ("../../etc:1", 400), ("00000000-0000-4000-8000-000000000000:1", 404)):
        with opened(server, "chat", "hi", last=bad) as response:
            assert response.status_code == status


def test_a_heartbeat_while_the_model_thinks(server, model):
    gate = threading.Event()
    model.script(say("one", " two", gate=gate))
    with opened(server, "chat", "hi", session="slow") as response:
        seen = []
        for _, name, data in events_of(response):
            seen.append(name)
            if name == "comment":
                assert data == "heartbeat"
                gate.set()
    assert "comment" in seen
    assert seen[-1] == "end"


def test_a_run_that_nobody_comes_back_to_is_cancelled(server, model):
    gate, left = threading.Event(), model.left
    model.script(say("one", " two", gate=gate))
    with opened(server, "chat", "hi", session="gone") as response:
        take(response, 3)
    assert wait_until(lambda: model.left > left)
    rows = wait_until(lambda: [m for m in server.messages("gone") if m["sender"] == "Machine"])
    assert [(m["text"], m["properties"]["state"]) for m in rows] == [("one", "partial")]


def test_a_failure_before_the_stream_has_its_status(server):
    with opened(server, "nothing", "hi") as response:
        assert response.status_code == 404


def test_a_failure_in_the_stream_is_its_last_event(server, model):
    model.script(Fail(400, "the stand-in refuses"))
    with opened(server, "chat", "hi", session="fails") as response:
        events = [event for event in events_of(response) if event[1] != "comment"]
    assert [name for _, name, _ in events] == ["add_message", "error", "error"]
    assert "the stand-in refuses" in events[-1][2]["error"]


def _plain(data):
    """Return what two runs of the same have in common."""
    if "result" in data:
        return [output["results"]["message"]["text"] for output in data["result"]["outputs"][0]["outputs"]]
    return data.get("chunk") or (data.get("text"), data.get("sender"), data["properties"]["state"])
