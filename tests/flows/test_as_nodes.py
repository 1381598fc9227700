"""The native form shown as nodes and edges: what clients read, and what runs the same when they store it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowrunner.engine.plan import make_plan
from flowrunner.flows.as_nodes import as_nodes
from flowrunner.flows.convert import convert_flow
from flowrunner.flows.reading import is_native, read_flow
from tests.engine.rig import Rig

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for folder in ("examples/flows", "tests/playground/flows")
    for path in (ROOT / folder).glob("*.json")
    # Those of the page's tests name components of their own.
    if path.stem not in ("broken", "slow", "steps", "told") and is_native(json.loads(path.read_text("utf-8")))
)


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path)
    yield made
    made.close()


def plan_facts(plan):
    """Return what a plan says of values, edges and order, apart from what only the file shows."""
    return [
        (
            v.vertex.id,
            v.vertex.type,
            v.display_name,
            v.values,
            v.variables,
            v.session_setting,
            sorted(v.secrets),
            v.as_tool,
            v.is_input,
            v.is_output,
            v.vertex.frozen,
            [(e.source, e.output, e.input) for e in v.incoming],
        )
        for v in plan.vertices
    ]


def test_there_are_files_to_try():
    assert len(FILES) > 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_flow_means_the_same_as_nodes(rig, path):
    native = json.loads(path.read_text("utf-8"))
    shown = as_nodes(native, rig.registry)
    assert {node["id"] for node in shown["nodes"]} == set(native["components"])
    assert len(shown["edges"]) == len(native.get("edges", []))
    again = read_flow({"name": native.get("name", "x"), "data": json.loads(json.dumps(shown))})
    assert [f.message for f in again.findings if f.level == "error"] == []
    assert plan_facts(make_plan(again, rig.registry)) == plan_facts(make_plan(read_flow(native), rig.registry))
    for node in shown["nodes"]:
        inner = node["data"]["node"]
        assert all(output["types"] for output in inner["outputs"])
        assert all(
            {"type", "value", "show"} <= entry.keys() for entry in inner["template"].values() if isinstance(entry, dict)
        )
    for edge in shown["edges"]:
        assert json.loads(edge["sourceHandle"].replace("œ", '"')) == edge["data"]["sourceHandle"]
        assert json.loads(edge["targetHandle"].replace("œ", '"')) == edge["data"]["targetHandle"]


ODD = {
    "components": {
        "in": {"type": "ChatInput", "settings": {"input_value": {"$variable": "GREETING"}}, "position": [1, 2]},
        "p": {
            "type": "Prompt",
            "settings": {"template": "{x}{y}", "y": {"$value": {"$variable": "z"}}},
            "frozen": True,
        },
        "strange": {"type": "Nobody Knows", "settings": {"a": 1, "key": "s"}, "secrets": ["key"], "outputs": ["o"]},
        "calc": {"type": "CalculatorComponent", "tool_mode": True, "tool_name": "sums", "description": "Adds."},
        "agent": {"type": "Agent", "hidden": {"temperature": 1.0}},
        "out": {"type": "ChatOutput", "display_name": "Out", "is_output": True},
    },
    "edges": [
        "in -> p.x",
        "p -> agent.input_value",
        "calc.component_as_tool -> agent.tools",
        "agent.response -> out",
        "strange.o -> agent.tools",
    ],
}


def test_variables_tools_secrets_and_unknown_types_survive(rig):
    again = read_flow({"name": "x", "data": json.loads(json.dumps(as_nodes(ODD, rig.registry)))})
    before = read_flow({"name": "x", **ODD})
    assert plan_facts(make_plan(again, rig.registry)) == plan_facts(make_plan(before, rig.registry))
    vertex = {v.id: v for v in again.vertices}
    assert (vertex["calc"].tool_name, vertex["calc"].description) == ("sums", "Adds.")
    assert (vertex["strange"].settings["a"], vertex["strange"].secrets) == (1, {"key"})
    assert vertex["in"].position == (1.0, 2.0)
    assert vertex["agent"].hidden["temperature"] == 1.0
    assert convert_flow(again, rig.registry).notes == ()
