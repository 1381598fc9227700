"""What SQLite says of a failure is looked at again: one name of an error stands for several causes."""

import sqlite3
from collections import namedtuple

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from flowrunner.store import outage
from flowrunner.store.outage import BROKEN, FULL, MISSING, READ_ONLY, DatabaseFailed, store_errors

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def fails(tmp_path):
    """Return how the house names what SQLite says of a database in a folder of the test's own."""
    file = tmp_path / "flowrunner.db"
    engine = create_engine(f"sqlite:///{file}")

    def fails(words, *, there=True):
        if there:
            file.touch()
        with pytest.raises(DatabaseFailed) as caught, store_errors(engine):
            raise sqlite3.OperationalError(words)
        return caught.value.outage

    yield fails
    engine.dispose()


def test_a_disk_that_fails_may_be_full(fails, monkeypatch):
    monkeypatch.setattr(outage.shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, 0))
    assert fails("disk I/O error") is FULL


def test_a_disk_with_room_fails(fails):
    assert fails("disk I/O error") is BROKEN


def test_a_file_that_cannot_be_opened_may_be_in_a_folder_that_cannot_be_written(fails, monkeypatch):
    monkeypatch.setattr(outage.os, "access", lambda folder, how: False)
    assert fails("unable to open database file") is READ_ONLY


@pytest.mark.parametrize("writable", [True, False])
def test_a_file_that_is_not_there_is_missing(fails, monkeypatch, writable):
    monkeypatch.setattr(outage.os, "access", lambda folder, how: writable)
    assert fails("unable to open database file", there=False) is MISSING


def test_a_file_that_is_there_in_a_folder_that_can_be_written_cannot_be_opened(fails):
    assert fails("unable to open database file") is MISSING


def test_a_postgresql_that_does_not_answer_is_silent_whoever_asked():
    pytest.importorskip("psycopg")
    from flowrunner.store.postgres_timeouts import no_answer

    error = no_answer(4)
    assert outage.outage_of(error) is outage.SILENT
    assert outage.outage_of(DBAPIError("SELECT 1", {}, error)) is outage.SILENT
