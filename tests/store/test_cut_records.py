"""Steps whose values are too large for the run log are shown with what was kept of them."""

import pytest

from flowrunner import Component, Input, Message, Output
from flowrunner.app import create_app, runner_of

#: More containers than a record may have.
LARGE = [[[number]] * 100 for number in range(900)]


class Makes(Component):
    """Has large outputs before and after a message."""

    type_name = "Makes"
    outputs = (Output("before", "Data"), Output("text", "Message"), Output("after", "Data"))

    def run(self, context):
        return {"before": LARGE, "text": context.stamp(Message(text="said", sender="Machine")), "after": LARGE}


class Takes(Component):
    """Has a large input, and a small output."""

    type_name = "Takes"
    inputs = (Input("value", "any", accepts=("Data",)),)
    outputs = (Output("out", "Data"),)

    def run(self, context, value):
        return {"out": {"rows": len(value)}}


@pytest.mark.parametrize("rows", [900, 499, 490, 245], ids="of {} rows".format)
def test_a_run_with_large_values_can_be_looked_at(tmp_path, monkeypatch, rows):
    monkeypatch.setitem(globals(), "LARGE", LARGE[:rows])
    app = create_app(data_dir=tmp_path, auth="none", plugins=[Makes, Takes])
    client = app.test_client()
    graph = {"components": {"m": {"type": "Makes"}, "t": {"type": "Takes"}}, "edges": ["m.before -> t.value"]}
    flow_id = client.post("/api/v1/flows/", json={"name": "c", "data": graph}).json["id"]
    answer = client.post(f"/api/v1/run/{flow_id}", json={"input_value": "hi"})
    assert answer.status_code == 200
    steps = client.get(f"/api/v1/runs/{answer.headers['X-Run-Id']}/steps")
    assert [step["vertex_id"] for step in steps.json["steps"]] == ["m", "t"]
    (trace,) = client.get("/api/v1/monitor/traces").json["traces"]
    assert client.get(f"/api/v1/monitor/traces/{trace['id']}").json["spans"]
    for place in ("builds", "transactions"):
        assert client.get(f"/api/v1/monitor/{place}", query_string={"flow_id": flow_id}).status_code == 200
    runner_of(app).close()
