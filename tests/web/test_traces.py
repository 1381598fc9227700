"""Runs as traces, in the reference server's page."""

import pytest

from flowrunner.testing.model_script import Say
from flowrunner.testing.model_server import ModelServer
from tests.web.site import echo_flow

PATH = "/api/v1/monitor/traces"
KEY = "sk-not-a-real-key-0123456789"
MEMBERS = {
    "id",
    "name",
    "status",
    "startTime",
    "totalLatencyMs",
    "totalTokens",
    "flowId",
    "sessionId",
    "input",
    "output",
}


@pytest.fixture
def talk(site):
    flow, other = site.flow("ann", echo_flow("one")), site.flow("ann", echo_flow("two"))
    for text, session in (("a", "s0"), ("b", "s1"), ("c", "s1")):
        site.say("ann", flow, text, session)
    site.say("ann", other, "d", "s0")
    broken = {
        "components": {
            "in": {"type": "ChatInput"},
            "if": {"type": "ConditionalRouter", "settings": {"operator": "regex", "match_text": "("}},
            "out": {"type": "ChatOutput"},
        },
        "edges": ["in.message -> if.input_text", "if.true_result -> out.input_value"],
    }
    failing = site.ask("ann", "POST", "/api/v1/flows/", 201, json={"name": "bad", "data": broken})["id"]
    site.ask("ann", "POST", f"/api/v1/run/{failing}", 500, json={"input_value": "e"})
    return site, flow, failing


def names(page):
    return [(trace["name"], trace["sessionId"]) for trace in page["traces"]]


def test_a_page_has_the_newest_first(talk):
    site, flow, failing = talk
    page = site.ask("ann", "GET", PATH)
    assert (page["total"], page["pages"]) == (5, 1)
    assert [name for name, _ in names(page)] == ["bad", "two", "one", "one", "one"]
    assert all(trace.keys() == MEMBERS for trace in page["traces"])
    first, last = page["traces"][0], page["traces"][-1]
    assert (first["status"], first["flowId"]) == ("error", failing)
    assert (last["status"], last["sessionId"], last["flowId"]) == ("ok", "s0", flow)
    assert last["totalLatencyMs"] >= 0 and last["startTime"]
    runs = {run["id"] for run in site.ask("ann", "GET", "/api/v1/runs")["items"]}
    assert {trace["id"] for trace in page["traces"]} == runs


def test_filters_and_pages(talk):
    site, flow, failing = talk
    assert site.ask("ann", "GET", f"{PATH}?flow_id={flow}")["total"] == 3
    assert names(site.ask("ann", "GET", f"{PATH}?flow_id={flow}&session_id=s1")) == [("one", "s1")] * 2
    assert names(site.ask("ann", "GET", f"{PATH}?status=error")) == [("bad", failing)]
    assert site.ask("ann", "GET", f"{PATH}?status=unset") == {"traces": [], "total": 0, "pages": 0}
    for query, expected in (("page=2&size=2", 2), ("page=3&size=2", 1), ("page=4&size=2", 0), ("page=0&size=2", 2)):
        page = site.ask("ann", "GET", f"{PATH}?{query}")
        assert (len(page["traces"]), page["total"], page["pages"]) == (expected, 5, 3)
    for query in ("page=-1", "size=0", "size=201", "status=success", "flow_id=x"):
        site.ask("ann", "GET", f"{PATH}?{query}", 422)


def test_traces_are_their_owners_and_a_key_of_one_flow_sees_its_own(talk):
    site, flow, failing = talk
    nothing = {"traces": [], "total": 0, "pages": 0}
    assert site.ask("bob", "GET", PATH) == site.ask("bob", "GET", f"{PATH}?flow_id={flow}") == nothing
    site.add_user("ann", "limited", flows=[flow])
    assert site.ask("limited", "GET", PATH)["total"] == 3
    assert site.ask("limited", "GET", f"{PATH}?flow_id={failing}") == nothing


def test_without_a_run_log_there_are_none(make_site):
    site = make_site(run_log=False)
    site.add_user("ann")
    site.say("ann", site.flow("ann"), "a", "s")
    assert site.ask("ann", "GET", PATH)["traces"] == []


