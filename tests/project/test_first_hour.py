"""The first hour of a newcomer, as they type it: nothing that was said is lost on the way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.fork_server import FORK_SERVER
from tests.langflow.databases import write_database
from tests.live_server import PROGRAMS, ROOT, ForkedServer, clean_environment


@pytest.fixture
def home(tmp_path):
    """A fresh home folder; gives what runs a command there, with the environment of an installation."""
    folder = tmp_path / "home"
    folder.mkdir()

    def flowrunner(*arguments, given="", **more):
        done = FORK_SERVER.run(arguments, at_home(folder, **more), folder, given=given)
        assert done.returncode == 0, done.stderr
        return done

    return folder, flowrunner


def at_home(folder, **more):
    environment = {**clean_environment(), "HOME": str(folder), **more}
    environment.pop("XDG_DATA_HOME", None)
    return environment


def run_with(python, folder, *arguments):
    """Run the command with an interpreter, which is a process of its own from its first line on."""
    command = [str(python), "-m", "flowrunner.cli", *map(str, arguments)]
    subprocess.run(command, cwd=folder, env=at_home(folder), stdin=subprocess.DEVNULL, check=True, capture_output=True)


def make_environment(folder):
    """Make a virtual environment in which the packages of this one are installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "these.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in site_packages())
    )
    return folder


def site_packages():
    return [path for path in sys.path if path.endswith("site-packages")]


def serve(folder):
    environment = {"HOME": str(folder), "XDG_DATA_HOME": ""}
    flows = str(ROOT / "examples" / "flows")
    command = [str(PROGRAMS / "flowrunner"), "serve", flows, "--port", "0"]
    return ForkedServer(command, environment=environment, folder=folder).wait_until_ready()


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

    # The environment is thrown away and made anew, twice: what was said is still there.
    for number in range(2):
        environment = make_environment(tmp_path / "environment")
        asked = ["run", flow, "--session-id", "kept", f"environment {number}"]
        run_with(environment / "bin" / "python", folder, *asked)
        shutil.rmtree(environment)
    assert texts(flowrunner, "kept")[::2] == ["environment 0", "environment 1"]

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
