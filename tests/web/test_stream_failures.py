"""Streams of runs whose result cannot be sent: they end with an error, as all others end with their last event."""

import json

import pytest

from flowrunner import Component, Input, Output
from tests.web.site import flow_through, open_site


class Nest(Component):
    """Return lists within lists, more of them than an answer can follow."""

    type_name = "Nest"
    inputs = (Input("input_value"),)
    outputs = (Output("output", "Data"),)

    def run(self, context, input_value):
        nested = []
        for _ in range(2000):
            nested = [nested]
        return {"output": nested}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with open_site(tmp_path_factory.mktemp("site"), plugins=[Nest]) as site:
        site.add_user("ann")
        flow = flow_through("Nest", {"input_value": {"value": "", "type": "str"}})
        flow["data"]["edges"].pop()
        site.flow("ann", flow)
        yield site


@pytest.mark.parametrize("kind", ["true", "sse"])
def test_a_result_that_cannot_be_sent_ends_its_stream_with_an_error(site, kind):
    body = {"input_value": "hi", "output_type": "debug"}
    headers = {"Idempotency-Key": f"nested-{kind}"}
    answers = [
        site.call("ann", "POST", f"/api/v1/run/through?stream={kind}", json=body, headers=headers).text
        for _ in range(2)
    ]
    last = [line for line in answers[0].splitlines() if line][-1]
    told = json.loads(last.removeprefix("data: "))
    assert told.get("data", told) == {"error": "Internal Server Error", "code": "internal_error"}
    # With a key, the same is said again.
    assert answers[1] == answers[0]


@pytest.mark.parametrize("kind", ["true", "sse"])
def test_an_event_that_cannot_be_made_ends_its_stream_with_one_error(site, kind, monkeypatch):
    def fail(message, *, with_id):
        raise ValueError("no message")

    monkeypatch.setattr("flowrunner.web.langflow_events.message_json", fail)
    said = site.call("ann", "POST", f"/api/v1/run/through?stream={kind}", json={"input_value": "hi"}).text
    assert said.count("Internal Server Error") == said.count('"internal_error"') == 1


@pytest.mark.parametrize("events", ["openai", "chunks"])
def test_a_response_whose_events_cannot_be_made_is_told_to_have_failed(site, events, monkeypatch):
    def fail(result):
        raise ValueError("no usage")

    monkeypatch.setattr("flowrunner.web.response_events.usage_of", fail)
    body = {"model": "through", "input": "hi", "stream": True}
    said = site.call("ann", "POST", f"/api/v1/responses?events={events}", json=body).get_data(as_text=True)
    assert "event: response.failed" in said if events == "openai" else said.endswith("data: [DONE]\n\n")
    assert "Internal Server Error" in said
