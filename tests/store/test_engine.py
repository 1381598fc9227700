"""The engine of the app's own data: alone, in a host, in scripts, and after a fork."""

import sqlite3
import sys

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, event, text

from flowrunner.errors import SettingsInvalid
from flowrunner.settings import SETTINGS, read_settings
from flowrunner.store.engine import (
    attach_database,
    bind_key,
    close_database,
    close_engine,
    database_engine,
    database_url,
    reading,
    writing,
)
from tests.store.conftest import make_settings


@pytest.fixture
def app(tmp_path):
    return Flask("host", instance_path=str(tmp_path / "instance"))


def host_db(app, tmp_path, **config):
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'host.db'}"
    app.config.update(config)
    db = SQLAlchemy()
    db.init_app(app)
    return db


def close_host(app, db):
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


class TestWhere:
    def test_a_file_in_the_data_folder_by_default(self, settings, tmp_path):
        assert database_url(settings).database == str(tmp_path / "flowrunner.db")

    def test_in_the_instance_folder_without_a_data_folder(self, app, tmp_path):
        settings = read_settings(SETTINGS, config={}, environ={})
        assert database_url(settings, app).database == str(tmp_path / "instance" / "flowrunner.db")
        with pytest.raises(SettingsInvalid, match="FLOWRUNNER_DATA_DIR"):
            database_url(settings)

    def test_a_relative_file_is_relative_to_the_data_folder(self, tmp_path):
        assert database_url(make_settings(tmp_path, DATABASE_URL="sqlite:///x.db")).database == str(tmp_path / "x.db")

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
    def test_a_database_in_memory_is_refused(self, tmp_path, url):
        with pytest.raises(SettingsInvalid, match="memory"):
            database_url(make_settings(tmp_path, DATABASE_URL=url))

    def test_what_is_no_url_is_refused_without_showing_it(self, tmp_path):
        with pytest.raises(SettingsInvalid) as refusal:
            database_url(make_settings(tmp_path, DATABASE_URL="me:pass word"))
        assert "pass word" not in str(refusal.value)

    @pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
    def test_postgresql_means_psycopg(self, tmp_path, scheme):
        url = database_url(make_settings(tmp_path, DATABASE_URL=f"{scheme}://u:p@h/d"))
        assert url.drivername == "postgresql+psycopg"


class TestAlone:
    def test_an_app_gets_flask_sqlalchemy_with_our_bind_alone(self, app, settings):
        engine = attach_database(app, settings)
        with app.app_context():
            assert app.extensions["sqlalchemy"].engines == {"flowrunner": engine}
        assert database_engine(app, settings) is engine
        close_database(app, settings)

    def test_a_script_needs_no_app_and_has_one_engine_per_settings(self, settings):
        engine = database_engine(None, settings)
        assert database_engine(None, settings) is engine
        assert database_engine(None, settings.with_values()) is not engine
        close_database(None, settings)
        close_database(None, settings)

    def test_sqlite_is_set_up_to_lose_nothing_and_to_keep_little(self, settings):
        engine = database_engine(None, settings)
        with reading(engine) as connection:
            found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in
                     ("journal_mode", "synchronous", "busy_timeout", "foreign_keys", "cache_size")]  # fmt: skip
        assert found == ["wal", 2, 30000, 0, -512]
        close_database(None, settings)

    @pytest.mark.parametrize("times", [0, 1, 2])
    def test_an_engine_that_was_closed_keeps_its_connection_again_once_it_is_opened(self, app, settings, times):
        for _ in range(times):
            engine = attach_database(app, settings)
            with reading(engine):
                pass
            close_database(app, settings)
            close_engine(engine)
        engine, opened = attach_database(app, settings), []
        event.listen(engine, "connect", lambda *connected: opened.append(connected))
        for _ in range(5):
            with reading(engine) as connection:
                connection.execute(text("SELECT 1"))
        close_database(app, settings)
        assert len(opened) == 1

    def test_a_connection_that_comes_back_to_a_closed_engine_is_closed(self, app, settings):
        engine = attach_database(app, settings)
        before, after = [], []
        with reading(engine) as connection:
            before.append(connection.connection.driver_connection)
            close_database(app, settings)
            with reading(engine) as late:
                after.append(late.connection.driver_connection)
        for driver in (*before, *after):
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                driver.execute("SELECT 1")
        close_engine(engine)


