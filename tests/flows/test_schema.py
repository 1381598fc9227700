"""The published schema of the native form says what the reader does."""

import importlib.resources
import json
from pathlib import Path

import pytest

from flowrunner import FlowInvalid
from flowrunner.flows.native import COMPONENT_KEYS, FLOW_KEYS, OUTPUT_KEYS
from flowrunner.flows.native_edges import EDGE_KEYS
from flowrunner.flows.reading import read_flows
from tests.flows.exports import native

SCHEMA = json.loads(importlib.resources.files("flowrunner.flows").joinpath("native.schema.json").read_text("utf-8"))
EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples" / "flows").glob("*.json"))
T = {"type": "T"}


@pytest.mark.parametrize(
    ("keys", "described"),
    [
        (FLOW_KEYS, SCHEMA["properties"]),
        (COMPONENT_KEYS, SCHEMA["$defs"]["component"]["properties"]),
        (OUTPUT_KEYS, SCHEMA["$defs"]["output"]["properties"]),
        (EDGE_KEYS, SCHEMA["$defs"]["edge"]["anyOf"][1]["properties"]),
    ],
)
def test_the_schema_knows_the_keys_that_the_reader_knows(keys, described):
    assert set(described) == set(keys)
    for name, kind in keys.items():
        entry = described[name]
        entry = SCHEMA["$defs"]["settings"] if "$ref" in entry else entry
        assert entry["type"] == kind, name


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_keep_to_it(validator, path):
    flow = json.loads(path.read_text("utf-8"))
    if "components" in flow:
        validator.validate(flow)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"$schema": "./native.schema.json"},
        {"components": {"a": {**T, "settings": {"x": {"$variable": "V"}, "y": {"$value": {"$variable": "V"}}}}}},
        {
            "components": {
                "a": {**T, "outputs": ["x", {"name": "y", "types": []}], "position": [1, 2.5], "secrets": ["x"]}
            },
            "edges": [],
        },
        {"edges": ["in->out", {"source": "in", "target": "out", "feedback": True}]},
    ],
)
def test_both_accept(validator, change):
    raw = native(**change)
    validator.validate(raw)
    read_flows(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"name": None},
        {"components": {"": T}},
        {"components": {"a": {}}},
        {"components": {"a": {"type": ""}}},
        {"components": {"a": {**T, "x": 1}}},
        {"components": {"a": {**T, "position": [1]}}},
        {"components": {"a": {**T, "frozen": 1}}},
        {"components": {"a": {**T, "settings": []}}},
        {"components": {"a": {**T, "settings": {"x": {"$variable": ""}}}}},
        {"components": {"a": {**T, "outputs": [{}]}}},
        {"components": {"a": {**T, "outputs": [""]}}},
        {"edges": ["in"]},
        {"edges": ["in->out->in"]},
        {"edges": [{"source": "in"}]},
        {"edges": [{"source": "", "target": "out"}]},
    ],
)
def test_both_refuse(validator, change):
    raw = native(**change)
    assert not validator.is_valid(raw)
    with pytest.raises(FlowInvalid):
        read_flows(raw)
