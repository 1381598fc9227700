"""Names and words of others reach a terminal without what steers it, and a pipe as they are."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import unicodedata

import pytest
from click.testing import CliRunner

from flowrunner.cli import cli
from flowrunner.testing.memory.samples import make_message
from flowrunner.text.printable import harmless, printable
from tests.live_server import PROGRAMS
from tests.waiting import wait_until

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


def command(*arguments):
    return [sys.executable, "-m", "flowrunner.cli", *arguments]


def call(env, *arguments, given=None):
    """Run a command in this process, its output a pipe, and return what it printed."""
    done = CliRunner(env=env).invoke(cli, arguments, input=given)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_tables_fit_the_terminal_and_are_whole_in_a_pipe(env):
    session, said = "日本-" + "s" * 60, "a long text " * 30
    call(env, "run", "basic-chat", said, "--session-id", session)
    piped = call(env, "messages")
    assert session in piped and said.strip() in piped and "…" not in piped
    shown = run_on_a_terminal(["messages"], {**env, "COLUMNS": "40"}).splitlines()
    assert len(shown) == 3
    assert all(sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line) <= 40 for line in shown), shown
    # One form of times in all tables.
    for name in ("messages", "sessions", "runs"):
        assert re.search(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\b", call(env, name)), name


def test_a_reader_that_leaves_is_no_error_to_speak_of(env):
    call(env, "run", "basic-chat", "--session-id", "s", given="x" * 300_000)
    # Without a buffer Python counts a write that was cut short as done.
    buffered = {name: value for name, value in env.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        command("messages", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered
    )
    process.stdout.read(1)
    process.stdout.close()
    complaint = process.stderr.read().decode()
    process.stderr.close()
    assert (process.wait(60), complaint) == (141, "")


def test_ctrl_c_says_what_was_done_and_how_to_go_on(env):
    """Lines come from a pipe that stays open, so the import is still waiting when it is interrupted."""
    record = make_message("a", "s").to_record()
    process = subprocess.Popen(
        command("memory", "import"), stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    )
    # More than a page, so that some are stored while the rest is waited for.
    lines = "".join(json.dumps({**record, "id": f"m{number}"}) + "\n" for number in range(600))
    process.stdin.write(lines.encode())
    process.stdin.flush()
    assert wait_until(lambda: '"m499"' in call(env, "memory", "export"), 60)
    process.send_signal(signal.SIGINT)
    # The pipe stays open until it has ended.
    status = process.wait(60)
    said = process.stderr.read().decode()
    for stream in (process.stdin, process.stderr, process.stdout):
        stream.close()
    assert status == 130
    assert "Interrupted after 500 messages." in said and "--skip-existing to continue" in said
    assert "stored 100 messages, passed over 500" in call(env, "memory", "import", "--skip-existing", given=lines)


def test_the_shell_completes_commands_and_options(env):
    script = """
        eval "$(_FLOWRUNNER_COMPLETE=bash_source flowrunner)"
        complete -p flowrunner
        for words in "flowrunner me" "flowrunner memory ex" "flowrunner messages --se"; do
            COMP_WORDS=($words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
            _flowrunner_completion flowrunner
            echo "${COMPREPLY[*]}"
        done
    """
    environment = {**env, "PATH": f"{PROGRAMS}{os.pathsep}{env['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    declared, *completed = done.stdout.splitlines()
    assert declared.endswith("flowrunner")
    assert completed == ["memory messages", "export", "--session-id --session --sender --search"]
