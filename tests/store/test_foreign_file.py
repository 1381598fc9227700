"""What lies where the SQLite file belongs is named with its setting, and stays as it is."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner

from flowrunner.app import create_app, runner_of
from flowrunner.cli import cli
from flowrunner.errors import SettingsInvalid
from flowrunner.store.foreign_file import find_foreign


def table(*statements):
    def make(file):
        with closing(sqlite3.connect(file)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return make


def socket(file):
    # Not by binding one: a path of tests may be longer than that of a socket may be.
    os.mknod(file, stat.S_IFSOCK | 0o600)


FOREIGN = {
    "text": (lambda file: file.write_text("bread, milk"), "is not a SQLite database"),
    "one byte": (lambda file: file.write_bytes(b"\0"), "is not a SQLite database"),
    "zeros": (lambda file: file.write_bytes(bytes(8192)), "is not a SQLite database"),
    "half a header": (lambda file: file.write_bytes(b"SQLite format"), "is not a SQLite database"),
    "folder": (lambda file: file.mkdir(), "is a folder"),
    "link to a folder": (lambda file: file.symlink_to(file.parent), "is a folder"),
    "pipe": (os.mkfifo, "is not a regular file"),
    "device": (lambda file: file.symlink_to("/dev/null"), "is not a regular file"),
    "socket": (socket, "is not a regular file"),
    "link to nowhere": (lambda file: file.symlink_to("/nowhere/at/all.db"), "is a link to /nowhere/at/all.db, whose"),
    "link to itself": (lambda file: file.symlink_to(file), "cannot be opened (Too many"),
    "another program's": (table("CREATE TABLE users (id)"), "another program (its first table is 'users')"),
    "with an odd name": (table('CREATE TABLE "a\n b" (id)'), r"(its first table is 'a\n b')"),
    "of one that writes ahead": (table("PRAGMA journal_mode = WAL", "CREATE TABLE users (id)"), "another program"),
    "of many tables": (table("CREATE TABLE zebra (id)", "CREATE TABLE ant (id)"), "(its first table is 'ant')"),
}


@pytest.mark.parametrize(("make", "what"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_foreign_is_refused_by_name_and_not_touched(tmp_path, make, what):
    folder = tmp_path / "data"
    folder.mkdir()
    file = folder / "flowrunner.db"
    make(file)
    before = (os.lstat(file), file.read_bytes() if file.is_file() else None, sorted(folder.iterdir()))
    runner = runner_of(create_app(data_dir=folder))
    with pytest.raises(SettingsInvalid) as refused:
        runner.open()
    said = refused.value.message
    assert said.startswith(f"FLOWRUNNER_DATA_DIR: the database file {file} ") and what in said
    assert "FLOWRUNNER_DATABASE_URL" in said and said.count(". ") == 0
    assert ("flowrunner restore" in said) is ("is not a SQLite database" in what)
    after = (os.lstat(file), file.read_bytes() if file.is_file() else None, sorted(folder.iterdir()))
    assert (after[0][:7], *after[1:]) == (before[0][:7], *before[1:])


def test_a_url_that_names_the_file_is_what_is_named(tmp_path):
    table("CREATE TABLE users (id)")(tmp_path / "site.db")
    runner = runner_of(create_app(data_dir=tmp_path, database_url="sqlite:///site.db"))
    with pytest.raises(SettingsInvalid, match=r"^FLOWRUNNER_DATABASE_URL: the database file .*/site\.db is the data"):
        runner.open()


@pytest.mark.parametrize(
    "command",
    [["keys", "create", "--user", "ann"], ["sessions"], ["runs"], ["db", "upgrade"], ["backup", "to"]],
    ids=" ".join,
)
def test_commands_refuse_it_too(tmp_path, command):
    file = tmp_path / "flowrunner.db"
    table("CREATE TABLE users (id)")(file)
    before = file.read_bytes()
    done = CliRunner().invoke(cli, command, env={"FLOWRUNNER_DATA_DIR": str(tmp_path)})
    assert done.exit_code == 1
    assert f"FLOWRUNNER_DATA_DIR: the database file {file} is the database of another program" in str(done.exception)
    assert file.read_bytes() == before


def test_a_damaged_file_can_be_replaced_by_a_backup_as_the_sentence_says(tmp_path):
    def run(*command, folder):
        return CliRunner().invoke(cli, command, env={"FLOWRUNNER_DATA_DIR": str(tmp_path / folder)})

    assert run("keys", "create", "--user", "ann", folder="whole").exit_code == 0
    assert run("backup", str(tmp_path / "copy"), folder="whole").exit_code == 0
    file = tmp_path / "damaged" / "flowrunner.db"
    file.parent.mkdir()
    file.write_bytes(bytes(8192))
    refused = run("restore", str(tmp_path / "copy"), folder="damaged")
    assert "move it away and restore a backup (flowrunner restore)" in str(refused.exception)
    file.rename(tmp_path / "away.db")
    assert run("restore", str(tmp_path / "copy"), folder="damaged").exit_code == 0
    assert "ann" in run("keys", "list", folder="damaged").output


def test_a_file_below_a_file_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    assert find_foreign(tmp_path / "file" / "flowrunner.db").what == "lies below a file, not a folder"


USABLE = {
    "nothing": lambda file: None,
    "empty": lambda file: file.write_bytes(b""),
    "without tables": table("CREATE TABLE t (id)", "DROP TABLE t"),
    "ours beside others": table("CREATE TABLE flowrunner_x (id)", "CREATE TABLE users (id)"),
    "link to a file that can be made": lambda file: file.symlink_to(file.parent / "elsewhere.db"),
}


@pytest.mark.parametrize("make", USABLE.values(), ids=USABLE)
def test_what_can_be_used_is_used(tmp_path, make):
    make(tmp_path / "flowrunner.db")
    assert find_foreign(tmp_path / "flowrunner.db") is None
    runner = runner_of(create_app(data_dir=tmp_path))
    runner.open()
    runner.close()


def test_a_damaged_file_is_left_to_whoever_opens_it(tmp_path):
    table("CREATE TABLE users (id)")(tmp_path / "flowrunner.db")
    whole = (tmp_path / "flowrunner.db").read_bytes()
    (tmp_path / "flowrunner.db").write_bytes(whole[:100] + os.urandom(len(whole) - 100))
    assert find_foreign(tmp_path / "flowrunner.db") is None


OTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM flowrunner_runs").fetchone()
connection.close()
"""


def test_a_second_runner_of_a_process_leaves_the_locks_of_the_first_alone(tmp_path):
    """Else a process that closes the file next takes itself for the last, and removes what the first writes to."""
    apps = [create_app(data_dir=tmp_path, auth="none", flows_dir="examples/flows") for _ in range(2)]

    def run():
        return apps[0].test_client().post("/api/v1/run/basic-chat", json={"input_value": "hi"}).status_code

    assert run() == 200
    runner_of(apps[1]).open()
    runner_of(apps[1]).close()
    subprocess.run([sys.executable, "-c", OTHER, str(tmp_path / "flowrunner.db")], check=True, timeout=60)
    assert (tmp_path / "flowrunner.db-wal").exists()
    assert run() == 200
    runner_of(apps[0]).close()
