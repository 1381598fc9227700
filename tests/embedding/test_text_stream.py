"""A site's stream of text, whose visitor leaves."""

import socket

import pytest

from flowrunner import Component, Input, Output
from flowrunner.engine.request import RunRequest
from flowrunner.errors import RunCancelled
from flowrunner.identity import Identity
from flowrunner.site.text_stream import TextStream
from flowrunner.web.call import Call
from tests.waiting import wait_until
from tests.web.site import flow_through, open_site


class Waits(Component):
    """Wait until the run is cancelled."""

    type_name = "Waits"
    inputs = (Input("input_value"),)
    outputs = (Output("output", "Text"),)
    blocking = True

    def run(self, context, input_value):
        context.cancelled.wait(60)
        context.cancelled.raise_if_set()
        return {"output": ""}


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, plugins=[Waits]) as site:
        yield site


def streamed(site, environ):
    ann = Identity(site.add_user("ann"))
    flow = site.flow("ann", flow_through("Waits", {"input_value": {"value": "", "type": "str"}}))
    asked = RunRequest(input_value="hi", streaming=True)
    return TextStream(Call(site.runner, site.runner.find(flow, ann), asked, ann, environ))


def test_a_visitor_who_left_is_not_told_that_the_run_was_cancelled(site):
    here, there = socket.socketpair()
    with here:
        made = streamed(site, {"gunicorn.socket": here})
        there.close()
        # The thread that looks after runs may see it before the reader does.
        site.runner.runs.registry.cancel_left()
        assert wait_until(lambda: made.failure is not None, 30)
        assert list(made.pieces()) == []


def test_who_is_there_is_told(site):
    made = streamed(site, {})
    made.cancelled.cancel("the user cancelled it")
    with pytest.raises(RunCancelled, match="the user cancelled it"):
        list(made.pieces())
