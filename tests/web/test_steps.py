"""The steps of a run: what each component did, when, and with what."""

import uuid

import pytest

from flowrunner.app import create_app
from tests.web.site import echo_flow, open_site

ROUTER = {
    "components": {
        "in": {"type": "ChatInput"},
        "if": {"type": "ConditionalRouter", "settings": {"operator": "contains", "match_text": "help"}},
        "yes": {"type": "ChatOutput"},
        "no": {"type": "ChatOutput"},
    },
    "edges": ["in.message -> if.input_text", "if.true_result -> yes.input_value", "if.false_result -> no.input_value"],
}


@pytest.fixture
def talk(tmp_path):
    with open_site(tmp_path) as site:
        site.add_user("ann")
        site.add_user("bob")
        yield site


def make(site, data, name="made"):
    return site.ask("ann", "POST", "/api/v1/flows/", 201, json={"name": name, "endpoint_name": name, "data": data})[
        "id"
    ]


def steps_of(site, run, query="", status=200, user="ann"):
    return site.ask(user, "GET", f"/api/v1/runs/{run}/steps{query}", status)


def last_run(site):
    return site.ask("ann", "GET", "/api/v1/runs?limit=1")["items"][0]["id"]


def test_each_step_says_when_and_with_what(talk):
    make(talk, ROUTER)
    talk.ask("ann", "POST", "/api/v1/run/made", json={"input_value": "please help", "session_id": "s"})
    run = talk.ask("ann", "GET", f"/api/v1/runs/{last_run(talk)}")
    page = steps_of(talk, run["id"])
    assert page["cursor"] is None
    assert [(step["number"], step["vertex_id"], step["status"]) for step in page["steps"]] == [
        (0, "in", "success"),
        (1, "if", "success"),
        (2, "yes", "success"),
    ]
    asked, decided, said = page["steps"]
    assert asked["inputs"]["input_value"] == "please help"
    assert asked["outputs"] == {"message": "please help"}
    assert decided["untaken"] == ["false_result"]
    assert (said["name"], said["type"], said["error"]) == ("Chat Output", "ChatOutput", None)
    moments = [moment for step in page["steps"] for moment in (step["started_at"], step["ended_at"])]
    assert moments == sorted(moments), "they ran one after the other"
    assert run["started_at"] <= moments[0] and moments[-1] <= run["ended_at"]


def test_a_failed_step_says_why(talk):
    failing = {
        **ROUTER,
        "components": {
            **ROUTER["components"],
            "if": {"type": "ConditionalRouter", "settings": {"operator": "regex", "match_text": "("}},
        },
    }
    make(talk, failing)
    talk.ask("ann", "POST", "/api/v1/run/made", 500, json={"input_value": "x"})
    last = steps_of(talk, last_run(talk))["steps"][-1]
    assert (last["vertex_id"], last["status"], last["outputs"]) == ("if", "error", {})
    assert "if" in last["error"] or "If" in last["error"]


def test_pages(talk):
    make(talk, ROUTER)
    talk.ask("ann", "POST", "/api/v1/run/made", json={"input_value": "x"})
    run = last_run(talk)
    whole = steps_of(talk, run)["steps"]
    first = steps_of(talk, run, "?limit=2")
    assert (first["steps"], first["cursor"]) == (whole[:2], 1)
    assert steps_of(talk, run, "?limit=2&after=1") == {"steps": whole[2:], "cursor": None}
    assert steps_of(talk, run, "?after=99") == {"steps": [], "cursor": None}
    for query in ("?limit=0", "?limit=201", "?after=-1", "?after=x"):
        steps_of(talk, run, query, 422)


def test_secrets_are_masked(talk):
    talk.flow("ann", echo_flow("secretive"))
    secret = "sk-" + "aB3dE6gH9jK2mN5pQ8sT1vW4"
    talk.ask("ann", "POST", "/api/v1/run/secretive", json={"input_value": f"it is {secret}", "session_id": "s"})
    page = steps_of(talk, last_run(talk))
    assert len(page["steps"]) == 2
    assert secret not in str(page)


def test_steps_are_their_owners_and_their_authors(talk):
    talk.flow("ann", echo_flow("one"))
    talk.say("ann", "one", "hello", "s")
    run = last_run(talk)
    missing = steps_of(talk, str(uuid.uuid4()), status=404)
    assert steps_of(talk, run, status=404, user="bob") == missing
    talk.add_user("ann", "limited", flows=["one"])
    steps_of(talk, run, status=403, user="limited")
    talk.add_user("root", admin=True)
    assert len(steps_of(talk, run, user="root")["steps"]) == 2


def test_without_a_run_log_what_was_recorded_before_is_there(tmp_path):
    with open_site(tmp_path, memory="sqlite") as site:
        site.add_user("ann")
        site.flow("ann", echo_flow("one"))
        site.say("ann", "one", "hello", "s")
        run, key = last_run(site), site.keys["ann"]
        assert len(steps_of(site, run)["steps"]) == 2
    app = create_app(data_dir=tmp_path, memory="sqlite", run_log=False)
    answer = app.test_client().get(f"/api/v1/runs/{run}/steps", headers={"x-api-key": key})
    assert len(answer.json["steps"]) == 2
    app.extensions["flowrunner"]["flowrunner"].close()


def test_who_may_only_talk_is_told_of_no_component_while_it_runs(talk):
    talk.flow("ann", echo_flow("one"))
    talk.add_user("ann", "limited", flows=["one"])
    told = {}
    for user in ("ann", "limited"):
        path = "/api/v1/run/one?stream=sse&vertices=true"
        answer = talk.call(user, "POST", path, json={"input_value": "x"})
        assert "event: end" in answer.text
        told[user] = answer.text.count("event: vertex_")
    assert told == {"ann": 4, "limited": 0}


def test_large_steps_are_shown_on_more_pages(talk, monkeypatch):
    make(talk, ROUTER)
    talk.ask("ann", "POST", "/api/v1/run/made", json={"input_value": "please help"})
    run = last_run(talk)
    whole = steps_of(talk, run)["steps"]
    monkeypatch.setattr("flowrunner.memory.paging.MOST_CHARACTERS", 1)
    found, cursor = [], ""
    while cursor is not None:
        page = steps_of(talk, run, f"?after={cursor}" if cursor != "" else "")
        assert len(page["steps"]) == 1
        found, cursor = found + page["steps"], page["cursor"]
    assert found == whole and len(found) == 3
