"""The flows under ``examples/flows`` can run with what the project itself offers."""

from pathlib import Path

import pytest

from flowrunner.flows.check import check_flow
from flowrunner.flows.reading import read_flows

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "flows"
WITHOUT_MODEL = ("basic-chat", "memory-chat", "router", "order-webhook", "exported-greeting")


@pytest.mark.parametrize("name", WITHOUT_MODEL)
def test_an_example_can_run(name, plugin_registry):
    path = FOLDER / f"{name}.json"
    (flow,) = read_flows(path.read_bytes(), name_hint=path.stem, endpoint_hint=path.stem)
    assert flow.endpoint_name == name
    assert flow.description
    assert check_flow(flow, plugin_registry) == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_every_example_loads(path):
    (flow,) = read_flows(path.read_bytes(), name_hint=path.stem)
    assert not any(finding.level == "error" for finding in flow.findings)
