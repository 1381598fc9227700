"""A data folder as an earlier state of the program left it: refused with the command to type, upgraded, gone on with.

``tests/fixtures/upgrade/schema-0001.sql`` was written by the commit before the second revision of the
tables: two turns of a session on the command line, and a key of ann's.
"""

from __future__ import annotations

import json
import sqlite3

import pytest
from click.testing import CliRunner

from flowrunner.cli import cli
from flowrunner.errors import FlowRunnerError
from tests.live_server import ROOT

FLOW = str(ROOT / "examples" / "flows" / "basic-chat.json")


@pytest.fixture
def call(tmp_path):
    database = sqlite3.connect(tmp_path / "flowrunner.db")
    database.executescript((ROOT / "tests" / "fixtures" / "upgrade" / "schema-0001.sql").read_text())
    database.close()

    def run(*arguments):
        return CliRunner(env={"FLOWRUNNER_DATA_DIR": str(tmp_path)}).invoke(cli, arguments)

    return run


def texts(call, *arguments):
    return [row["text"] for row in json.loads(call("messages", "--json", *arguments).stdout)]


def test_what_was_said_before_an_upgrade_is_there_and_goes_on(call):
    refused = call("run", FLOW, "x", "--session-id", "old/first")
    assert isinstance(refused.exception, FlowRunnerError) and "flowrunner db upgrade" in refused.exception.message
    assert call("db", "check").exit_code == 1
    upgraded = call("db", "upgrade")
    assert upgraded.exit_code == 0, upgraded.output
    assert call("db", "check").exit_code == 0
    assert texts(call) == ["Hello", "Hello", "and again", "and again"]
    assert texts(call, "--search", "again") == ["and again", "and again"]
    gone_on = call("run", FLOW, "and on", "--session-id", "old/first")
    assert gone_on.exit_code == 0, gone_on.exception
    assert texts(call, "--session-id", "old/first")[-2:] == ["and on", "and on"]
    [session] = json.loads(call("sessions", "--json").stdout)
    assert (session["session_id"], session["count"]) == ("old/first", 6)
    assert [row["user"] for row in json.loads(call("keys", "list", "--json").stdout)] == ["ann"]
    runs = json.loads(call("runs", "--json").stdout)
    assert [row["status"] for row in runs] == ["success"] * 3
