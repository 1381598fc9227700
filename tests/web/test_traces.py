"""Runs as traces, in the reference server's page."""

import pytest

from tests.web.site import echo_flow

PATH = "/api/v1/monitor/traces"
MEMBERS = {
    "id", "name", "status", "startTime", "totalLatencyMs", "totalTokens", "flowId", "sessionId", "input", "output",
}  # fmt: skip


@pytest.fixture
def talk(site):
    flow, other = site.flow("ann", echo_flow("one")), site.flow("ann", echo_flow("two"))
    for text, session in (("a", "s0"), ("b", "s1"), ("c", "s1")):
        site.say("ann", flow, text, session)
    site.say("ann", other, "d", "s0")
    broken = {"components": {"in": {"type": "ChatInput"}, "if": {"type": "ConditionalRouter", "settings": {
        "operator": "regex", "match_text": "("}}, "out": {"type": "ChatOutput"}},
        "edges": ["in.message -> if.input_text", "if.true_result -> out.input_value"]}  # fmt: skip
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
