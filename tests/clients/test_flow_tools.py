"""Tools that keep flows on a Langflow server, unchanged, against a live server: langflow-sdk, langflow-cli and lfx.

lfx brings some two gigabytes along, so it is tried where it is installed: ``LFX=/path/to/lfx pytest tests/clients``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.live_server import PROGRAMS

sdk = pytest.importorskip("langflow_sdk")

NATIVE = {
    "components": {"in": {"type": "ChatInput"}, "out": {"type": "ChatOutput"}},
    "edges": ["in.message -> out.input_value"],
}


@pytest.fixture
def client(keyed_server):
    server, key = keyed_server
    with sdk.LangflowClient(server.url, api_key=key) as made:
        yield made


def new_flow(client, name, project=None):
    return client.create_flow(sdk.FlowCreate(name=name, data=NATIVE, folder_id=project))


def test_the_sdk_keeps_projects(client, tmp_path):
    name = f"Shop {uuid.uuid4()}"
    made = client.create_project(sdk.ProjectCreate(name=name, description="d"))
    assert made.id in {one.id for one in client.list_projects()}
    flow = new_flow(client, f"in {name}", made.id)
    assert flow.folder_id == made.id
    assert [one.id for one in client.list_flows(folder_id=made.id, get_all=True)] == [flow.id]
    assert [one.id for one in client.get_project(made.id).flows] == [flow.id]
    assert client.update_project(made.id, sdk.ProjectUpdate(name=f"{name}!")).name == f"{name}!"
    (file,) = client.pull_project(made.id, output_dir=tmp_path).values()
    pulled = json.loads(Path(file).read_text("utf-8"))
    assert {node["data"]["type"] for node in pulled["data"]["nodes"]} == {"ChatInput", "ChatOutput"}
    ((pushed, created),) = client.push_project(tmp_path)
    assert (pushed.id, created) == (flow.id, False)
    assert client.run(str(flow.id), input_value="still runs").first_text_output() == "still runs"
    client.delete_project(made.id)
    with pytest.raises(sdk.LangflowNotFoundError):
        client.get_project(made.id)


def tool(program, home, *arguments, expect=0):
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "COLUMNS": "250", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, env=environment, cwd=home, timeout=120
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not (PROGRAMS / "langflow-cli").exists(), reason="needs langflow-cli")
def test_langflow_cli_lists_makes_and_exports(keyed_server, client, tmp_path):
    server, key = keyed_server

    def cli(*arguments):
        return tool(PROGRAMS / "langflow-cli", tmp_path, *arguments)

    cli("env", "register", "here", "--url", server.url, "--api-key", key)
    cli("env", "select", "here")
    name = f"Cli {uuid.uuid4()}"
    cli("projects", "create", "--name", name)
    (project,) = (one for one in client.list_projects() if one.name == name)
    assert name in cli("projects", "list")
    flow = new_flow(client, f"flow of {name}", project.id)
    assert flow.name in cli("projects", "list-flows", str(project.id))
    assert str(flow.id) in cli("flows", "list", "--project-name", name)
    assert "ChatInput" in cli("flows", "get", str(flow.id))


@pytest.mark.skipif(shutil.which(os.environ.get("LFX", "lfx")) is None, reason="needs lfx")
def test_lfx_logs_in_pulls_compares_and_pushes_into_a_project(keyed_server, client, tmp_path):
    server, key = keyed_server
    place = ["--target", server.url, "--api-key", key]

    def lfx(*arguments):
        return tool(shutil.which(os.environ.get("LFX", "lfx")), tmp_path, *arguments)

    name = f"Lfx {uuid.uuid4()}"
    project = client.create_project(sdk.ProjectCreate(name=name))
    flow = new_flow(client, f"flow of {name}", project.id)
    assert "API key" in lfx("login", *place)
    lfx("pull", *place, "--project", name, "-d", "flows")
    (file,) = (tmp_path / "flows").glob("*.json")
    assert "synced" in lfx("status", *place, "--dir", "flows")
    changed = json.loads(file.read_text("utf-8"))
    changed["description"] = "changed here"
    file.write_text(json.dumps(changed), "utf-8")
    into = f"{name} pushed"
    lfx("push", *place, "--project", into, "--dir", "flows")
    found = client.get_flow(flow.id)
    assert found.description == "changed here"
    (target,) = (one for one in client.list_projects() if one.name == into)
    assert found.folder_id == target.id
