"""The first hour of a newcomer, as they type it: nothing that was said is lost on the way."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.langflow.databases import write_database
from tests.live_server import PROGRAMS, ROOT, Server, clean_environment


@pytest.fixture
def home(tmp_path):
    """A fresh home folder; gives what runs a command there, with the environment of an installation."""
    folder = tmp_path / "home"
    folder.mkdir()

    def flowrunner(*arguments, given=None, **more):
        environment = {**clean_environment(), "HOME": str(folder), **more}
        environment.pop("XDG_DATA_HOME", None)
        done = subprocess.run(
            [str(PROGRAMS / "flowrunner"), *map(str, arguments)], cwd=folder, env=environment, input=given or "",
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    return folder, flowrunner


def serve(folder):
    environment = {"HOME": str(folder), "XDG_DATA_HOME": ""}
    flows = str(ROOT / "examples" / "flows")
    command = [str(PROGRAMS / "flowrunner"), "serve", flows, "--port", "0"]
    return Server(command, environment=environment, folder=folder).wait_until_ready()


def texts(flowrunner, session, *arguments):
    shown = flowrunner("messages", "--session-id", session, "--json", *arguments).stdout
    return [row["text"] for row in json.loads(shown)]


def test_from_the_first_answer_to_another_machine(home, tmp_path):
    folder, flowrunner = home

    # The first answer, on a server that asks for no key.
    server = serve(folder)
    assert str(folder / ".local" / "share" / "flowrunner") in server.output
    server.run("basic-chat", "Hello", session_id="first")
    server.close()

    # The same conversation on the command line, from standard input.
    flow = ROOT / "examples" / "flows" / "basic-chat.json"
    assert flowrunner("run", flow, "--session-id", "first", given="from a pipe\n").stdout == "from a pipe\n"
    assert texts(flowrunner, "first") == ["Hello", "Hello", "from a pipe", "from a pipe"]

    # The first key, and what was said before becomes its user's.
    made = flowrunner("keys", "create", "--user", "ann")
    assert "flowrunner memory give --from local --to ann" in made.stderr
    flowrunner("memory", "give", "--from", "local", "--to", "ann")
    key = made.stdout.strip()
    server = serve(folder)
    server.run("basic-chat", "with a key", session_id="first", key=key)
    server.close()
    assert texts(flowrunner, "first", "--user", "ann")[-2:] == ["with a key", "with a key"]

    # Another installation, seen from the same home, finds the same data.
    code = "from flowrunner.site.data_folder import usual_data_folder; print(usual_data_folder())"
    environment = {**clean_environment(), "HOME": str(folder), "XDG_DATA_HOME": ""}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(folder / ".local" / "share" / "flowrunner")

    # A Langflow server's database comes in, and its conversation goes on.
    write_database(tmp_path / "langflow.db", "1.13.0")
    report = json.loads(flowrunner("import", "langflow", tmp_path / "langflow.db", "--json").stdout)
    [renewed] = report["keys_made"]
    server = serve(folder)
    server.run("echo", "and on", session_id="a/b ü%", key=renewed["key"])
    server.close()
    goes_on = ["Hello", "Hello, you", "again", "and on", "and on"]
    assert texts(flowrunner, "a/b ü%", "--user", "langflow") == goes_on

    # A backup, and everything on another machine.
    flowrunner("backup", tmp_path / "copy", "--with-secret-key")
    there = {"FLOWRUNNER_DATA_DIR": str(tmp_path / "machine")}
    flowrunner("restore", tmp_path / "copy", **there)
    shown = flowrunner("messages", "--session-id", "a/b ü%", "--json", "--user", "langflow", **there).stdout
    assert [row["text"] for row in json.loads(shown)] == goes_on
    keys = json.loads(flowrunner("keys", "list", "--json", **there).stdout)
    assert {row["user"] for row in keys} == {"ann", "langflow"}