class TestTransactions:
    def test_a_writer_takes_the_lock_at_once_and_readers_do_not_wait(self, bare_engine):
        with writing(bare_engine) as connection:
            connection.execute(text("CREATE TABLE t (a INTEGER)"))
        with writing(bare_engine) as writer:
            writer.execute(text("INSERT INTO t VALUES (1)"))
            with reading(bare_engine) as reader:
                assert reader.execute(text("SELECT count(*) FROM t")).scalar() == 0
            if bare_engine.dialect.name == "sqlite":
                other = sqlite3.connect(bare_engine.url.database, timeout=0)
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("BEGIN IMMEDIATE")
                other.close()
        with reading(bare_engine) as reader:
            assert reader.execute(text("SELECT count(*) FROM t")).scalar() == 1

    def test_an_error_rolls_back_also_what_made_tables(self, bare_engine):
        with pytest.raises(ZeroDivisionError), writing(bare_engine) as connection:
            connection.execute(text("CREATE TABLE t (a INTEGER)"))
            raise ZeroDivisionError
        with writing(bare_engine) as connection:
            connection.execute(text("CREATE TABLE t (a INTEGER)"))

    def test_a_reading_sees_one_state_throughout(self, settings):
        engine = database_engine(None, settings)
        with writing(engine) as connection:
            connection.execute(text("CREATE TABLE t (a INTEGER)"))
        with reading(engine) as reader:
            assert reader.execute(text("SELECT count(*) FROM t")).scalar() == 0
            with writing(engine) as writer:
                writer.execute(text("INSERT INTO t VALUES (1)"))
            assert reader.execute(text("SELECT count(*) FROM t")).scalar() == 0
        close_database(None, settings)


class TestInAHost:
    def test_the_hosts_engines_are_left_as_they_are(self, app, settings, tmp_path):
        db = host_db(app, tmp_path)
        engine = attach_database(app, settings)
        with app.app_context():
            assert set(db.engines) == {None}
            assert engine.url.database != db.engine.url.database
            assert db.engine.url.database == str(tmp_path / "host.db")
        close_database(app, settings)
        close_host(app, db)

    def test_the_hosts_transaction_is_neither_seen_nor_touched(self, app, settings, tmp_path):
        db = host_db(app, tmp_path)
        engine = attach_database(app, settings, db)
        with app.app_context():
            db.session.execute(text("CREATE TABLE h (a INTEGER)"))
            db.session.commit()
            db.session.execute(text("INSERT INTO h VALUES (1)"))
            with writing(engine) as connection:
                connection.execute(text("CREATE TABLE o (a INTEGER)"))
            db.session.rollback()
            assert db.session.execute(text("SELECT count(*) FROM h")).scalar() == 0
            db.session.remove()
        close_database(app, settings)
        close_host(app, db)

    def test_a_bind_that_the_host_made_for_us_is_used(self, app, settings, tmp_path):
        db = host_db(app, tmp_path, SQLALCHEMY_BINDS={"flowrunner": f"sqlite:///{tmp_path / 'theirs.db'}"})
        assert attach_database(app, settings).url.database == str(tmp_path / "theirs.db")
        close_database(app, settings)
        close_host(app, db)

    @pytest.mark.parametrize("url", [None, "sqlite:///link/host.db"])
    def test_the_hosts_own_sqlite_file_is_refused(self, app, tmp_path, url):
        (tmp_path / "link").symlink_to(tmp_path)
        db = host_db(app, tmp_path, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'flowrunner.db'}")
        if url:
            app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'host.db'}"
            app.extensions.clear()
            db = SQLAlchemy()
            db.init_app(app)
        with pytest.raises(SettingsInvalid, match="its own file"):
            attach_database(app, make_settings(tmp_path, **({"DATABASE_URL": url} if url else {})))
        close_host(app, db)

    def test_the_hosts_server_database_is_shared_when_its_db_is_given(self, app, settings, tmp_path):
        app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://nobody@localhost/none"
        db = SQLAlchemy()
        db.init_app(app)
        engine = attach_database(app, settings, db)
        with app.app_context():
            assert engine.url == db.engine.url
            assert engine.pool is not db.engine.pool
            assert set(db.engines) == {None}

    def test_a_db_of_another_app_is_refused(self, app, settings):
        with pytest.raises(SettingsInvalid, match="init_app"):
            attach_database(app, settings, SQLAlchemy())

    def test_two_runners_have_a_bind_each(self, app, settings, tmp_path):
        config = {"SHOP_DATA_DIR": tmp_path / "shop"}
        shop = read_settings(SETTINGS, config=config, environ={}, prefix="SHOP_")
        assert [bind_key(settings), bind_key(shop)] == ["flowrunner", "shop"]
        assert attach_database(app, settings) is not attach_database(app, shop)
        close_database(app, settings)
        close_database(app, shop)


