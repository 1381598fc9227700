"""What of a flow is left out is said: in the answer of a run, of an upload, in the log, and by a setting not at all."""

from __future__ import annotations

import io
import json
import logging

import pytest

from flowrunner import SettingsInvalid
from flowrunner.authority import Capability, may
from tests.waiting import wait_until

LEFT_OUT = "Web (web) is left out: no plugin offers NoSuchTool."
NODES = {
    "in": {"type": "ChatInput"},
    "out": {"type": "ChatOutput"},
    "web": {"type": "NoSuchTool", "display_name": "Web"},
    "agent": {"type": "Prompt", "settings": {"template": "{x}"}},
}
EDGES = ["in.message -> agent.x", "agent.prompt -> out.input_value", "web.component_as_tool -> agent.tools"]


def flow(**more):
    return {"name": "lacks", "data": {"components": NODES, "edges": EDGES}, **more}


@pytest.fixture
def lacking(site):
    stored = site.ask("ann", "POST", "/api/v1/flows/", 201, json=flow())
    return site, stored


def test_an_upload_says_what_a_run_leaves_out(lacking):
    site, stored = lacking
    assert LEFT_OUT in stored["warnings"]
    path = f"/api/v1/flows/{stored['id']}"
    assert LEFT_OUT in site.ask("ann", "PATCH", path, json={"description": "d"})["warnings"]
    assert LEFT_OUT in site.ask("ann", "PUT", path, json=flow())["warnings"]
    for answer in site.ask("ann", "POST", "/api/v1/flows/batch/", 201, json={"flows": [flow(), flow()]}):
        assert LEFT_OUT in answer["warnings"]
    file = {"file": (io.BytesIO(json.dumps(flow()).encode()), "lacks.json")}
    (answer,) = site.ask("ann", "POST", "/api/v1/flows/upload/", 201, data=file)
    assert LEFT_OUT in answer["warnings"]


def test_an_upload_says_why_a_flow_cannot_run(site):
    needed = {"components": {"x": {"type": "NoSuchType"}, "out": {"type": "ChatOutput"}}, "edges": ["x.text -> out"]}
    stored = site.ask("ann", "POST", "/api/v1/flows/", 201, json={"name": "n", "data": needed})
    assert stored["warnings"] == [
        "No plugin offers NoSuchType (vertex x), which the flow n needs; run flowrunner check for details."
    ]


@pytest.mark.parametrize("data", [None, {"nodes": [], "edges": []}], ids=["no graph", "an empty graph"])
def test_a_flow_that_lacks_nothing_has_no_warnings(site, data):
    assert "warnings" not in site.ask("ann", "POST", "/api/v1/flows/", 201, json={"name": "n", "data": data})
    whole = {"components": {"in": {"type": "ChatInput"}, "out": {"type": "ChatOutput"}}, "edges": ["in -> out"]}
    stored = site.ask("ann", "POST", "/api/v1/flows/", 201, json={"name": "w", "data": whole})
    assert "warnings" not in stored
    assert "warnings" not in site.ask("ann", "POST", f"/api/v1/run/{stored['id']}", json={"input_value": "hi"})


@pytest.mark.parametrize("envelope", ["", "1.0"])
def test_the_answer_of_a_run_says_it_beside_the_envelope(lacking, envelope):
    site, stored = lacking
    query = f"?envelope={envelope}" if envelope else ""
    answer = site.ask("ann", "POST", f"/api/v1/run/{stored['id']}{query}", json={"input_value": "hi"})
    assert LEFT_OUT in answer["warnings"]
    assert answer["outputs"][0]["outputs"][0]["results"]["message"]["text"] == "hi"


def test_the_end_of_a_stream_says_it(lacking):
    site, stored = lacking
    answer = site.call("ann", "POST", f"/api/v1/run/{stored['id']}?stream=true", json={"input_value": "hi"})
    last = json.loads(answer.get_data(as_text=True).strip().split("\n\n")[-1])
    assert LEFT_OUT in last["data"]["result"]["warnings"]


def test_a_response_says_it(lacking):
    site, stored = lacking
    answer = site.ask("ann", "POST", "/api/v1/responses", json={"model": stored["id"], "input": "hi"})
    assert LEFT_OUT in answer["warnings"]


def test_a_line_of_the_log_says_it_once(site, caplog):
    with caplog.at_level(logging.WARNING, "flowrunner"):
        stored = site.ask("ann", "POST", "/api/v1/flows/", 201, json=flow())
        site.ask("ann", "POST", f"/api/v1/run/{stored['id']}", json={"input_value": "hi"})
    said = [record.getMessage() for record in caplog.records if "NoSuchTool" in record.getMessage()]
    assert said == [f"The flow lacks ({stored['id']}): {LEFT_OUT}"]


def test_a_setting_refuses_to_run_what_lacks_a_component(make_site):
    site = make_site(unknown="refuse")
    site.add_user("ann")
    stored = site.ask("ann", "POST", "/api/v1/flows/", 201, json=flow())
    refusal = "No plugin offers NoSuchTool (vertex web), which the flow lacks has; run flowrunner check for details."
    assert stored["warnings"] == [refusal]
    answer = site.call("ann", "POST", f"/api/v1/run/{stored['id']}", json={"input_value": "hi"})
    assert (answer.status_code, refusal in answer.get_data(as_text=True)) == (422, True)
    assert site.messages("ann") == []


@pytest.mark.parametrize("word", ["", "ignore", "leave_out", "Refuse"])
def test_another_word_for_the_setting_is_refused(make_site, word):
    with pytest.raises(SettingsInvalid, match="FLOWRUNNER_UNKNOWN"):
        make_site(unknown=word)


def test_who_may_not_see_what_a_flow_is_made_of_is_told_nothing_of_it(lacking):
    site, stored = lacking
    site.add_user("ann", "talker", flows=[stored["id"]])
    asked = {"json": {"input_value": "hi", "output_type": "debug"}}
    answer = site.ask("talker", "POST", f"/api/v1/run/{stored['id']}", **asked)
    assert ("warnings" in answer) is may_see(site, "talker")


def may_see(site, user):
    identity = site.runner.stores.keys.identify(site.keys[user])
    return may(identity, Capability.AUTHOR)


def test_the_record_of_a_webhooks_run_says_it(site):
    """What answers the call itself is sent before anything is planned."""
    components = {
        "hook": {"type": "Webhook"},
        "parse": {"type": "ParserComponent", "settings": {"mode": "Stringify"}},
        "said": {"type": "ChatOutput"},
        "odd": {"type": "NoSuchTool"},
    }
    data = {"components": components, "edges": ["hook -> parse.input_data", "parse -> said"]}
    stored = site.ask("ann", "POST", "/api/v1/flows/", 201, json={"name": "hook", "data": data})
    run_id = site.ask("ann", "POST", f"/api/v1/webhook/{stored['id']}", 202, json={"a": 1})["run_id"]
    path = f"/api/v1/runs/{run_id}"
    run = wait_until(lambda: (found := site.ask("ann", "GET", path))["ended_at"] and found)
    said = ["NoSuchTool (odd) is left out: no plugin offers NoSuchTool."]
    assert run["warnings"] == said
    (listed,) = site.ask("ann", "GET", f"/api/v1/runs?flow_id={stored['id']}")["items"]
    assert listed["warnings"] == said
