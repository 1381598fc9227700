"""``flowrunner memory`` as an operator types it."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner

from flowrunner import EVERY_OWNER, FlowRunnerError
from flowrunner.cli import cli
from flowrunner.cli.context import Where, open_memory
from tests.maintenance.conftest import fill, said


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with conversations of two owners in the backend sqlite."""
    for name in [name for name in os.environ if name.startswith("FLOWRUNNER_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "data"
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(folder))
    with open_memory() as (memory, _):
        fill(memory)
        memory.for_owner("ann").append([said(n, session_id="old", days=100) for n in range(4)])
    return folder


def flowrunner(*arguments, **options):
    """Run a command and return what it printed; what it raised is raised."""
    done = CliRunner().invoke(cli, list(arguments), **options)
    if isinstance(done.exception, FlowRunnerError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def stored(**settings):
    with open_memory(settings={name.upper(): value for name, value in settings.items()}) as (memory, _):
        return memory.for_owner(EVERY_OWNER).fetch()


def test_purge_says_what_it_would_remove_and_then_removes_it(data):
    before = stored()
    rules = ("--rules", "session=old age=1d newest=1")
    assert flowrunner("memory", "purge", *rules, "--dry-run") == (
        "session=old age=1d newest=1: would remove 4 messages of 1 sessions\n"
    )
    assert stored() == before
    assert "removed 4 messages of 1 sessions" in flowrunner("memory", "purge", *rules)
    assert stored() == before[:-4]


def test_purge_takes_the_rules_of_the_settings_and_the_names_of_flows(data, monkeypatch, tmp_path):
    flows = tmp_path / "flows"
    flows.mkdir()
    flow = {"id": "7f0a5b2e-3f0e-4d3b-9a55-0d7b5b1c2d3e", "components": {"question": {"type": "ChatInput"}}}
    (flows / "support.json").write_text(json.dumps(flow))
    with open_memory() as (memory, _):
        memory.for_owner("bob").append([said(n, session_id="help", flow_id=flow["id"]) for n in range(3)])
    monkeypatch.setenv("FLOWRUNNER_FLOWS_DIR", str(flows))
    monkeypatch.setenv("FLOWRUNNER_MEMORY_RETENTION", "flow=support newest=1")
    assert flowrunner("memory", "purge") == "flow=support newest=1: removed 2 messages of 1 sessions\n"


def test_purge_without_a_rule_removes_nothing(data):
    before = stored()
    with pytest.raises(FlowRunnerError, match="There are no retention rules"):
        flowrunner("memory", "purge")
    assert stored() == before


def test_export_and_import_carry_everything_to_another_backend(data, tmp_path):
    file = tmp_path / "export.jsonl"
    flowrunner("memory", "export", str(file))
    assert [path.name for path in tmp_path.glob("export*")] == ["export.jsonl"]
    number = len(stored())
    assert flowrunner("memory", "import", str(file), "--memory", "file-json") == f"stored {number} messages\n"
    assert stored(memory="file-json") == stored()
    assert flowrunner("memory", "verify", "--memory", "file-json", "--against", str(file)) == flowrunner(
        "memory", "verify"
    )
    again = flowrunner("memory", "import", str(file), "--memory", "file-json", "--skip-existing")
    assert again == f"stored 0 messages, passed over {number}\n"


def test_an_export_goes_through_pipes(data):
    lines = flowrunner("memory", "export", "--owner", "bob", "--session-id", "plain")
    assert [json.loads(line)["owner"] for line in lines.splitlines()] == ["bob"]
    flowrunner("memory", "import", "--memory", "file-json", "--owner", "cleo", input=lines)
    assert [message.owner for message in stored(memory="file-json")] == ["cleo"]


def test_an_export_that_fails_leaves_no_half_file(data, tmp_path, monkeypatch):
    file = tmp_path / "export.jsonl"
    file.write_text("an older one\n")

    def fail(*args, **kwargs):
        yield "{}"
        raise OSError("disk full")

    monkeypatch.setattr("flowrunner.memory.transfer.export_lines", fail)
    failed = CliRunner().invoke(cli, ["memory", "export", str(file)]).exception
    assert str(failed) == f"{file} cannot be written: disk full."
    assert file.read_text() == "an older one\n"
    assert [path.name for path in tmp_path.glob("export*")] == ["export.jsonl"]


def test_copy_compares_what_it_copied(data, tmp_path):
    target = ("--to-set", f"FILE_JSON_DIR={tmp_path / 'elsewhere'}")
    shown = flowrunner("memory", "copy", "sqlite", "file-json", *target)
    number, sessions = len(stored()), len({(m.owner, m.session_id) for m in stored()})
    assert shown == f"copied {number} messages; {sessions} sessions are the same in both\n"
    assert stored(memory="file-json", file_json_dir=str(tmp_path / "elsewhere")) == stored()
    with open_memory() as (memory, _):
        memory.for_owner("ann").append([said("later", session_id="old")])
    shown = flowrunner("memory", "copy", "sqlite", "file-json", *target, "--skip-existing")
    assert shown == f"copied 1 messages, passed over {number}; {sessions} sessions are the same in both\n"


def test_copy_between_two_places_of_one_backend(data, tmp_path):
    flowrunner("memory", "copy", "sqlite", "sqlite", "--to-set", f"flowrunner_database_url=sqlite:///{tmp_path}/b.db")
    with open_memory(Where(database_url=f"sqlite:///{tmp_path}/b.db")) as (memory, _):
        assert memory.for_owner(EVERY_OWNER).fetch() == stored()
    with pytest.raises(FlowRunnerError, match="same store"):
        flowrunner("memory", "copy", "sqlite", "sqlite")


def test_copy_says_where_two_stores_differ(data):
    with open_memory(settings={"MEMORY": "file-json"}) as (memory, _):
        memory.for_owner("ann").append([said("already here", session_id="old")])
    done = CliRunner().invoke(cli, ["memory", "copy", "sqlite", "file-json"])
    assert done.exit_code == 1
    assert "session 'old' of ann: 4 messages and 5 messages, which differ" in done.stderr


def test_verify_tells_of_each_session_and_of_differences(data, tmp_path):
    rows = json.loads(flowrunner("memory", "verify", "--json", "--session-id", "old"))
    assert [(row["owner"], row["session_id"], row["count"]) for row in rows] == [("ann", "old", 4)]
    shown = flowrunner("memory", "verify", "--owner", "ann", "--session-id", "old")
    assert shown == f'{rows[0]["digest"]}  4  ["ann", "old"]\n'
    file = tmp_path / "export.jsonl"
    flowrunner("memory", "export", str(file))
    with open_memory() as (memory, _):
        memory.for_owner("ann").delete(session_id="old", limit=1)
    done = CliRunner().invoke(cli, ["memory", "verify", "--against", str(file)])
    assert done.exit_code == 1
    assert done.stderr == "session 'old' of ann: 3 messages and 4 messages, which differ\n"


@pytest.mark.parametrize("command", [["export"], ["verify"], ["purge", "--rules", "age=1d"]])
def test_a_backend_that_keeps_nothing_is_refused(data, command):
    with pytest.raises(FlowRunnerError, match="in-memory keeps messages in the memory of the server process"):
        flowrunner("memory", *command, "--memory", "in-memory")


def test_a_setting_that_is_none_is_refused_without_being_shown(data):
    with pytest.raises(FlowRunnerError, match="NAME=VALUE") as caught:
        flowrunner("memory", "copy", "sqlite", "file-json", "--to-set", "hunter2")
    assert "hunter2" not in caught.value.message
    with pytest.raises(FlowRunnerError, match="did you mean file_json_dir"):
        flowrunner("memory", "copy", "sqlite", "file-json", "--to-set", "FILE_JSN_DIR=x")
