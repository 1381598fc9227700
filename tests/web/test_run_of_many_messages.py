"""A run with more messages than an answer holds: shown in pages, its events read some at a time, none left out."""

import json

import pytest

from flowrunner.memory import EVERY_OWNER, paging
from flowrunner.memory.message import Message

NUMBER = 450


@pytest.fixture
def run(site):
    """A run of ann's whose flow has said something very often."""
    flow = site.flow("ann")
    answer = site.call("ann", "POST", f"/api/v1/run/{flow}", json={"input_value": "hi", "session_id": "s"})
    run_id = answer.headers["X-Run-Id"]
    (owner,) = {m.owner for m in site.runner.memory.for_owner(EVERY_OWNER).fetch(run_id=run_id)}
    memory = site.runner.memory.for_owner(owner)
    flow_id = memory.fetch(run_id=run_id)[0].flow_id
    memory.append(
        [
            Message(
                text=f"n{number}", sender="Machine", sender_name="AI", session_id="s", flow_id=flow_id, run_id=run_id
            )
            for number in range(NUMBER - 2)
        ]
    )
    return run_id, memory


def said(number):
    return ["hi", "hi", *(f"n{count}" for count in range(number - 2))]


def test_its_messages_come_in_pages(site, run):
    run_id, _ = run
    pages, cursor = [], ""
    while cursor is not None:
        answer = site.call("ann", "GET", f"/api/v1/runs/{run_id}{cursor and '?cursor=' + cursor}")
        assert (answer.status_code, answer.json["status"]) == (200, "success")
        pages.insert(0, [message["text"] for message in answer.json["messages"]])
        cursor = answer.headers.get("X-Next-Cursor")
    assert [len(page) for page in pages] == [50, 200, 200]
    assert sum(pages, []) == said(NUMBER)
    assert site.call("ann", "GET", f"/api/v1/runs/{run_id}?cursor={run_id}").status_code == 404


def test_its_events_are_read_some_at_a_time(site, run, monkeypatch):
    run_id, memory = run
    asked = []
    fetch = type(memory).fetch
    monkeypatch.setattr(type(memory), "fetch", lambda self, **query: asked.append(query) or fetch(self, **query))
    text = site.call("ann", "GET", f"/api/v1/runs/{run_id}/events").get_data(as_text=True)
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if "data" in block
    ]
    assert [json.loads(block["data"])["text"] for block in blocks[:-1]] == said(NUMBER)
    assert [block["id"] for block in blocks] == [f"{run_id}:{number}" for number in range(1, NUMBER + 2)]
    assert blocks[-1]["event"] == "end"
    assert asked
    assert all(query["limit"] <= paging.PAGE for query in asked)


def test_messages_that_come_or_go_between_two_looks_are_read_once(site, run):
    _, memory = run
    run_id = run[0]
    following = paging.Following(memory, run_id=run_id)
    seen = following.next()
    memory.delete(ids=tuple(str(message.id) for message in seen[-3:]))
    while following.more:
        seen += following.next()
    assert [message.text for message in seen] == said(NUMBER)
    assert following.next() == []
    memory.append([Message(text="late", sender="Machine", sender_name="AI", session_id="s", run_id=run_id)])
    assert [message.text for message in following.next()] == ["late"]
    assert following.next() == []
