"""Whose messages the functions mean: in a component, in a view, in a job."""

from __future__ import annotations

import asyncio

import pytest
from flask import Flask

from flowrunner import Component, Identity, Input, Message, NotAllowed, Output
from flowrunner.app import create_app, runner_of
from flowrunner.extension import FlowRunner
from flowrunner.memory.conversations import aget_messages, get_messages, store_message, use_memory

FLOW = """{
  "components": {"question": {"type": "ChatInput"}, "note": {"type": "Note"}, "answer": {"type": "ChatOutput"}},
  "edges": ["question.message -> note.value", "note.message -> answer.input_value"]
}"""


class Note(Component):
    """Tell how many messages the session has, and leave a note in it."""

    type_name = "Note"
    blocking = False
    inputs = (Input("value"),)
    outputs = (Output("message"),)

    def run(self, context, value):
        seen = get_messages(session_id=context.session_id, order="ASC")
        store_message(Message(text="noted", session_id=context.session_id, sender="Note", sender_name="Note"))
        return {"message": f"{len(seen)} before"}


class WaitingNote(Note):
    """The same, on a thread of the pool and in an event loop."""

    type_name = "Note"
    blocking = True

    def run(self, context, value):
        asyncio.run(aget_messages(session_id=context.session_id))
        return super().run(context, value)


@pytest.fixture
def flows(tmp_path):
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "note.json").write_text(FLOW)
    return folder


@pytest.mark.parametrize("component", [Note, WaitingNote], ids=["inline", "on the pool"])
@pytest.mark.parametrize("owner", ["ann", "bob"])
def test_a_component_works_on_the_messages_of_its_owner_in_the_order_of_the_run(tmp_path, flows, component, owner):
    app = create_app(plugins=[component], flows_dir=str(flows), data_dir=tmp_path / "data", memory="in-memory")
    runner = runner_of(app)
    runner.run("note", "hi", session_id="s1", identity=Identity("somebody else"))
    runner.run("note", "hello", session_id="s1", identity=Identity(owner))
    found = runner.memory.for_owner(owner).fetch(session_id="s1")
    assert [message.text for message in found] == ["hello", "noted", "1 before"]
    with pytest.raises(NotAllowed):
        get_messages()
    runner.close()


def test_a_view_of_a_site_means_the_sender_of_its_request(tmp_path, flows):
    site = Flask(__name__)
    runner = FlowRunner(
        flows_dir=str(flows),
        data_dir=tmp_path / "data",
        memory="in-memory",
        identity=lambda request: request.headers.get("X-User"),
    ).init_app(site)

    @site.get("/mine")
    def mine():
        store_message(Message(text="hello", session_id="s1", sender="User", sender_name="User"))
        return {"texts": [message.text for message in get_messages()]}

    client = site.test_client()
    assert client.get("/mine", headers={"X-User": "ann"}).json == {"texts": ["hello"]}
    assert client.get("/mine", headers={"X-User": "bob"}).json == {"texts": ["hello"]}
    assert client.get("/mine", headers={"X-User": "bob"}).json == {"texts": ["hello", "hello"]}
    with site.test_request_context("/", headers={}), pytest.raises(NotAllowed):
        get_messages()
    with use_memory(runner.memory.for_owner("ann")):
        assert len(get_messages()) == 1
    runner.close()
