"""Line streams: what comes in which order, and what happens when the client leaves."""

from __future__ import annotations

import threading

import pytest

from flowrunner.testing.model_script import USUAL_WORDS, Cut, Hang, say
from tests.streaming.reading import lines_of, opened
from tests.waiting import wait_until

REPLY = "".join(USUAL_WORDS)


def test_order_and_ids(server):
    with opened(server, "chat", "hi", stream="true", session="order") as response:
        events = list(lines_of(response))
    assert [e["event"] for e in events] == ["add_message"] * 2 + ["token"] * 7 + ["add_message", "end"]
    user, begun, *tokens, whole, end = [e["data"] for e in events]
    assert (user["sender"], begun["text"], begun["properties"]["state"]) == ("User", "", "partial")
    assert all(t["chunk"] for t in tokens)
    assert {t["id"] for t in tokens} == {begun["id"], whole["id"]} and len({begun["id"], whole["id"]}) == 1
    assert (whole["text"], whole["properties"]["state"]) == (REPLY, "complete")
    assert end["result"]["outputs"][0]["outputs"][0]["results"]["message"]["text"] == REPLY
    assert [m["id"] for m in server.messages("order")] == [user["id"], whole["id"]]


@pytest.mark.parametrize("flow", ["prompt", "router"])
def test_tokens_pass_through(server, flow):
    with opened(server, flow, "hi", stream="true", session=flow) as response:
        events = list(lines_of(response))
    assert [e["event"] for e in events] == ["add_message"] * 2 + ["token"] * 7 + ["add_message", "end"]
    assert len({e["data"]["id"] for e in events[1:-1]}) == 1
    assert [m["text"] for m in server.messages(flow)] == ["hi", REPLY]


def test_components_that_do_not_stream_are_unharmed(server):
    with opened(server, "echo", "hi", stream="true", session="echo") as response:
        assert [e["event"] for e in lines_of(response)] == ["add_message", "add_message", "end"]


def test_the_first_token_comes_before_the_last_is_made(server, model):
    gate = threading.Event()
    model.script(say("one", " two", gate=gate))
    with opened(server, "chat", "hi", stream="true", session="early") as response:
        for event in lines_of(response):
            if event["event"] == "token" and not gate.is_set():
                assert event["data"]["chunk"] == "one"
                gate.set()
    assert gate.is_set()


@pytest.mark.parametrize("parts", [(), ("one", " two")], ids=["before the first word", "in the middle"])
def test_a_client_that_leaves_cancels_the_model(server, model, parts):
    asked, left, session = len(model.asked), model.left, f"left-{len(parts)}"
    model.script(Hang(parts))
    with opened(server, "chat", "hi", stream="true", session=session) as response:
        lines = lines_of(response)
        for _ in range(1 + (1 + len(parts) if parts else 0)):
            next(lines)
        # Who leaves before the model is asked ends the run without it.
        assert wait_until(lambda: len(model.asked) > asked, 30)
    assert wait_until(lambda: model.left > left, 30)
    said = wait_until(lambda: [m for m in server.messages(session) if m["sender"] == "Machine"]) if parts else []
    assert [(m["text"], m["properties"]["state"]) for m in said] == ([("one two", "partial")] if parts else [])


def test_what_was_said_before_a_failure_is_kept(server, model):
    model.script(Cut(("one", " two")))
    with opened(server, "chat", "hi", stream="true", session="broken") as response:
        kinds = [e["event"] for e in lines_of(response)]
    assert kinds[-1] == "error"
    partial = [m for m in server.messages("broken") if m["properties"]["state"] == "partial"]
    assert [m["text"] for m in partial] == ["one two"]
