"""``flowrunner sessions``, ``messages`` and ``runs``."""

import json
import uuid

import pytest
from click.testing import CliRunner

from flowrunner.cli import cli
from flowrunner.errors import FlowRunnerError
from tests.web.site import open_site


@pytest.fixture(params=["sqlite", "file-json"])
def place(request, tmp_path):
    """A data folder with conversations of two owners, and the name of its backend."""
    with open_site(tmp_path, memory=request.param) as site:
        site.add_user("ann")
        site.add_user("bob")
        for user in ("ann", "bob"):
            flow = site.flow(user)
            site.say(user, flow, f"{user} one\x1b[31m", "shared")
            site.say(user, flow, f"{user} two\nlines", f"only-{user}")
    return tmp_path, request.param


@pytest.fixture
def call(place):
    folder, memory = place

    def run(*arguments, fails=False):
        where = ["--data-dir", str(folder)] + ([] if arguments[0] == "runs" else ["--memory", memory])
        done = CliRunner(env={"COLUMNS": "120"}).invoke(cli, [*arguments, *where], catch_exceptions=True)
        if fails:
            assert isinstance(done.exception, FlowRunnerError) or done.exit_code == 2
            return str(done.exception)
        if done.exception is not None:
            raise done.exception
        return done.output

    return run


def test_sessions_in_a_table_and_as_json(call):
    shown = call("sessions", "--user", "ann")
    assert shown.splitlines()[0].split() == ["SESSION", "MESSAGES", "LAST", "ACTIVITY", "OWNER", "TITLE"]
    assert "only-ann" in shown and "ann two lines" in shown and "only-bob" not in shown and "\x1b" not in shown
    found = json.loads(call("sessions", "--json"))
    assert sorted((s["session_id"], s["count"]) for s in found) == [
        ("only-ann", 2),
        ("only-bob", 2),
        ("shared", 2),
        ("shared", 2),
    ]
    assert len({s["owner"] for s in found}) == 2
    assert [s["session_id"] for s in json.loads(call("sessions", "--json", "--search", "ONLY-A"))] == ["only-ann"]


def test_messages_in_a_table_and_as_json(call):
    shown = call("messages", "--user", "ann", "--session", "shared")
    assert len(shown.splitlines()) == 3 and "ann one" in shown and "\x1b" not in shown
    found = json.loads(call("messages", "--json", "--search", "one"))
    assert {m["text"] for m in found} == {"ann one\x1b[31m", "bob one\x1b[31m"} and len(found) == 4
    assert len(json.loads(call("messages", "--json", "--limit", "1", "--sender", "User"))) == 1


def test_changes_name_whose_they_are(call):
    for arguments in (
        ("sessions", "rename", "shared", "x"),
        ("sessions", "delete", "shared"),
        ("messages", "delete", "x"),
    ):
        assert "Choose the owner" in call(*arguments, fails=True)
    assert "not both" in call("sessions", "--user", "a", "--owner", "b", fails=True)
    assert call("sessions", "rename", "shared", "moved", "--user", "ann") == "moved 2 messages\n"
    assert "no session shared" in call("sessions", "rename", "shared", "moved", "--user", "ann", fails=True)
    said = call("sessions", "delete", "moved", "absent", "--user", "ann", fails=True)
    assert "no session absent" in said and "Deleted 2 messages" in said
    found = json.loads(call("messages", "--json"))
    assert len(found) == 6
    mine = [m for m in found if m["text"].startswith("ann")]
    assert "no message" in call("messages", "edit", mine[0]["id"], "x", "--user", "bob", fails=True)
    call("messages", "edit", mine[0]["id"], "corrected", "--owner", mine[0]["owner"])
    edited = json.loads(call("messages", "--json", "--search", "corrected"))
    assert edited[0]["edit"] and edited[0]["id"] == mine[0]["id"]
    said = call("messages", "delete", mine[0]["id"], str(uuid.uuid4()), "--user", "ann", fails=True)
    assert "This owner has no message" in said and "deleted 1 others" in said
    assert call("messages", "delete", mine[1]["id"], "--user", "ann") == "deleted 1 messages\n"


def test_runs_in_a_table_and_one_by_one(call):
    shown = call("runs", "--user", "ann")
    assert len(shown.splitlines()) == 3 and "success" in shown and "only-ann" in shown
    (found,) = json.loads(call("runs", "--json", "--session", "only-bob"))
    one = call("runs", "show", found["id"])
    assert "decided by" in one.lower() and "payload" in one and "ChatInput" in one
    assert json.loads(call("runs", "show", found["id"], "--json"))["vertices"][0]["type"] == "ChatInput"
    assert "not found" in call("runs", "show", str(uuid.uuid4()), fails=True)
    assert call("runs", "--status", "error").count("\n") == 1


def test_a_store_that_cannot_be_seen_from_here_is_said_so(tmp_path):
    done = CliRunner().invoke(cli, ["sessions", "--data-dir", str(tmp_path), "--memory", "in-memory"])
    assert isinstance(done.exception, FlowRunnerError) and "in-memory" in done.exception.message
