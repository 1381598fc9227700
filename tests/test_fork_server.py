"""What runs as a fork fails where a process of its own fails, and reads and writes the streams that it is given."""

from __future__ import annotations

import subprocess

import pytest

from tests.fork_server import FORK_SERVER
from tests.live_server import ROOT, clean_environment


@pytest.fixture
def shell(tmp_path):
    """Run a line in a shell that finds ``flowrunner`` as a fork."""
    FORK_SERVER.put_command(tmp_path, clean_environment())
    environment = clean_environment(FLOWRUNNER_DATA_DIR=str(tmp_path / "data"))
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"

    def run(line):
        done = subprocess.run(
            ["bash", "-c", line], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_command_ends_with_its_own_status_and_words(shell):
    assert shell("flowrunner run nowhere.json hi") == (1, "", "flowrunner: Flow identifier nowhere.json not found\n")
    status, out, err = shell("flowrunner nonsense")
    assert (status, out) == (2, "")
    assert "nonsense" in err


def test_a_command_stands_in_pipes_and_has_the_folder_and_environment_of_its_shell(shell):
    line = (
        "cd examples && export FLOWRUNNER_MEMORY=in-memory && echo hi | flowrunner run flows/basic-chat.json | tr h H"
    )
    assert shell(line) == (0, "Hi\n", "")


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("import sys; print(sys.argv)", 0, ""),
        ("raise ValueError('no')", 1, "ValueError: no"),
        ("import sys; sys.exit('a sentence')", 1, "a sentence"),
        ("import sys; sys.exit(7)", 7, ""),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("import warnings; warnings.warn('old', DeprecationWarning)", 1, "DeprecationWarning: old"),
    ],
    ids=["good", "error", "sentence", "status", "killed", "warning"],
)
def test_code_ends_as_in_a_process_of_its_own(tmp_path, code, status, told):
    done = FORK_SERVER.run([code, "word"], clean_environment(PYTHONWARNINGS="error"), tmp_path, "python")
    assert done.returncode == status
    assert told in done.stderr
    assert done.stdout == ("['-c', 'word']\n" if status == 0 else "")
