"""Names and words of others reach a terminal without what steers it, and a pipe as they are."""

import os
import pty
import select
import subprocess
import sys
import time

import pytest

from flowrunner.text.printable import harmless, printable

#: Clears the screen, sets the title, and the one character that begins a sequence like ESC [ does.
STEERING = "\x1b[2J\x1b]0;owned\x07\x9b31m"


def run_on_a_terminal(arguments, env):
    """Run a command whose output goes to a terminal, and return what came there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "flowrunner.cli", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    came, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 1)
        try:
            piece = os.read(ours, 65536) if ready else b""
        except OSError:
            break
        came += piece
        if not piece and process.poll() is not None:
            break
    process.wait(10)
    os.close(ours)
    return came.decode()


@pytest.fixture
def env(tmp_path):
    return {**os.environ, "FLOWRUNNER_DATA_DIR": str(tmp_path / "data"), "FLOWRUNNER_FLOWS_DIR": "examples/flows"}


@pytest.mark.parametrize("arguments", [["run", "examples/flows/basic-chat.json"], ["run"], ["sessions", "show"]])
def test_a_terminal_is_not_steered(arguments, env):
    shown = run_on_a_terminal([*arguments, f"a{STEERING}b"], env)
    assert shown.strip()
    assert not any(c in shown for c in "\x1b\x07\x9b"), repr(shown)


def test_a_pipe_gets_the_answer_as_it_is(env):
    command = [sys.executable, "-m", "flowrunner.cli", "run", "examples/flows/basic-chat.json", "a\x9b31m\x07b"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert done.stdout == "a\x9b31m\x07b\n"


def test_what_stays_and_what_is_escaped():
    family = "\U0001f468\u200d\U0001f469"
    assert harmless(f"a\tb\n{family}\x1b\x9b\x7f\ud800") == f"a\tb\n{family}\\x1b\\x9b\\x7f\\ud800"
    assert printable("a\nb\x1b\u2028c\ud800") == "a\\nb\\x1b\\u2028c\\ud800"
