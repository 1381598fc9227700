"""``flowrunner check-config``: the same verdict as a server's start."""

import pytest
from click.testing import CliRunner

from flowrunner import SettingsInvalid
from flowrunner.cli import cli


def check(*arguments):
    return CliRunner().invoke(cli, ["check-config", *map(str, arguments)])


def test_settings_that_can_be_used(tmp_path):
    done = check("--data-dir", tmp_path / "data")
    assert done.exit_code == 0, done.output
    assert f"memory sqlite, data in {tmp_path / 'data'}" in done.output


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FLOWRUNNER_DATABASE_URL", "postgresql://me:hidden@127.0.0.1:1/none", "FLOWRUNNER_DATABASE_URL cannot"),
        ("FLOWRUNNER_MEMORY", "nothing", "No plugin offers the memory backend 'nothing'"),
        ("FLOWRUNNER_FLOWS_DIR", "/not/there", "FLOWRUNNER_FLOWS_DIR: the folder /not/there does not exist"),
        ("FLOWRUNNER_DATA_DIR", "/dev/null/data", "FLOWRUNNER_DATA_DIR: the folder /dev/null/data cannot be created"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(tmp_path, monkeypatch, name, value, said):
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(name, value)
    done = check()
    assert done.exit_code == 1
    shown = str(done.exception.message if isinstance(done.exception, SettingsInvalid) else done.exception)
    assert said in shown and "hidden" not in shown
