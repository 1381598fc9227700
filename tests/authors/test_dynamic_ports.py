"""Components whose inputs and outputs depend on settings, and that do not say them as they should."""

from __future__ import annotations

import sys

import pytest

from flowrunner import Component, Input, Output
from flowrunner.engine.plan import make_plan
from flowrunner.errors import EdgeInvalid, FlowInvalid
from flowrunner.flows.check import check_flow
from flowrunner.flows.reading import read_flow
from flowrunner.registry import Registry

ANSWERS = {
    "sys.exit": (lambda self, settings: sys.exit(3), "failed: it called sys.exit(3)."),
    "an error": (lambda self, settings: 1 / 0, "failed: ZeroDivisionError: division by zero."),
    "a missing setting": (lambda self, settings: settings["nowhere"], "failed: KeyError: 'nowhere'."),
    "nothing": (lambda self, settings: None, "returned None, not a tuple of {kind}."),
    "a text": (lambda self, settings: "text", "returned 'text', not a tuple of {kind}."),
    "texts": (lambda self, settings: ["text"], "returned 'text', not a tuple of {kind}."),
    "a number": (lambda self, settings: 3, "failed: TypeError: 'int' object is not iterable."),
    "the other kind": (
        lambda self, settings: (Output("text"), Input("text")),
        "not a tuple of {kind}.",
    ),
    "a generator that ends the program": (lambda self, settings: (sys.exit() for _ in "a"), "it called sys.exit()."),
}


def flow_of(**members):
    """Return a flow whose second component is an author's, and a registry that knows it."""
    body = {"type_name": "Mine", "inputs": (Input("value"),), "outputs": (Output("text"),)}
    body["run"] = lambda self, context, **values: {}
    registry = Registry()
    registry.add_component(type("Mine", (Component,), {**body, **members}), "plug")
    text = {"components": {"one": {"type": "Mine"}, "two": {"type": "Mine"}}, "edges": ["one -> two"]}
    flow = read_flow(text, name_hint="f")
    return flow, registry


@pytest.mark.parametrize(("method", "kind"), [("inputs_for", "Input"), ("outputs_for", "Output")])
@pytest.mark.parametrize("case", ANSWERS)
def test_the_plan_names_component_and_method(case, method, kind):
    answer, words = ANSWERS[case]
    flow, registry = flow_of(**{method: answer})
    with pytest.raises(FlowInvalid) as refused:
        make_plan(flow, registry)
    assert refused.value.message.startswith(f"Mine (one): its {method}() ")
    assert refused.value.message.endswith(words.format(kind=kind))
    check_flow(flow, registry)


def test_one_port_without_a_comma():
    flow, registry = flow_of(outputs_for=lambda self, settings: Output("text"))
    with pytest.raises(
        FlowInvalid, match=r"its outputs_for\(\) returned a single Output; it must return a tuple of" r" them"
    ):
        make_plan(flow, registry)


def test_its_own_word_on_settings_is_handed_on():
    def inputs_for(self, settings):
        raise ValueError("the number of inputs is at most 9")

    flow, registry = flow_of(inputs_for=inputs_for)
    with pytest.raises(FlowInvalid, match=r"^Mine \(one\): the number of inputs is at most 9\.$"):
        make_plan(flow, registry)


def test_an_edge_from_a_component_without_outputs():
    flow, registry = flow_of(outputs=())
    with pytest.raises(EdgeInvalid, match="does not name an output, and there is none"):
        make_plan(flow, registry)
    assert any(
        "does not name an output, and there is none" in finding.message for finding in check_flow(flow, registry)
    )
