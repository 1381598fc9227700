"""The site's own code asks once, however often its own request is sent."""

from __future__ import annotations

import json

import pytest
from flask import Flask, Response, request

from flowrunner import Component, FlowRunner, Input, Output, hookimpl
from flowrunner.errors import ComponentFailed, KeyReused
from flowrunner.runs.idempotency import KeyInvalid
from flowrunner.site.current import current_runner
from flowrunner.site.idempotency import ReplayedError
from tests.embedding.conftest import close_runners


class Fail(Component):
    """Fail, and count how often."""

    type_name = "OnceFail"
    inputs = (Input("input_value"),)
    outputs = (Output("message"),)
    times = 0

    def run(self, context, /, *, input_value):
        type(self).times += 1
        raise ValueError("no luck")


class FailPlugin:
    @hookimpl
    def register_components(self, register):
        Fail.times = 0
        register(Fail)


@pytest.fixture(params=["sqlite", "in-memory"])
def app(tmp_path, request):
    folder = tmp_path / "flows"
    folder.mkdir()
    chat = {"question": {"type": "ChatInput"}, "answer": {"type": "ChatOutput"}}
    flow = {"components": chat, "edges": ["question.message -> answer.input_value"]}
    (folder / "chat.json").write_text(json.dumps(flow))
    bad = {
        "components": {**chat, "fail": {"type": "OnceFail"}},
        "edges": ["question.message -> fail.input_value", "fail.message -> answer.input_value"],
    }
    (folder / "bad.json").write_text(json.dumps(bad))
    made = Flask("site", instance_path=str(tmp_path))
    FlowRunner(
        made,
        flows_dir=str(folder),
        identity=lambda r: r.headers.get("X-User", "ann"),
        memory=request.param,
        plugins=[FailPlugin()],
    )

    @made.post("/ask")
    def ask():
        first = current_runner.run("chat", wanted(), session_id="s")
        second = current_runner.run("chat", wanted() + "!", session_id="s")
        return {
            "texts": [first.text, second.text],
            "ids": [first.run_id, second.run_id],
            "answer": first.to_json(),
            "has output": first.output("answer") is not None,
            "said": [message.text for message in first.messages],
        }

    @made.post("/stream")
    def stream():
        return Response(current_runner.stream("chat", wanted(), session_id="t"))

    yield made
    close_runners(made)


def wanted():
    return request.get_json()["text"]


def send(app, path, text, key=None, user="ann"):
    headers = {"X-User": user, **({} if key is None else {"Idempotency-Key": key})}
    return app.test_client().post(path, json={"text": text}, headers=headers)


def texts(app, session):
    with app.test_request_context():
        return [m.text for m in current_runner.memory.fetch(session_id=session)]


def test_a_request_that_is_sent_again_asks_nothing_again(app):
    first = send(app, "/ask", "hi", "k" * 300)
    again = send(app, "/ask", "hi", "k" * 300)
    assert first.json == again.json
    assert first.json["texts"] == ["hi", "hi!"]
    assert texts(app, "s") == ["hi", "hi", "hi!", "hi!"]
    assert send(app, "/ask", "hi", "k" * 300, user="bob").json["ids"] != first.json["ids"]
    assert send(app, "/ask", "hi").json["ids"] != first.json["ids"]


def test_pieces_are_given_again(app):
    assert [send(app, "/stream", "hi", "k").text for _ in range(2)] == ["hi", "hi"]
    assert texts(app, "t") == ["hi", "hi"]


def test_a_key_may_be_named_where_there_is_no_request(app):
    with app.app_context():
        runs = [
            current_runner.run("chat", "x", session_id="u", identity="ann", idempotency_key="order-7") for _ in range(2)
        ]
        assert runs[0].run_id == runs[1].run_id
        assert runs[0].to_json() == json.loads(json.dumps(runs[1].to_json()))
        with pytest.raises(KeyReused, match="different request"):
            current_runner.run("chat", "y", session_id="u", identity="ann", idempotency_key="order-7")
        with pytest.raises(KeyInvalid, match="1 to 255"):
            current_runner.run("chat", "y", identity="ann", idempotency_key="x" * 256)
    with app.test_request_context(headers={"Idempotency-Key": "k2"}):
        runs = [current_runner.run("chat", "z", session_id="u", idempotency_key="") for _ in range(2)]
        assert runs[0].run_id != runs[1].run_id


def test_a_failure_is_raised_again_and_its_component_not_run_again(app):
    with app.app_context():
        for kind in (ComponentFailed, ReplayedError):
            with pytest.raises(kind, match="no luck") as raised:
                current_runner.run("bad", "x", session_id="v", identity="ann", idempotency_key="f")
            assert (raised.value.status, raised.value.code) == (500, "component_failed")
    assert Fail.times == 1
