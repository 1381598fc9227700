"""``backup`` and ``restore``: while a server works, on every kind of store, and nothing but the whole."""

from __future__ import annotations

import json
import os
import threading

import pytest
from click.testing import CliRunner

from flowrunner import FlowRunnerError
from flowrunner.app import create_app, runner_of
from flowrunner.cli import cli
from flowrunner.memory import EVERY_OWNER
from flowrunner.store.keys import owner_of_user
from tests.live_server import ROOT, ForkedServer, make_key, serve_command

FLOWS = str(ROOT / "examples" / "flows")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in [name for name in os.environ if name.startswith("FLOWRUNNER_")]:
        monkeypatch.delenv(name)


def flowrunner(*arguments):
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if isinstance(done.exception, FlowRunnerError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def fill(data, **settings):
    """Make a data folder with one of each."""
    runner = runner_of(create_app(data_dir=data, flows_dir=FLOWS, auth="none", **settings))
    runner.run("basic-chat", "Hello", session_id="a/b ü")
    runner.run("basic-chat", "again", session_id="a/b ü")
    runner.stores.variables.create("local", "KEY", "sk-of-mine", type="Credential")
    from io import BytesIO

    runner.stores.files.save("local", BytesIO(b"picture"), name="a.png")
    said = runner.memory.for_owner(EVERY_OWNER).fetch()
    runner.close()
    return said


def check(data, said, **settings):
    runner = runner_of(create_app(data_dir=data, flows_dir=FLOWS, auth="none", **settings))
    try:
        assert runner.memory.for_owner(EVERY_OWNER).fetch() == said
        assert runner.stores.variables.find("local", "KEY").value == "sk-of-mine"
        assert runner.stores.files.path_of("local", "local/a.png").read_bytes() == b"picture"
        runner.run("basic-chat", "and on", session_id="a/b ü")
    finally:
        runner.close()


@pytest.mark.parametrize("memory", ["sqlite", "file-json"])
def test_what_is_restored_is_what_was_there(tmp_path, memory):
    said = fill(tmp_path / "data", memory=memory)
    flowrunner("backup", tmp_path / "copy", "--data-dir", tmp_path / "data", "--with-secret-key", "--memory", memory)
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0
    flowrunner("restore", tmp_path / "copy", "--data-dir", tmp_path / "new", "--memory", memory)
    check(tmp_path / "new", said, memory=memory)


def test_conversations_in_files_can_come_back_into_the_database(tmp_path):
    said = fill(tmp_path / "data", memory="file-json")
    flowrunner("backup", tmp_path / "c", "--data-dir", tmp_path / "data", "--with-secret-key", "--memory", "file-json")
    flowrunner("restore", tmp_path / "c", "--data-dir", tmp_path / "new", "--memory", "sqlite")
    check(tmp_path / "new", said)


def test_the_database_on_postgresql(tmp_path, postgres_server):
    postgres_server.execute("CREATE DATABASE one", "CREATE DATABASE other")
    one, other = (postgres_server.url(name).render_as_string(hide_password=False) for name in ("one", "other"))
    said = fill(tmp_path / "data", database_url=one)
    flowrunner("backup", tmp_path / "copy", "--data-dir", tmp_path / "data", "--database-url", one, "--with-secret-key")
    flowrunner("restore", tmp_path / "copy", "--data-dir", tmp_path / "new", "--database-url", other)
    check(tmp_path / "new", said, database_url=other)
    with pytest.raises(FlowRunnerError, match="already has flowrunner tables"):
        flowrunner("restore", tmp_path / "copy", "--data-dir", tmp_path / "third", "--database-url", other)
    with pytest.raises(FlowRunnerError, match="holds a database of postgresql"):
        flowrunner("restore", tmp_path / "copy", "--data-dir", tmp_path / "fourth")


def test_under_load_it_holds_everything_that_was_acknowledged_before(tmp_path):
    key = make_key(tmp_path / "data")
    server = ForkedServer(serve_command(tmp_path / "data")).wait_until_ready()
    acknowledged, stop = [], threading.Event()

    def talk(number):
        while not stop.is_set():
            text = f"{number}/{len(acknowledged)}"
            server.run("basic-chat", text, key=key, session_id=f"s{number}")
            acknowledged.append(text)

    talkers = [threading.Thread(target=talk, args=(number,)) for number in range(3)]
    try:
        for talker in talkers:
            talker.start()
        server.wait_for(lambda: len(acknowledged) > 30, "some talk")
        before = list(acknowledged)
        flowrunner("backup", tmp_path / "copy", "--data-dir", tmp_path / "data")
    finally:
        stop.set()
        for talker in talkers:
            talker.join()
        server.close()
    flowrunner("restore", tmp_path / "copy", "--data-dir", tmp_path / "new")
    runner = runner_of(create_app(data_dir=tmp_path / "new"))
    try:
        there = {m.text for m in runner.memory.for_owner(owner_of_user("ann")).fetch()}
        assert set(before) <= there
        assert runner.stores.keys.identify(key) is not None
    finally:
        runner.close()


class TestRefusals:
    @pytest.fixture
    def copy(self, tmp_path):
        fill(tmp_path / "data")
        flowrunner("backup", tmp_path / "copy", "--data-dir", tmp_path / "data")
        return tmp_path / "copy"

    def test_without_the_key_it_says_so(self, copy, tmp_path):
        assert not (copy / "secret.key").exists()
        assert (
            "does not include the encryption key" in flowrunner("restore", copy, "--data-dir", tmp_path / "new").stderr
        )

    def test_a_folder_that_holds_something(self, copy, tmp_path):
        with pytest.raises(FlowRunnerError, match="is not empty"):
            flowrunner("backup", copy, "--data-dir", tmp_path / "data")

    def test_a_place_that_holds_data(self, copy, tmp_path):
        with pytest.raises(FlowRunnerError, match="already holds data"):
            flowrunner("restore", copy, "--data-dir", tmp_path / "data")

    @pytest.mark.parametrize("harm", ["flip", "cut", "remove", "add", "manifest"])
    def test_a_backup_that_is_not_as_it_was_written(self, copy, tmp_path, harm):
        database = copy / "flowrunner.db"
        content = database.read_bytes()
        if harm == "flip":
            database.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
        elif harm == "cut":
            database.write_bytes(content[:-1])
        elif harm == "remove":
            database.unlink()
        elif harm == "add":
            (copy / "more").write_text("")
        else:
            (copy / "manifest.json").write_text(json.dumps({"form": 1}))
        with pytest.raises(FlowRunnerError, match="backup"):
            flowrunner("restore", copy, "--data-dir", tmp_path / "new")
        assert not (tmp_path / "new" / "flowrunner.db").exists()

    def test_a_backup_that_fails_leaves_nothing(self, tmp_path):
        fill(tmp_path / "data")
        (tmp_path / "data" / "secret.key").unlink()
        with pytest.raises(FlowRunnerError, match="no key file"):
            flowrunner("backup", tmp_path / "copy", "--data-dir", tmp_path / "data", "--with-secret-key")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
