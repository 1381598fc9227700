"""``docs/flows.md`` says what the code does."""

import re
from pathlib import Path

from flowrunner.flows.check import check_flow
from flowrunner.flows.findings import FINDINGS
from flowrunner.flows.native import COMPONENT_KEYS
from flowrunner.flows.parsing import Limits
from flowrunner.flows.reading import read_flows

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "flows.md").read_text("utf-8")


def test_every_finding_has_its_row():
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", TEXT, re.MULTILINE)
    assert {code: meaning for code, meaning in rows if code in FINDINGS} == FINDINGS


def test_every_key_of_a_component_has_its_row():
    table = TEXT.partition("| key of a component |")[2].partition("\n\n")[0]
    named = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    }
    assert named == set(COMPONENT_KEYS)


def test_the_limits_are_right():
    limits = Limits()
    assert f"{limits.max_bytes // 2**20} MB per file" in TEXT
    for number in (limits.max_vertices, limits.max_edges, limits.max_depth, limits.max_flows, limits.max_name):
        assert f"{number:,}" in TEXT


def test_the_flows_in_it_can_run(plugin_registry):
    blocks = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        (flow,) = read_flows(block, name_hint="docs")
        assert check_flow(flow, plugin_registry) == []
