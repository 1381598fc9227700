"""What one of two servers has changed holds at once at the other: keys, variables, flows, conversations, and whose."""

import sys
import uuid

import pytest

from tests.web.site import echo_flow
from tests.web.test_isolation import walk

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers through /proc")


def test_nothing_of_another_is_seen_or_touched(clean_site):
    assert walk(clean_site, most=1) > 40


def test_a_key_that_one_host_revokes_or_changes_is_refused_by_both(hosts):
    for change in ("revoke", "rotate"):
        one, other = hosts.pair()
        made = one.post("/api/v1/api_key/", {"name": change}).json()
        key, path = {"x-api-key": made["api_key"]}, f"/api/v1/api_key/{made['id']}"
        for site in (one, other, one, other):
            assert site.ask("GET", "/api/v1/flows/", headers=key).status_code == 200
        done = one.ask("DELETE", path) if change == "revoke" else one.post(f"{path}/rotate")
        assert done.status_code == 200, done.text
        for site in (other, one):
            assert site.ask("GET", "/api/v1/flows/", headers=key).status_code == 403
        if change == "rotate":
            key = {"x-api-key": done.json()["api_key"]}
            assert {site.ask("GET", "/api/v1/flows/", headers=key).status_code for site in hosts} == {200}


def named_by(flow, value, load):
    """Return the data of a flow whose answer has a sender's name: a text, or that of a variable."""
    field = {"value": value, "load_from_db": load, "type": "str", "show": True}
    flow["data"]["nodes"][1]["data"]["node"]["template"] = {"sender_name": field}
    return flow


def test_a_flow_and_a_variable_that_one_host_changes_are_new_at_the_other(hosts):
    name = f"word-{uuid.uuid4()}"
    kept = {"name": name, "value": "first", "type": "Generic", "default_fields": []}
    variable = hosts.post("/api/v1/variables/", kept).json()["id"]
    flow = hosts.post("/api/v1/flows/", named_by(echo_flow(name), name, True)).json()["id"]

    def ask(site):
        return site.post(f"/api/v1/run/{name}", {"input_value": "hi", "session_id": name})

    def answers_as(site):
        answer = ask(site)
        assert answer.status_code == 200, answer.text
        return answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["sender_name"]

    for number in range(3):
        one, other = hosts.pair()
        changed = one.ask("PATCH", f"/api/v1/variables/{variable}", json={**kept, "value": f"value {number}"})
        assert changed.status_code == 200, changed.text
        assert answers_as(other) == answers_as(one) == f"value {number}"
        data = named_by(echo_flow(name), f"text {number}", False)["data"]
        assert other.ask("PATCH", f"/api/v1/flows/{flow}", json={"data": data}).status_code == 200
        assert answers_as(one) == answers_as(other) == f"text {number}"
        data = named_by(echo_flow(name), name, True)["data"]
        assert one.ask("PATCH", f"/api/v1/flows/{flow}", json={"data": data}).status_code == 200
    one, other = hosts.pair()
    assert one.ask("DELETE", f"/api/v1/variables/{variable}").status_code in (200, 204)
    assert f"the variable {name}, which sender_name names, is not set" in ask(other).text
    assert other.ask("DELETE", f"/api/v1/flows/{flow}").status_code in (200, 204)
    assert ask(one).status_code == 404


def test_a_conversation_that_one_host_changes_is_changed_at_the_other(hosts):
    session, (one, other) = f"talk-{uuid.uuid4()}", hosts.pair()

    def texts(site, name=session):
        return [m["text"] for m in site.get(f"/api/v1/monitor/messages?session_id={name}")]

    assert one.post("/api/v1/run/plain", {"input_value": "hi", "session_id": session}).status_code == 200
    assert texts(other) == ["hi", "hi"]
    first = other.get(f"/api/v1/monitor/messages?session_id={session}")[0]
    edited = other.ask("PUT", f"/api/v1/monitor/messages/{first['id']}", json={"text": "ho"})
    assert edited.status_code == 200, edited.text
    assert texts(one) == ["ho", "hi"]
    renamed = one.ask("PATCH", f"/api/v1/monitor/messages/session/{session}?new_session_id={session}-new")
    assert renamed.status_code == 200, renamed.text
    assert (texts(other), texts(other, f"{session}-new")) == ([], ["ho", "hi"])
    assert f"{session}-new" in other.get("/api/v1/monitor/messages/sessions")
    assert other.ask("DELETE", f"/api/v1/monitor/messages/session/{session}-new").status_code == 204
    assert f"{session}-new" not in one.get("/api/v1/monitor/messages/sessions")
