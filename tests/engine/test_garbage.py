"""A run that has ended is gone at once: the garbage collector would keep a dozen of them for a while."""

import gc
from contextlib import suppress

import pytest

from flowrunner import CancelToken, Component, ComponentFailed, Input, Output, RunCancelled
from flowrunner.engine.state import RunState
from tests.engine.test_run import ECHO, Boom, Speaks

WORDS = (
    [("ask", "ChatInput"), ("say", "Speaks"), ("answer", "ChatOutput")],
    [
        "ask.message -> say.value",
        "say.text -> answer.input_value",
    ],
)
FAILS = [("ask", "ChatInput"), ("boom", "TestBoom")], ["ask.message -> boom.value"]
WATCHED = (
    [("ask", "ChatInput"), ("who", "TestWho"), ("answer", "ChatOutput")],
    [
        "ask.message -> who.value",
        "who.text -> answer.input_value",
    ],
)


class Who(Component):
    """Look at all that a context offers."""

    type_name = "TestWho"
    inputs = (Input("value"),)
    outputs = (Output("text"),)

    def run(self, context, value):
        return {"text": f"{context.session.id} {context.variable('NAME')} {context.run_flow} {context.stored_file}"}


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("flow", [ECHO, WORDS, FAILS, WATCHED], ids=["plain", "says words", "fails", "looks around"])
def test_nothing_of_a_run_is_left(make_rig, no_collector, flow):
    rig = make_rig(components=(Boom, Speaks, Who))
    with suppress(ComponentFailed):
        rig.run(*flow)
    assert not _runs_of(rig)


def test_nothing_of_a_cancelled_run_is_left(make_rig, no_collector):
    rig, cancelled = make_rig(components=(Speaks,)), CancelToken()
    cancelled.cancel("enough")
    with pytest.raises(RunCancelled):
        rig.run(*WORDS, cancelled=cancelled)
    assert not _runs_of(rig)


def _runs_of(rig):
    # A thread of the pool may not have put down yet what it did.
    rig.pool.shutdown()
    # Not isinstance(), which fails with a dead proxy of somebody else; nor runs that other tests may have left.
    return [found for found in gc.get_objects() if type(found) is RunState and found.services.pool is rig.pool]
