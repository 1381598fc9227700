"""How much one owner may keep: over HTTP, in an import, and on the command line, in the same words."""

import io
import json
import threading

import pytest

from flowrunner.errors import BadRequest
from flowrunner.store.bounds import Bound
from flowrunner.store.flows import FlowStore
from flowrunner.store.variables import LONGEST_VALUE
from tests.web.site import echo_flow, open_site

VARIABLE = {"name": "x", "value": "y", "type": "Generic", "default_fields": []}


@pytest.fixture
def make(tmp_path):
    from contextlib import ExitStack

    with ExitStack() as stack:

        def do_make(**settings):
            site = stack.enter_context(open_site(tmp_path / "data", **settings))
            site.add_user("ann")
            site.add_user("bob")
            return site

        yield do_make


def sizes(site, user="ann"):
    return [len(json.dumps(flow["data"])) for flow in site.ask(user, "GET", "/api/v1/flows/")]


@pytest.mark.parametrize("way", ["one", "several", "upload", "put"])
def test_one_flow_more_than_one_may_have_is_refused(make, way):
    site = make(max_flows=3)
    for number in range(2):
        site.flow("ann", echo_flow(f"a{number}"))
    flows = [echo_flow("b1"), echo_flow("b2")]
    if way == "one":
        site.flow("ann", flows[0])
        answer = site.call("ann", "POST", "/api/v1/flows/", json=flows[1])
    elif way == "several":
        answer = site.call("ann", "POST", "/api/v1/flows/batch/", json={"flows": flows})
    elif way == "upload":
        data = {"file": (io.BytesIO(json.dumps({"flows": flows}).encode()), "a.json")}
        answer = site.call("ann", "POST", "/api/v1/flows/upload/", data=data)
    else:
        site.flow("ann", flows[0])
        answer = site.call("ann", "PUT", "/api/v1/flows/6f1a4d0e-59a3-5a0c-9f57-3b6c1f6d2a11", json=flows[1])
    assert answer.status_code == 400, answer.text
    assert "at most 3 flows (FLOWRUNNER_MAX_FLOWS)" in answer.get_json()["detail"]
    # All or nothing, and nobody else is kept out.
    assert len(sizes(site)) == (2 if way in ("several", "upload") else 3)
    site.flow("bob", flows[1])


def test_one_that_is_deleted_makes_room_and_one_that_is_changed_needs_none(make):
    site = make(max_flows=1)
    first = site.flow("ann")
    assert site.ask("ann", "PATCH", f"/api/v1/flows/{first}", json={"description": "more"})["description"] == "more"
    assert site.call("ann", "PUT", f"/api/v1/flows/{first}", json=echo_flow("again")).status_code == 200
    site.ask("ann", "DELETE", f"/api/v1/flows/{first}")
    site.flow("ann")


def big(name, size):
    return echo_flow(name, description="x" * size)


@pytest.mark.parametrize("where", ["description", "data", "tags"])
def test_bytes_of_all_flows_are_bounded(make, where):
    def large(name):
        flow = echo_flow(name)
        if where == "data":
            flow["data"]["viewport"] = {"x": "x" * 30_000}
        else:
            flow[where] = "x" * 30_000 if where == "description" else ["x" * 30_000]
        return flow

    site = make(max_flows_size=70_000)
    first = site.flow("ann", large("a"))
    small = site.flow("ann", echo_flow("small"))
    site.flow("ann", large("b"))
    for answer in (
        site.call("ann", "POST", "/api/v1/flows/", json=large("c")),
        site.call("ann", "PATCH", f"/api/v1/flows/{small}", json={**large("c"), "name": "small"}),
        site.call("ann", "PUT", f"/api/v1/flows/{small}", json={**large("c"), "name": "small"}),
    ):
        assert answer.status_code == 413, answer.text
        assert "at most 70000 bytes in total (FLOWRUNNER_MAX_FLOWS_SIZE)" in answer.get_json()["detail"]
    # One that stays as large as it is may be changed.
    assert site.call("ann", "PATCH", f"/api/v1/flows/{first}", json={"name": "c"}).status_code == 200
    assert site.call("ann", "PATCH", f"/api/v1/flows/{first}", json=large("d")).status_code == 200


def test_one_variable_or_key_more_is_refused(make):
    site = make(max_variables=2, max_keys=3)
    for number in range(2):
        site.ask("ann", "POST", "/api/v1/variables/", 201, json={**VARIABLE, "name": f"x{number}"})
    detail = site.ask("ann", "POST", "/api/v1/variables/", 400, json=VARIABLE)["detail"]
    assert "at most 2 variables (FLOWRUNNER_MAX_VARIABLES)" in detail
    site.ask("bob", "POST", "/api/v1/variables/", 201, json=VARIABLE)
    for _ in range(2):
        site.ask("ann", "POST", "/api/v1/api_key/", json={"name": "n"})
    assert "at most 3 keys (FLOWRUNNER_MAX_KEYS)" in site.ask("ann", "POST", "/api/v1/api_key/", 400, json={})["detail"]
    site.ask("bob", "POST", "/api/v1/api_key/", json={"name": "n"})


@pytest.mark.parametrize(
    "variable",
    [
        {"value": "x" * (LONGEST_VALUE + 1)},
        {"default_fields": ["x"] * 101},
        {"default_fields": ["x" * 256]},
        {"name": "x" * 256},
    ],
    ids=["value", "fields", "field", "name"],
)
def test_a_variable_is_no_larger_than_it_may_be(make, variable):
    site = make()
    assert site.call("ann", "POST", "/api/v1/variables/", json={**VARIABLE, **variable}).status_code == 400
    made = site.ask("ann", "POST", "/api/v1/variables/", 201, json={**VARIABLE, "value": "x" * LONGEST_VALUE})
    answer = site.call("ann", "PATCH", f"/api/v1/variables/{made['id']}", json={"id": made["id"], **variable})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "body",
    [{"name": "x" * 256}, {"flows": [str(n) for n in range(1001)]}, {"flows": ["x" * 256]}],
    ids=["name", "flows", "flow"],
)
def test_a_key_is_no_larger_than_it_may_be(make, body):
    assert make().call("ann", "POST", "/api/v1/api_key/", json=body).status_code == 400


def test_the_last_place_is_taken_once(engine, tmp_path):
    store, results = FlowStore(engine, tmp_path, each=Bound(5, setting="MAX_FLOWS")), []
    start = threading.Barrier(8)

    def create():
        start.wait(30)
        try:
            results.append(store.create("ann", {"name": "a", "data": {"nodes": [], "edges": []}}).name)
        except BadRequest:
            results.append(None)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 8 and results.count(None) == 3
    assert store.count("ann") == 5


def test_the_command_line_says_the_same(make, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from flowrunner.cli import cli

    monkeypatch.setenv("FLOWRUNNER_MAX_KEYS", "1")
    arguments = ["keys", "create", "--user", "ann", "--data-dir", str(tmp_path)]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    refused = CliRunner().invoke(cli, arguments)
    assert refused.exit_code == 1
    assert "at most 1 keys (FLOWRUNNER_MAX_KEYS)" in str(refused.exception)
