"""Databases that real servers wrote, each compared with what that server's own API answered.

``LANGFLOW_DATABASES`` names a folder, or several with colons between: in each ``langflow.db``,
``messages.json``, ``flows.json``, ``projects.json`` and ``secret_key``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowrunner.app import create_app, runner_of
from flowrunner.cli import cli
from flowrunner.engine.shapes import message_row
from flowrunner.identity import Identity
from flowrunner.memory import EVERY_OWNER
from flowrunner.memory.message import parse_timestamp

FOLDERS = [Path(folder) for folder in os.environ.get("LANGFLOW_DATABASES", "").split(":") if folder]

pytestmark = pytest.mark.long


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def imported(request, tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path / "data"))
    folder = request.param
    command = ["import", "langflow", str(folder / "langflow.db"), "--json"]
    done = CliRunner().invoke(cli, [*command, "--secret-key-file", str(folder / "secret_key")])
    assert done.exit_code == 0, done.output
    runner = runner_of(create_app(data_dir=tmp_path / "data"))
    yield folder, json.loads(done.stdout), runner
    runner.close()


def test_every_message_is_what_the_api_answered(imported):
    folder, report, runner = imported
    answered = json.loads((folder / "messages.json").read_text())
    found = [json.loads(json.dumps(message_row(m))) for m in runner.memory.for_owner(EVERY_OWNER).fetch()]
    assert report["messages"]["stored"] == len(answered)
    for row, theirs in zip(found, answered, strict=True):
        # Releases before 1.13 spell moments in whole seconds, those before 1.1 have no properties.
        assert parse_timestamp(row["timestamp"]) == parse_timestamp(theirs["timestamp"])
        properties = {name: row["properties"][name] for name in theirs.get("properties", {})}
        same = {**row, "timestamp": theirs["timestamp"], "properties": properties}
        assert {name: same[name] for name in theirs} == theirs


def test_every_flow_has_its_id_names_and_project(imported):
    folder, report, runner = imported
    projects = {row["id"]: row["name"] for row in json.loads((folder / "projects.json").read_text())}
    stored = {flow.id: flow for flow in runner.stores.flows.list(EVERY_OWNER)}
    answered = json.loads((folder / "flows.json").read_text())
    assert report["flows"]["stored"] == len(answered) == len(stored)
    for theirs in answered:
        flow = stored[theirs["id"]]
        assert (flow.name, flow.endpoint_name) == (theirs["name"], theirs["endpoint_name"])
        assert flow.extra["project"] == projects[theirs["folder_id"]]


def test_every_value_of_a_variable_is_read(imported):
    _, report, runner = imported
    assert report["variables"]["stored"] == report["variables"]["found"] > 0
    for variable in runner.stores.variables.list(EVERY_OWNER):
        assert runner.stores.variables.find(variable.owner, variable.name).value


def test_a_conversation_goes_on(imported):
    _, _, runner = imported
    [summary] = runner.memory.for_owner(EVERY_OWNER).sessions(limit=1)
    [flow] = [f for f in runner.stores.flows.list(summary.owner) if f.id in summary.flow_ids][:1]
    runner.run(flow.id, "and on", session_id=summary.session_id, identity=Identity(id=summary.owner))
    said = runner.memory.for_owner(summary.owner).fetch(session_id=summary.session_id)
    assert len(said) == summary.count + 2