@pytest.fixture
def asked(make_site):
    """Return a site, and a run of a flow in which a model is asked, its message passed on, and a branch left out."""
    with ModelServer(lambda body: Say(("Ahoy ", "there"))) as model:
        site = make_site(model="openai:stand-in", model_base_urls=f"all={model.url}")
        site.add_user("ann")
        components = {
            "in": {"type": "ChatInput"},
            "model": {"type": "OpenAIModel", "settings": {"api_key": KEY, "model_name": "stand-in"}},
            "again": {"type": "Pass"},
            "if": {"type": "ConditionalRouter", "settings": {"operator": "contains", "match_text": "Ahoy"}},
            "out": {"type": "ChatOutput"},
            "no": {"type": "TextOutput"},
        }
        edges = [
            "in.message -> model.input_value",
            "model.text_output -> again.input_message",
            "again.output_message -> if.input_text",
            "if.true_result -> out.input_value",
            "if.false_result -> no.input_value",
        ]
        flow = site.ask(
            "ann", "POST", "/api/v1/flows/", 201, json={"name": "m", "data": {"components": components, "edges": edges}}
        )
        site.say("ann", flow["id"], "hello", "s")
        yield site, site.ask("ann", "GET", PATH)["traces"][0]


def test_a_trace_has_a_span_for_each_component_and_the_tokens_of_its_models_once(asked):
    site, listed = asked
    trace = site.ask("ann", "GET", f"{PATH}/{listed['id']}")
    assert trace.keys() == MEMBERS | {"endTime", "spans"}
    assert {name: trace[name] for name in MEMBERS - {"input", "output"}} == {
        name: listed[name] for name in MEMBERS - {"input", "output"}
    }
    assert (listed["totalTokens"], trace["totalTokens"]) == (15, 15)
    assert trace["input"]["input_value"] == "hello"
    assert trace["output"]["message"] == "Ahoy there"
    spans = {span["name"]: span for span in trace["spans"]}
    assert [span["type"] for span in trace["spans"]] == ["chain", "llm", "chain", "chain", "chain"]
    assert all(span["status"] == "ok" and span["children"] == [] for span in trace["spans"])
    assert all(span["startTime"] <= span["endTime"] for span in trace["spans"])
    (model,) = [span for span in trace["spans"] if span["tokenUsage"] is not None]
    assert model["tokenUsage"] == {"promptTokens": 7, "completionTokens": 8, "totalTokens": 15}
    assert model["modelName"] == "stand-in"
    assert len({span["id"] for span in trace["spans"]}) == len(spans) == 5
    assert KEY not in str(trace)
    steps = site.ask("ann", "GET", f"/api/v1/runs/{listed['id']}/steps")["steps"]
    assert [step["usage"] and step["usage"]["total_tokens"] for step in steps] == [None, 15, None, None, None]


def test_a_trace_of_a_failure_says_what_failed(talk):
    site, flow, failing = talk
    listed = next(one for one in site.ask("ann", "GET", PATH)["traces"] if one["flowId"] == failing)
    trace = site.ask("ann", "GET", f"{PATH}/{listed['id']}")
    assert (trace["status"], trace["totalTokens"]) == ("error", 0)
    assert [(span["status"], span["error"] is None) for span in trace["spans"]] == [("ok", True), ("error", False)]


def test_a_trace_is_its_owners_and_shows_who_may_only_talk_no_component(talk):
    site, flow, failing = talk
    own, bad = (
        next(one["id"] for one in site.ask("ann", "GET", PATH)["traces"] if one["flowId"] == id)
        for id in (flow, failing)
    )
    site.add_user("ann", "limited", flows=[flow])
    for who, run in (("bob", own), ("limited", bad), ("ann", "00000000-0000-0000-0000-000000000000")):
        assert site.ask(who, "GET", f"{PATH}/{run}", 404)["detail"] in ("Trace not found", "Run not found")
    site.ask("ann", "GET", f"{PATH}/x", 422)
    assert site.ask("limited", "GET", f"{PATH}/{own}")["spans"] == []
    assert len(site.ask("ann", "GET", f"{PATH}/{own}")["spans"]) == 2
