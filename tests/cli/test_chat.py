"""``flowrunner chat``: a conversation in the terminal, on a real one where that matters."""

import os
import pty
import signal
import sys
import time

import pytest
from click.testing import CliRunner

from flowrunner.cli import cli
from tests.live_server import ROOT, clean_environment
from tests.waiting import wait_until

FLOWS = ROOT / "examples" / "flows"
SLOW = """
import time
from flowrunner import Component, Input, Output, hookimpl

class Slow(Component):
    type_name = "Slow"
    blocking = True
    inputs = (Input("text", "str"),)
    outputs = (Output("text"),)

    def run(self, context, text):
        said = ""
        for number in range(10_000 if text == "for ever" else 3):
            context.cancelled.raise_if_set()
            said += f"piece{number} "
            yield f"piece{number} "
            time.sleep(0.05 if text == "for ever" else 0)
        return {"text": said}

@hookimpl
def register_components(register):
    register(Slow)
"""
SLOW_FLOW = (
    '{"name": "Slow", "components": {"in": {"type": "ChatInput"}, "slow": {"type": "Slow"}, "out": {"type":'
    ' "ChatOutput"}}, "edges": ["in.message -> slow.text", "slow.text -> out.input_value"]}'
)


@pytest.fixture
def talk(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path / "data"))

    def talk(*lines, options=()):
        typed = "".join(f"{line}\n" for line in lines)
        done = CliRunner().invoke(cli, ["chat", "basic-chat", "--flows-dir", str(FLOWS), *options], input=typed)
        assert done.exit_code == 0, done.output
        return done

    return talk


def test_each_line_is_a_turn_of_one_session(talk):
    done = talk("Hello", "", "again", "/history", options=["--session-id", "mine"])
    assert done.stdout.splitlines() == [
        "Hello",
        "again",
        *("User: Hello", "AI: Hello", "User: again", "AI: again"),
    ]


def test_a_session_is_continued_left_and_come_back_to(talk):
    talk("first", options=["--session-id", "mine"])
    done = talk("/new", "elsewhere", "/session mine", "/session", "/quit", "never", options=["--session-id", "mine"])
    assert done.stdout.splitlines() == ["User: first", "AI: first", "elsewhere", "User: first", "AI: first"]
    assert done.stderr.count("Session mine.") == 2 and "never" not in done.stdout


@pytest.mark.parametrize("typed", ["/help", "/nonsense", "/history all"])
def test_what_is_no_command_shows_what_there_is(talk, typed):
    assert "/history [N]" in talk(typed).stderr


def test_a_flow_that_is_not_there_is_named_with_its_neighbours(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path))
    done = CliRunner().invoke(cli, ["chat", "basic-chatt", "--flows-dir", str(FLOWS)], input="x\n")
    assert done.exit_code == 1 and "basic-chat" in str(done.exception)


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command, environment):
        self.output = ""
        self.pid, self._handle = pty.fork()
        if self.pid == 0:  # pragma: no cover - the other process
            os.execve(command[0], command, environment)  # noqa: S606
        os.set_blocking(self._handle, False)

    def type(self, text):
        os.write(self._handle, text.encode())

    def shows(self, text):
        try:
            self.output += os.read(self._handle, 65536).decode("utf-8", "replace")
        except BlockingIOError:
            pass
        except OSError:
            return text in self.output
        return text in self.output

    def wait_for(self, text):
        assert wait_until(lambda: self.shows(text), 60), self.output

    def end(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.shows("")
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(self.output)


@pytest.fixture
def slow(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "slow.py").write_text(SLOW, "utf-8")
    (tmp_path / "slow.json").write_text(SLOW_FLOW, "utf-8")
    environment = clean_environment(FLOWRUNNER_DATA_DIR=str(tmp_path / "data"), TERM="dumb")
    environment["FLOWRUNNER_PLUGINS_DIR"] = str(tmp_path / "plugins")

    def start(*arguments):
        return Terminal([sys.executable, "-m", "flowrunner.cli", *map(str, arguments)], environment)

    return start, tmp_path / "slow.json"


def test_ctrl_c_stops_a_reply_and_the_conversation_goes_on(slow):
    start, flow = slow
    terminal = start("chat", flow)
    terminal.wait_for("> ")
    terminal.type("for ever\n")
    terminal.wait_for("piece2 ")
    terminal.type("\x03")
    terminal.wait_for("Reply stopped.")
    terminal.type("short\n")
    terminal.wait_for("piece0 piece1 piece2")
    terminal.type("/quit\n")
    assert terminal.end() == 0, terminal.output


def test_run_streams_into_a_terminal_and_says_it_once(slow):
    start, flow = slow
    terminal = start("run", flow, "short")
    assert terminal.end() == 0, terminal.output
    assert terminal.output.count("piece0 piece1 piece2") == 1
