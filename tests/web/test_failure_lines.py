"""Every failed run is one line of the log: run, flow, component and cause, whichever way it was asked for."""

import json
import logging

import pytest

from flowrunner import Component, Input, Output, hookimpl
from flowrunner.app import create_app, runner_of
from tests.waiting import wait_until

FLOW = {
    "name": "Doomed",
    "endpoint_name": "doomed",
    "components": {"in": {"type": "ChatInput"}, "doom": {"type": "Doom"}, "out": {"type": "ChatOutput"}},
    "edges": ["in.message -> doom.text", "doom.text -> out.input_value"],
}


class Doom(Component):
    type_name = "Doom"
    display_name = "The Doom"
    inputs = (Input("text", "str"),)
    outputs = (Output("text"),)

    def run(self, context, text):
        if text == "odd":
            raise KeyError("api_key=sk-abcdefghijklmnop1234")
        raise ValueError("no more")


class Plugin:
    @hookimpl
    def register_components(self, register):
        register(Doom)


@pytest.fixture
def client(tmp_path):
    (tmp_path / "doomed.json").write_text(json.dumps(FLOW), "utf-8")
    app = create_app(data_dir=tmp_path / "data", flows_dir=str(tmp_path), auth="none", plugins=[Plugin()])
    yield app.test_client()
    runner_of(app).close()


WAYS = {
    "plain": ("/api/v1/run/doomed", {"input_value": "hello"}),
    "streamed": ("/api/v1/run/doomed?stream=true", {"input_value": "hello"}),
    "background": ("/api/v1/run/doomed?background=true", {"input_value": "hello"}),
    "responses": ("/api/v1/responses", {"model": "doomed", "input": "hello"}),
    "responses streamed": ("/api/v1/responses", {"model": "doomed", "input": "hello", "stream": True}),
    "webhook": ("/api/v1/webhook/doomed", {"text": "hello"}),
}


def lines_about(caplog, run_id=None):
    return [record for record in caplog.records if getattr(record, "run_id", None) and record.levelno >= logging.ERROR]


@pytest.mark.parametrize("way", WAYS)
def test_a_failed_run_is_one_line(client, caplog, way):
    path, body = WAYS[way]
    assert client.post(path, json=body).get_data() is not None
    wait_until(lambda: lines_about(caplog))
    (line,) = lines_about(caplog)
    assert (line.flow, line.component, line.code) == ("Doomed", "The Doom", "component_failed")
    assert line.getMessage() == f"run {line.run_id} of Doomed ({line.flow_id}) failed: The Doom: no more"
    others = [record for record in caplog.records if record.levelno >= logging.WARNING and record is not line]
    assert others == []


def test_no_secret_and_no_trace_of_the_component_stand_in_the_line(client, caplog):
    client.post("/api/v1/run/doomed", json={"input_value": "odd"})
    (line,) = lines_about(caplog)
    assert "sk-abcdefghijklmnop1234" not in line.getMessage()


def test_the_answer_keeps_the_words_that_clients_expect(client):
    answer = client.post("/api/v1/run/doomed", json={"input_value": "hello"})
    assert "Error running graph: Error building Component The Doom: no more" in answer.get_data(as_text=True)
