"""An accepted run whose request a later release cannot read ends, and keeps nobody of its session waiting."""

import json

import pytest

from flowrunner.app import create_app, runner_of
from flowrunner.memory.message import new_id
from tests.waiting import wait_until

WHO = {"id": "local", "flows": None}


@pytest.mark.parametrize(
    "kept",
    [
        json.dumps({"request": {"a_member_of_old": 1}, "identity": WHO}),
        json.dumps({"request": {}, "identity": {**WHO, "a_member_of_old": 1}}),
        json.dumps({"request": {}}),
        "no json",
    ],
    ids=["request", "identity", "no identity", "no json"],
)
def test_it_ends_with_an_error(tmp_path, kept):
    runner = runner_of(create_app(data_dir=tmp_path, auth="none", memory="in-memory", flows_dir="examples/flows"))
    run_id = new_id()
    flow = runner.library.folders.find("basic-chat")
    runner.runs.ledger.accept(
        id=run_id,
        owner="local",
        flow_id=flow.id,
        session_id=None,
        kind="background",
        process=None,
        lane="one",
        request=runner.runs.box.close(kept),
    )
    runner.runs.wake()
    row = wait_until(lambda: (found := runner.runs.ledger.find(run_id, "local")).ended_at and found)
    assert (row.status, json.loads(row.error)[0]) == ("error", "internal_error")
    assert runner.runs.ledger.first_open(["one"]) == {}
    runner.close()
