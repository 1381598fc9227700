"""Inputs that a release did not have yet: files of it mean what they meant there."""

from __future__ import annotations

import pytest

from flowrunner.engine.plan import make_plan
from flowrunner.flows.convert import convert_flow
from flowrunner.flows.reading import read_flow

OWN = ["get_current_date", "evaluate_expression"]


def agent_file(kind="Agent", **fields):
    """Return an export of an agent that has these fields in its template, with a calculator as its tool."""

    def node(name, kind, template=None, outputs=("message",)):
        ports = [{"name": one, "types": ["Message", "Tool"], "method": one} for one in outputs]
        inner = {"display_name": kind, "template": template or {}, "outputs": ports, "tool_mode": name == "calc"}
        return {"id": name, "type": "genericNode", "data": {"type": kind, "id": name, "node": inner}}

    def edge(source, output, target, field):
        start = {"dataType": "x", "id": source, "name": output, "output_types": ["Message", "Tool"]}
        end = {"fieldName": field, "id": target, "inputTypes": ["Message", "Tool"], "type": "str"}
        return {"source": source, "target": target, "data": {"sourceHandle": start, "targetHandle": end}}

    template = {name: {"type": "bool", "show": True, "value": value} for name, value in fields.items()}
    template["agent_llm"] = {"type": "str", "show": True, "value": "OpenAI"}
    nodes = [
        node("in", "ChatInput"),
        node("agent", kind, template, ("response",)),
        node("out", "ChatOutput"),
        node("calc", "CalculatorComponent", outputs=("component_as_tool",)),
    ]
    edges = [
        edge("in", "message", "agent", "input_value"),
        edge("calc", "component_as_tool", "agent", "tools"),
        edge("agent", "response", "out", "input_value"),
    ]
    return {"name": "old", "data": {"nodes": nodes, "edges": edges}}


def tools_of(house, model, flow):
    house.run_plan(make_plan(flow, house.registry))
    return [tool["function"]["name"] for tool in model.asked[-1].get("tools", ())]


@pytest.mark.parametrize(
    ("fields", "own"),
    [
        ({"add_current_date_tool": True}, OWN[:1]),
        ({"add_current_date_tool": False}, []),
        ({}, []),
        ({"add_current_date_tool": True, "add_calculator_tool": True}, OWN),
        ({"add_current_date_tool": True, "add_calculator_tool": False}, OWN[:1]),
        ({"add_current_date_tool": None, "add_calculator_tool": None}, OWN),
    ],
    ids=["1.0 to 1.9", "the date switched off", "before", "1.10", "the calculator switched off", "no values"],
)
@pytest.mark.parametrize("kind", ["Agent", "ToolCallingAgent"])
def test_an_agent_has_the_tools_that_it_had_where_its_file_was_written(house, model, kind, fields, own):
    flow = read_flow(agent_file(kind, **fields))
    assert tools_of(house, model, flow) == ["CalculatorComponent", *own]
    short = read_flow(convert_flow(flow, house.registry).document)
    assert tools_of(house, model, short) == [tools_of(house, model, flow)[0], *own]


def test_a_flow_written_by_hand_has_the_defaults_of_today(house, model):
    document = {
        "components": {"in": {"type": "ChatInput"}, "agent": {"type": "Agent"}, "out": {"type": "ChatOutput"}},
        "edges": ["in -> agent.input_value", "agent.response -> out"],
    }
    assert tools_of(house, model, read_flow(document, name_hint="x")) == OWN


def test_a_tweak_switches_a_tool_on_that_the_release_did_not_have(house, model):
    plan = make_plan(read_flow(agent_file()), house.registry)
    house.run_plan(plan, tweaks={"agent": {"add_calculator_tool": True}})
    assert [t["function"]["name"] for t in model.asked[-1]["tools"]] == ["CalculatorComponent", OWN[1]]
