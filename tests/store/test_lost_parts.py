"""A SQLite database that loses a part under a running app, or between two: it is noticed, said, and never made up."""

import logging
import os
import sqlite3
from contextlib import closing

import pytest

from flowrunner.app import create_app, runner_of
from flowrunner.errors import SchemaOutdated
from tests.waiting import wait_until


@pytest.fixture
def start(tmp_path):
    """Start an app on a folder; it is stopped by its runner, or at the end."""
    made = []

    def start():
        made.append(create_app(data_dir=tmp_path / "data", auth="none", flows_dir="examples/flows"))
        return made[-1]

    yield start
    for app in made:
        runner_of(app).close()


def ask(app):
    answer = app.test_client().post("/api/v1/run/basic-chat", json={"input_value": "hi", "session_id": "s"})
    return answer.status_code, answer.get_data(as_text=True)


def not_ready(app):
    """Return why an app is not ready, once it says so; a look holds for half a second."""
    found = wait_until(lambda: (a := app.test_client().get("/ready")).status_code == 503 and a.json["reason"])
    assert app.test_client().get("/health_check").json["db"] == "error"
    return found


def say(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("part", ["-shm", "-wal", "emptied"])
def test_a_part_that_goes_under_a_running_app_is_noticed(start, tmp_path, part, caplog):
    app, path = start(), tmp_path / "data" / "flowrunner.db"
    assert ask(app)[0] == 200
    if part == "emptied":
        os.truncate(path, 0)
    else:
        path.with_name(path.name + part).unlink()
    # Without its log, what SQLite says depends on which connection it is.
    words = ("must be restarted", "the disk fails") if part == "-wal" else ("must be restarted",)
    told = [not_ready(app)]
    for _ in range(3):
        status, answer = ask(app)
        assert status == 503
        told.append(answer)
    assert all(any(word in one for word in words) for one in told), told
    # A thread that looks at the stores says it, in its time.
    assert wait_until(lambda: str(path) in caplog.text)


def test_a_table_that_is_gone_is_no_good_health(start, tmp_path):
    app, path = start(), tmp_path / "data" / "flowrunner.db"
    assert ask(app)[0] == 200
    say(path, "DROP TABLE flowrunner_variables")
    assert "damaged" in not_ready(app)


def test_a_database_that_cannot_be_written_for_what_is_beside_it_is_not_ready(start, tmp_path):
    app, path = start(), tmp_path / "data" / "flowrunner.db"
    assert ask(app)[0] == 200
    runner_of(app).close()
    path.with_name(f"{path.name}-shm").mkdir()
    assert "cannot be written" in not_ready(start())


def test_who_else_writes_for_a_while_is_no_bad_health(start, tmp_path):
    app, path = start(), tmp_path / "data" / "flowrunner.db"
    assert ask(app)[0] == 200
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert app.test_client().get("/ready").status_code == 200
        other.execute("ROLLBACK")
    assert ask(app)[0] == 200


def test_an_emptied_database_begins_anew_and_says_so(start, tmp_path, caplog):
    app, path = start(), tmp_path / "data" / "flowrunner.db"
    with caplog.at_level(logging.WARNING):
        assert ask(app)[0] == 200
        assert "was in use before" not in caplog.text
        runner_of(app).close()
        os.truncate(path, 0)
        assert ask(start())[0] == 200
    assert f"The database file {path} was in use before and has lost its tables" in caplog.text


def test_tables_without_their_version_are_refused(start, tmp_path):
    app, path = start(), tmp_path / "data" / "flowrunner.db"
    assert ask(app)[0] == 200
    runner_of(app).close()
    say(path, "DROP TABLE flowrunner_version")
    with pytest.raises(SchemaOutdated, match=r"no version of its tables .*flowrunner restore"):
        runner_of(start()).open()
