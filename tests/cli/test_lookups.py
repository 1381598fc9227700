"""Names on the command line: what nothing is called by is an error that says what is near."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from flowrunner.cli import cli
from flowrunner.errors import FlowRunnerError
from tests.live_server import ROOT

FLOWS = ROOT / "examples" / "flows"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with two sessions of a flow, one of a file whose flow is in no folder, and a key of ann's."""
    folder = tmp_path_factory.mktemp("data")
    alone = tmp_path_factory.mktemp("elsewhere") / "alone.json"
    flow = json.loads((FLOWS / "basic-chat.json").read_text())
    alone.write_text(json.dumps({**flow, "name": "Alone"}))
    environment = {"FLOWRUNNER_DATA_DIR": str(folder), "FLOWRUNNER_FLOWS_DIR": str(FLOWS)}
    for arguments in (
        ["run", "basic-chat", "hello", "--session-id", "first"],
        ["run", "Basic chat", "hello", "--session-id", "second"],
        ["run", str(alone), "hello", "--session-id", "third"],
        ["keys", "create", "--user", "ann"],
    ):
        done = CliRunner(env=environment).invoke(cli, arguments)
        assert done.exit_code == 0, done.output
    return environment


def call(data, *arguments):
    return CliRunner(env=data).invoke(cli, arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["messages", "--flow", "basic-chatt"], "There is no flow basic-chatt; did you mean basic-chat"),
        (["sessions", "--flow", "Basic chatt"], "did you mean Basic chat"),
        (["runs", "--flow", "basic-cat"], "did you mean basic-chat"),
        (["messages", "--session-id", "frist"], "There is no session frist; did you mean first?"),
        (["messages", "--session", "frist"], "did you mean first?"),
        (["runs", "--session-id", "frist"], "There is no run in a session frist."),
        (["messages", "--user", "anne"], "There is no user anne; did you mean ann?"),
        (["sessions", "--user", "anne"], "did you mean ann?"),
        (["runs", "--user", "anne"], "did you mean ann?"),
        (["messages", "--owner", "nobody"], "There is no owner nobody"),
        (["messages", "delete", "m-1", "--owner", "local"], "This owner has no message m-1; deleted 0"),
        (["sessions", "delete", "frist", "--owner", "local"], "did you mean first?"),
        (["sessions", "rename", "frist", "x", "--owner", "local"], "did you mean first?"),
        (["memory", "export", "--session-id", "frist"], "did you mean first?"),
        (["memory", "verify", "--session-id", "frist"], "did you mean first?"),
        (["memory", "give", "--from", "anne", "--to", "bob"], "There is no user anne; did you mean ann?"),
        (["run", "basic-chatt", "x"], "did you mean basic-chat"),
        (["chat", "basic-chatt"], "did you mean basic-chat"),
        (["explain", "basic-chatt"], "did you mean basic-chat"),
        (["ingest", "ask-document", str(FLOWS)], "did you mean ask-documents"),
        (["run", str(FLOWS / "pirat.json"), "x"], f"did you mean {FLOWS / 'pirate.json'}"),
        (["convert", str(FLOWS / "pirat.json")], f"did you mean {FLOWS / 'pirate.json'}"),
        (["run", "basic-chat", "x", "--tweak", "answr.sender_name=A"], "no component answr; did you mean answer?"),
        (
            ["run", "basic-chat", "x", "--tweak", "answer.sendr_name=A"],
            "The component answer has no field sendr_name; did you mean sender_name",
        ),
        (
            ["run", "basic-chat", "x", "--tweak", "sendr_name=A"],
            "The components of this flow have no field sendr_name; did you mean sender_name",
        ),
        (["collections", "list", "nothing"], "This owner has no collection nothing."),
    ],
    ids=lambda value: "-".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_name_that_nothing_has_is_an_error(data, arguments, sentence):
    done = call(data, *arguments)
    assert isinstance(done.exception, FlowRunnerError), done.output
    assert sentence.replace(str(FLOWS), "") in done.exception.message.replace(str(FLOWS), "")


@pytest.mark.parametrize("command", ["messages", "sessions", "runs"])
@pytest.mark.parametrize("name", ["basic-chat", "Basic chat"])
def test_a_flow_is_named_by_what_people_call_it(data, command, name):
    found = json.loads(call(data, command, "--flow", name, "--json").stdout)
    flows = {json.dumps(row.get("flow_ids", row.get("flow_id"))) for row in found}
    assert len(found) >= 2 and len(flows) == 1


def test_a_flow_that_lies_in_no_folder_is_named_by_its_id(data):
    [row] = [row for row in json.loads(call(data, "runs", "--json").stdout) if row["flow_name"] == "Alone"]
    for command in ("messages", "sessions", "runs"):
        assert json.loads(call(data, command, "--flow", row["flow_id"], "--json").stdout)


def test_a_list_that_is_empty_for_other_reasons_is_a_list(data):
    assert json.loads(call(data, "messages", "--user", "ann", "--json").stdout) == []
    assert json.loads(call(data, "messages", "--search", "zebra", "--json").stdout) == []
    assert json.loads(call(data, "runs", "--flow", "pirate", "--json").stdout) == []


def test_what_is_there_is_deleted_though_another_name_is_wrong(data):
    call(data, "run", "basic-chat", "gone", "--session-id", "to-delete")
    done = call(data, "sessions", "delete", "to-delete", "nope", "--owner", "local")
    assert "Deleted 2 messages of the others." in done.exception.message


def test_tweaks_that_the_flow_has_are_taken(data):
    for tweak in ("answer.sender_name=A", "answer.session_id=first", "sender_name=A"):
        done = call(data, "run", "basic-chat", "x", "--session-id", "tweaked", "--tweak", tweak)
        assert done.exit_code == 0, done.exception


def test_what_a_run_failed_of_is_said_to_people_without_the_words_for_clients(data, tmp_path):
    flow = tmp_path / "broken.json"
    model = {"type": "LanguageModelComponent", "settings": {"provider": "OpenAI", "model_name": "gpt-4o-mini"}}
    parts = {"question": {"type": "ChatInput"}, "model": model, "answer": {"type": "ChatOutput"}}
    edges = ["question.message -> model.input_value", "model.text_output -> answer.input_value"]
    flow.write_text(json.dumps({"name": "Broken", "components": parts, "edges": edges}))
    failed = CliRunner(env={**data, "OPENAI_API_KEY": None}).invoke(cli, ["run", str(flow), "x"])
    assert failed.exception.sentence.startswith("Language Model: ")
    [run] = json.loads(call(data, "runs", "--status", "error", "--json").stdout)
    shown = call(data, "runs", "show", run["id"]).output
    assert "Language Model: " in shown and "Error running graph" not in shown
    assert run["error"]["message"].startswith("Error running graph: Error building Component Language Model: ")