def test_a_forked_child_has_connections_of_its_own(run_python, tmp_path):
    code = """
import os, sys
from sqlalchemy import text
from flowrunner.settings import SETTINGS, read_settings
from flowrunner.store.engine import close_database, database_engine, reading, writing
settings = read_settings(SETTINGS, config={"FLOWRUNNER_DATA_DIR": sys.argv[1]}, environ={})
engine = database_engine(None, settings)
with writing(engine) as connection:
    connection.execute(text("CREATE TABLE t (a INTEGER)"))
with reading(engine) as connection:
    before = id(connection.connection.driver_connection)
child = os.fork()
if child == 0:
    with writing(engine) as connection:
        assert id(connection.connection.driver_connection) != before
        connection.execute(text("INSERT INTO t VALUES (1)"))
    engine.dispose()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
with writing(engine) as connection:
    connection.execute(text("INSERT INTO t VALUES (2)"))
with reading(engine) as connection:
    print(connection.execute(text("SELECT count(*) FROM t")).scalar())
open_pool = engine.pool
close_database(None, settings)
closed_pool = engine.pool
child = os.fork()
if child == 0:
    # There is nothing in it that the parent uses, and a worker that leaves it alone shares more memory.
    os._exit(0 if engine.pool is closed_pool is not open_pool else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    assert run_python(code, tmp_path) == ["2"]


def test_a_worker_keeps_its_connection_though_its_master_has_tried_the_database(run_python, tmp_path, bare_engine):
    code = """
import os, sys
from sqlalchemy import event
from flowrunner.app import create_app, runner_of
from flowrunner.store.engine import reading

runner = runner_of(create_app(data_dir=sys.argv[1], database_url=sys.argv[2], auth="none"))
runner.check()
if os.fork() == 0:
    opened = []
    event.listen(runner.engine, "connect", lambda *connected: opened.append(connected))
    for _ in range(5):
        with reading(runner.engine):
            pass
    print(len(opened), flush=True)
    os._exit(0)
os.wait()
"""
    (opened,) = run_python(code, tmp_path, bare_engine.url.render_as_string(hide_password=False))
    assert int(opened) <= 1


def test_a_hosts_own_engine_stays_open(app, settings, tmp_path):
    app.extensions["flowrunner_engines"] = {"flowrunner": create_engine(f"sqlite:///{tmp_path / 'x.db'}")}
    engine = app.extensions["flowrunner_engines"]["flowrunner"]
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    pool = engine.pool
    close_database(app, settings)
    assert engine.pool is pool
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://ann:pw@db/x", r"pip install 'flask-flowrunner\[postgres\]'"),
        ("postgres://ann:pw@db/x", r"flask-flowrunner\[postgres\]"),
        ("postgresql+asyncpgx://ann:pw@db/x", "does not support"),
        ("mysql+pymysql://ann:pw@db/x", "install pymysql"),
        ("nosuch://ann:pw@db/x", "does not support"),
    ],
)
def test_a_driver_that_is_missing_names_its_extra(tmp_path, monkeypatch, url, said):
    for name in ("psycopg", "pymysql"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsInvalid, match=said) as refused:
        database_url(make_settings(tmp_path, DATABASE_URL=url))
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize("module", ["sqlalchemy.dialects.postgresql", "alembic", "apispec"])
def test_a_server_on_sqlite_loads_nothing_that_it_does_not_use(run_python, tmp_path, module):
    code = """
import sys
from flowrunner.app import create_app
app = create_app(data_dir=sys.argv[1], auth="none")
runner = app.extensions["flowrunner"]["flowrunner"]
runner.open()
assert runner.engine.dialect.name == "sqlite"
print(sys.argv[2] in sys.modules)
runner.close()
"""
    assert run_python(code, tmp_path, module) == ["False"]
