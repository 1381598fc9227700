"""What every command has in common."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from flowrunner.cli import COMMANDS, cli, main


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
