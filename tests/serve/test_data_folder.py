"""Where stand-alone data lies, what is said of that place, and moving what an earlier installation left."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from flowrunner.errors import BadRequest, Conflict, SettingsInvalid
from flowrunner.site import data_folder
from flowrunner.site.data_folder import doubts_about, usual_data_folder
from flowrunner.site.older_data import holdings_of, move_data
from tests.fork_server import FORK_SERVER
from tests.live_server import ROOT, clean_environment

FLOW = ROOT / "examples" / "flows" / "basic-chat.json"


def flowrunner(*arguments, home: Path, check=True, **environment):
    """Run the command as a user with that home folder."""
    given = {**clean_environment(), "HOME": str(home), **environment}
    given.pop("XDG_DATA_HOME", None)
    done = FORK_SERVER.run(arguments, given, home)
    assert not check or done.returncode == 0, done.stderr
    return done


def say(text, home, **options):
    return flowrunner("run", FLOW, text, "--session-id", "s1", home=home, **options)


def _unknown(number):
    raise KeyError(number)


@pytest.fixture
def old_place(tmp_path):
    """The data folder of an earlier installation, with one conversation."""
    old = tmp_path / "old" / "var" / "flowrunner-instance"
    say("Hello", tmp_path, FLOWRUNNER_DATA_DIR=str(old))
    return old


class TestTheFolder:
    def test_is_one_for_all_commands_and_for_wsgi(self, tmp_path):
        say("Hello", tmp_path)
        usual = tmp_path / ".local" / "share" / "flowrunner"
        assert (usual / "flowrunner.db").is_file()
        assert usual.stat().st_mode & 0o077 == 0
        flowrunner("keys", "create", "--user", "ann", home=tmp_path)
        shown = json.loads(flowrunner("data", "--json", home=tmp_path).stdout)
        assert (shown["folder"], shown["holds"]["messages"], shown["holds"]["keys"]) == (str(usual), 2, 1)
        code = "import wsgi; from flowrunner.app import runner_of; print(runner_of(wsgi.app).settings.data_dir)"
        environment = {**clean_environment(), "HOME": str(tmp_path)}
        environment.pop("XDG_DATA_HOME", None)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == str(usual)
        assert str(usual) in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == [".local"]

    @pytest.mark.parametrize("home", ["", "relative/place"])
    def test_a_home_that_is_none_leads_to_no_folder_named_tilde(self, home, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(data_folder, "SERVICE_FOLDER", tmp_path / "missing")
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
        monkeypatch.setattr(pwd, "getpwuid", _unknown)
        monkeypatch.setenv("HOME", home)
        monkeypatch.delenv("XDG_DATA_HOME")
        with pytest.raises(SettingsInvalid, match=r"no home folder; set FLOWRUNNER_DATA_DIR"):
            usual_data_folder()
        assert list(tmp_path.iterdir()) == []

    def test_of_a_user_whose_home_cannot_be_written_is_that_of_services(self, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("no folder")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
        service = tmp_path / "service"
        monkeypatch.setattr(data_folder, "SERVICE_FOLDER", service)
        with pytest.raises(SettingsInvalid, match="cannot be created; set FLOWRUNNER_DATA_DIR"):
            usual_data_folder()
        service.mkdir()
        assert usual_data_folder() == service

    def test_a_command_says_it_in_one_sentence(self, tmp_path):
        (tmp_path / ".local").write_text("no folder")
        done = say("Hello", tmp_path, check=False)
        if Path("/var/lib/flowrunner").is_dir():
            pytest.skip("this machine has a folder for the service")
        assert done.returncode == 1
        assert "FLOWRUNNER_DATA_DIR" in done.stderr
        assert "Traceback" not in done.stderr


class TestDoubts:
    @pytest.mark.parametrize(
        "mark", ["pyvenv.cfg", "conda-meta/history", "lib/python3.12/site-packages/x"], ids=lambda mark: mark[:10]
    )
    def test_a_folder_in_an_environment(self, tmp_path, mark):
        place = tmp_path / "env" / mark
        place.parent.mkdir(parents=True)
        place.write_text("")
        folder = place.parent if "site-packages" in mark else tmp_path / "env" / "var" / "data"
        assert "inside the Python environment" in doubts_about(folder)[0]

    def test_a_folder_that_a_link_leads_into_an_environment(self, tmp_path):
        (tmp_path / "env" / "var").mkdir(parents=True)
        (tmp_path / "env" / "pyvenv.cfg").write_text("")
        (tmp_path / "data").symlink_to(tmp_path / "env" / "var")
        assert "inside the Python environment" in doubts_about(tmp_path / "data")[0]

    @pytest.mark.parametrize("folder", ["/tmp/data", "/var/tmp/data", "/dev/shm/data", "/run/data"])
    def test_a_temporary_place(self, folder):
        assert "the system removes old files" in doubts_about(Path(folder))[0]

    @pytest.mark.parametrize("folder", ["/var/lib/flowrunner", "/srv/data", "/home/ann/.local/share/flowrunner"])
    def test_a_place_that_stays(self, folder):
        assert doubts_about(Path(folder)) == []


class TestMoving:
    def test_an_older_place_is_named_and_moved(self, old_place, tmp_path):
        environment = tmp_path / ".venv" / "var"
        environment.mkdir(parents=True)
        here = old_place.rename(environment / "flowrunner-instance")
        # The new place is there already, since the server was started once.
        flowrunner("keys", "list", home=tmp_path)
        shown = flowrunner("data", home=tmp_path).stdout
        assert f"An older data folder contains data (2 messages): {here}" in shown
        moved = flowrunner("data", "move", home=tmp_path).stdout
        assert moved.startswith("moved 2 messages")
        assert not here.exists()
        assert "An older data folder" not in flowrunner("data", home=tmp_path).stdout
        texts = [row["text"] for row in json.loads(flowrunner("messages", "--json", home=tmp_path).stdout)]
        assert texts == ["Hello", "Hello"]

    def test_everything_in_the_folder_comes_along(self, old_place, tmp_path):
        key = (old_place / "secret.key").read_bytes()
        move_data(old_place, tmp_path / "new" / "place")
        assert (tmp_path / "new" / "place" / "secret.key").read_bytes() == key
        assert (tmp_path / "new" / "place").stat().st_mode & 0o077 == 0
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["place"]

    def test_a_place_with_data_of_its_own_is_not_overwritten(self, old_place, tmp_path):
        new = tmp_path / "new"
        say("Other", tmp_path, FLOWRUNNER_DATA_DIR=str(new))
        with pytest.raises(Conflict, match="contains data"):
            move_data(old_place, new)
        assert holdings_of(old_place).counts["messages"] == holdings_of(new).counts["messages"] == 2

    def test_what_a_server_has_open_is_not_moved(self, old_place, tmp_path):
        from flowrunner.app import create_app, runner_of

        runner = runner_of(create_app(data_dir=old_place))
        runner.open()
        try:
            with pytest.raises(Conflict, match="perhaps by a server"):
                move_data(old_place, tmp_path / "new")
        finally:
            runner.close()
        assert not (tmp_path / "new").exists()
        move_data(old_place, tmp_path / "new")

    def test_of_conversations_in_files(self, tmp_path):
        old = tmp_path / "old"
        say("Hello", tmp_path, FLOWRUNNER_DATA_DIR=str(old), FLOWRUNNER_MEMORY="file-json")
        assert str(move_data(old, tmp_path / "new")) == "1 conversation"

    def test_a_place_without_data(self, tmp_path):
        (tmp_path / "old").mkdir()
        with pytest.raises(BadRequest, match="no flowrunner data"):
            move_data(tmp_path / "old", tmp_path / "new")

    def test_an_unreadable_database_counts_as_data(self, tmp_path):
        (tmp_path / "flowrunner.db").write_bytes(b"no database at all, but somebody's" * 100)
        assert holdings_of(tmp_path)


def test_a_working_folder_that_stands_in_for_a_temporary_one_is_none(tmp_path, monkeypatch):
    """A container with a file system that is read-only but for the data folder, which is the working folder."""
    monkeypatch.setattr("flowrunner.site.data_folder._TEMPORARY", ())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert doubts_about(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    assert not doubts_about(tmp_path / "data")
