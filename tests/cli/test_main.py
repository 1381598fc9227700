"""What every command has in common."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from flowrunner.cli import COMMANDS, cli, main
from tests.live_server import ROOT, clean_environment


def test_an_error_is_one_sentence_and_status_1(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["flowrunner", "run", "no-such-flow", "x"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "flowrunner: Flow identifier no-such-flow not found\n")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_can_be_imported_and_explains_itself(name):
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help
    found = [command]
    while found:
        one = found.pop()
        if isinstance(one, click.Group):
            found += one.commands.values()
        for parameter in one.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.help, f"the option {parameter.opts} of {name} has no help"


def test_an_unknown_command_is_wrong_usage(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["flowrunner", "nonsense"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "nonsense" in capsys.readouterr().err


def test_listing_commands_imports_none_of_them():
    code = "import sys, flowrunner.cli; print([m for m in ('flask', 'sqlalchemy', 'gunicorn') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("redirected", "out", "err", "status"),
    [
        ("hi <&-", "hi\n", "", 0),
        ("<&-", "\n", "", 0),
        ("hi >&-", "", "", 0),
        ("hi 2>&-", "hi\n", "", 0),
        ("hi <&- >&- 2>&-", "", "", 0),
        ("hi > /dev/full", "", "flowrunner: The output cannot be written: No space left on device.\n", 1),
    ],
)
def test_streams_may_be_closed_or_full(redirected, out, err, status, tmp_path):
    command = f'exec "$0" -m flowrunner.cli run examples/flows/basic-chat.json {redirected}'
    environment = clean_environment(FLOWRUNNER_DATA_DIR=str(tmp_path))
    done = subprocess.run(
        ["bash", "-c", command, sys.executable], capture_output=True, text=True, env=environment, cwd=ROOT
    )
    assert (done.stdout, done.stderr, done.returncode) == (out, err, status)


def test_an_export_goes_into_a_pipe_and_one_that_cannot_be_written_is_a_sentence(tmp_path):
    environment = clean_environment(FLOWRUNNER_DATA_DIR=str(tmp_path / "data"), FLOWRUNNER_MEMORY="sqlite")

    def shell(text):
        command = ["bash", "-c", text, sys.executable]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=120)

    assert shell('"$0" -m flowrunner.cli run examples/flows/basic-chat.json hi').returncode == 0
    for place in ("> /dev/full", "/dev/null/file", str(tmp_path / "missing" / "file")):
        done = shell(f'"$0" -m flowrunner.cli memory export {place}')
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert "cannot be written" in done.stderr
    # What is no file, such as a pipe or /dev/null, is written to and not replaced.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = shell(f'timeout 60 cat {pipe} & "$0" -m flowrunner.cli memory export {pipe}; wait')
    assert pipe.is_fifo()
    assert done.stdout.count('"hi"') == 2, done.stdout + done.stderr
