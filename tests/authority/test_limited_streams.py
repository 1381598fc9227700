"""What a limited key may read of streams: those that show the outputs of a flow alone."""

import pytest

from flowrunner.store.streams import StreamTable
from tests.web.site import flow_through, open_site

SECRET = "the author's instructions"
PROMPT = {
    "template": {"type": "prompt", "name": "template", "value": SECRET + " {x}"},
    "x": {"type": "str", "name": "x", "value": ""},
}
#: What the result says of the prompt, as it does of each output that is shown.
SHOWN = '"component_id":"Prompt-m"'
WHOLE = {"input_value": "hello", "output_type": "any", "output_component": "Prompt-m"}


@pytest.fixture(params=["file", "database"])
def site(request, tmp_path):
    with open_site(tmp_path) as made:
        if request.param == "database":
            blueprint = made.app.blueprints["flowrunner"]
            blueprint._streams = StreamTable(made.runner.engine)
        made.add_user("ann")
        flow = flow_through("Prompt", PROMPT, output="prompt", field="x", name="one")
        made.flow("ann", flow)
        made.add_user("ann", "limited", flows=["one"])
        yield made


def run(site, user, query="", body=WHOLE):
    answer = site.call(user, "POST", f"/api/v1/run/one?stream=sse{query}", json=body)
    return answer.headers["X-Run-Id"], answer.text


def texts_again(site, user, run_id):
    """Return what the two ways of taking a stream up answer."""
    events = site.call(user, "GET", f"/api/v1/runs/{run_id}/events")
    rest = site.call(user, "POST", "/api/v1/run/one?stream=sse", json={}, headers={"Last-Event-ID": f"{run_id}:0"})
    assert events.status_code == 200
    return events.text, rest


def test_a_stream_of_its_author_is_withheld_from_a_limited_key(site):
    run_id, text = run(site, "ann")
    assert SHOWN in text
    events, rest = texts_again(site, "limited", run_id)
    assert SHOWN not in events
    assert rest.status_code == 404
    events, rest = texts_again(site, "ann", run_id)
    assert SHOWN in events
    assert SHOWN in rest.text


def test_a_stream_of_a_limited_key_is_taken_up_by_it_and_by_the_author(site):
    run_id, text = run(site, "limited")
    assert SHOWN not in text
    for user in ("limited", "ann"):
        events, rest = texts_again(site, user, run_id)
        assert rest.status_code == 200
        assert "event: end" in rest.text
        assert "event: end" in events


def test_what_components_do_is_withheld_from_a_limited_key_also_afterwards(site):
    run_id, text = run(site, "ann", "&vertices=true", {"input_value": "hello"})
    assert "event: vertex_finished" in text
    events, rest = texts_again(site, "limited", run_id)
    assert "vertex_" not in events and "event: end" in events
    assert rest.status_code == 404
    assert "event: vertex_finished" in texts_again(site, "ann", run_id)[0]
    run_id, text = run(site, "limited", "&vertices=true", {"input_value": "hello"})
    assert "vertex_" not in text
    events, rest = texts_again(site, "limited", run_id)
    assert "vertex_" not in events + rest.text and "event: end" in rest.text
