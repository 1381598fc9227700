"""A site's database and ours: shared where that is safe, apart where it is not, and never in each other's way."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect, text

from flowrunner import MemoryFailed, SettingsInvalid
from flowrunner.extension import FlowRunner
from flowrunner.integrations.migrations import without_ours
from flowrunner.site.current import current_runner, get_runner
from tests.embedding.conftest import close_runners
from tests.embedding.sites import make_site


class Shop:
    """A site with Flask-SQLAlchemy and one table."""

    def __init__(self, folder: Path, url: str, **options) -> None:
        self.app: Flask = make_site(folder, SQLALCHEMY_DATABASE_URI=url, **options)
        self.db = SQLAlchemy()

        class Order(self.db.Model):
            id = self.db.Column(self.db.Integer, primary_key=True)
            what = self.db.Column(self.db.String(50), unique=True)

        self.order = Order
        self.db.init_app(self.app)
        with self.app.app_context():
            self.db.create_all()

    def orders(self) -> list[str]:
        """Return what is ordered, as another connection sees it."""
        with self.db.engine.connect() as connection:
            return list(connection.execute(text('SELECT what FROM "order" ORDER BY id')).scalars())

    def close(self) -> None:
        close_runners(self.app)
        with self.app.app_context():
            self.db.session.remove()
            for engine in self.db.engines.values():
                engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request, tmp_path):
    """A site with a runner on its own database, so far as that may be shared."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        server.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)", "CREATE DATABASE shop")
        server.execute("CREATE EXTENSION pg_trgm", database="shop")
        url = server.url("shop").render_as_string(hide_password=False)
    made = Shop(tmp_path, url)
    FlowRunner(made.app, url_prefix="/assistant", identity=lambda r: "ann", db=made.db)
    yield made
    made.close()


class TestTogether:
    def test_the_hosts_rollback_loses_none_of_our_messages(self, shop):
        with shop.app.app_context():
            shop.db.session.add(shop.order(what="tea"))
            shop.db.session.flush()
            assert current_runner.run("basic-chat", "x", session_id="s", identity="ann").text == "x"
            shop.db.session.rollback()
            assert shop.orders() == []
            assert len(current_runner.acting_as("ann").memory.fetch(session_id="s")) == 2

    def test_the_hosts_open_transaction_is_not_committed_by_a_run(self, shop):
        with shop.app.app_context():
            shop.db.session.add(shop.order(what="tea"))
            shop.db.session.flush()
            current_runner.run("basic-chat", "x", identity="ann")
            assert shop.orders() == []
            assert shop.db.session().in_transaction()
            shop.db.session.commit()
            assert shop.orders() == ["tea"]

    def test_our_failure_breaks_none_of_the_hosts(self, shop, monkeypatch):
        with shop.app.app_context():
            shop.db.session.add(shop.order(what="tea"))
            shop.db.session.flush()
            runner = current_runner.runner
            broken = MemoryFailed("the disk is full")
            monkeypatch.setattr(
                runner.memory.backend, "append_messages", lambda messages: (_ for _ in ()).throw(broken)
            )
            with pytest.raises(MemoryFailed):
                current_runner.run("basic-chat", "x", identity="ann")
            with pytest.raises(Exception, match="not found"):
                current_runner.run("nothing", "x", identity="ann")
            shop.db.session.add(shop.order(what="milk"))
            shop.db.session.commit()
            assert shop.orders() == ["tea", "milk"]

    def test_the_hosts_failure_breaks_none_of_ours(self, shop):
        with shop.app.app_context():
            shop.db.session.add_all([shop.order(what="tea"), shop.order(what="tea")])
            with pytest.raises(Exception, match="(?i)unique"):
                shop.db.session.flush()
            # The session must be rolled back before it can be used; we do not use it.
            assert current_runner.run("basic-chat", "x", session_id="s", identity="ann").text == "x"
            shop.db.session.rollback()
            assert len(current_runner.acting_as("ann").memory.fetch(session_id="s")) == 2

    def test_many_requests_with_open_transactions_do_not_wait_for_each_other(self, shop):
        """With one pool for both, each would hold a connection of it and wait for a second."""
        answers = []

        def work(number):
            with shop.app.app_context():
                shop.db.session.execute(text('SELECT count(*) FROM "order"'))
                inside.wait(30)
                answers.append(current_runner.run("basic-chat", str(number), identity=f"user-{number}").text)
                shop.db.session.rollback()
                shop.db.session.remove()

        # As many as the host's pool has connections.
        inside = threading.Barrier(15)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(15)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(answers) == 15

    def test_create_all_and_drop_all_of_the_site_pass_over_ours(self, shop):
        with shop.app.app_context():
            current_runner.run("basic-chat", "x", session_id="s", identity="ann")
            shop.db.drop_all()
            shop.db.create_all()
            assert len(current_runner.acting_as("ann").memory.fetch(session_id="s")) == 2


class TestSqlite:
    @pytest.mark.parametrize("shop", ["sqlite"], indirect=True)
    def test_ours_is_a_file_of_its_own(self, shop, tmp_path):
        with shop.app.app_context():
            assert inspect(shop.db.engine).get_table_names() == ["order"]
            ours = Path(current_runner.runner.engine.url.database)
        assert ours.is_file() and ours.name == "flowrunner.db"

    @pytest.mark.parametrize("shop", ["sqlite"], indirect=True)
    def test_an_open_write_of_the_host_does_not_block_us(self, shop):
        with shop.app.app_context():
            shop.db.session.execute(text("INSERT INTO \"order\" (what) VALUES ('tea')"))
            assert current_runner.run("basic-chat", "x", identity="ann").text == "x"
            shop.db.session.rollback()

    def test_the_sites_own_file_is_refused(self, tmp_path):
        made = Shop(tmp_path, f"sqlite:///{tmp_path / 'shop.db'}")
        for arguments in ({"db": made.db}, {}):
            with pytest.raises(SettingsInvalid, match=r"would wait for itself: give flowrunner its own file"):
                FlowRunner(made.app, database_url=f"sqlite:///{tmp_path / 'shop.db'}", **arguments)
        made.close()

    def test_a_file_that_the_site_opens_after_us_is_refused_when_it_is_used(self, tmp_path):
        app = make_site(tmp_path, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'shared.db'}")
        FlowRunner(
            app, url_prefix="/assistant", identity=lambda r: "ann", database_url=f"sqlite:///{tmp_path / 'shared.db'}"
        )
        db = SQLAlchemy()
        db.init_app(app)
        answer = app.test_client().get("/assistant/api/v1/monitor/messages")
        assert (answer.status_code, "its own file" in answer.json["detail"]) == (503, True)
        assert app.test_client().get("/").text == "home"
        with app.app_context(), pytest.raises(SettingsInvalid, match="its own file"):
            current_runner.run("basic-chat", "x", identity="ann")
        close_runners(app)
        with app.app_context():
            db.engine.dispose()

    def test_a_site_may_set_up_its_database_after_us(self, tmp_path):
        app = make_site(tmp_path, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'shop.db'}")
        FlowRunner(app, identity=lambda r: "ann")
        db = SQLAlchemy()
        db.init_app(app)
        with app.app_context():
            assert db.session.execute(text("SELECT 1")).scalar() == 1
            assert current_runner.run("basic-chat", "x", identity="ann").text == "x"
            assert set(db.engines) == {None}
            db.session.remove()
            db.engine.dispose()
        close_runners(app)

    def test_a_site_with_sqlite3_alone(self, site, tmp_path):
        FlowRunner(site, identity=lambda r: "ann")
        theirs = sqlite3.connect(tmp_path / "theirs.db")
        theirs.execute("CREATE TABLE t (a)")
        theirs.execute("INSERT INTO t VALUES (1)")
        with site.app_context():
            assert current_runner.run("basic-chat", "x", identity="ann").text == "x"
        assert "sqlalchemy" not in site.extensions
        theirs.rollback()
        theirs.close()


class TestPostgres:
    @pytest.mark.parametrize("shop", ["postgresql"], indirect=True)
    def test_tables_are_shared_and_connections_are_not(self, shop):
        with shop.app.app_context():
            ours = current_runner.runner.engine
            names = set(inspect(shop.db.engine).get_table_names())
            assert ours.url == shop.db.engine.url
            assert ours.pool is not shop.db.engine.pool
        assert {"order", "flowrunner_messages", "flowrunner_runs"} <= names
        assert all(name == "order" or name.startswith("flowrunner_") for name in names)

    @pytest.mark.parametrize("shop", ["postgresql"], indirect=True)
    def test_a_second_runner_gets_tables_of_its_own_or_none(self, shop):
        with pytest.raises(SettingsInvalid, match=r"STAFF_FLOWRUNNER_DATABASE_URL.*or leave db out"):
            FlowRunner(shop.app, url_prefix="/staff", name="staff", db=shop.db)
        FlowRunner(shop.app, url_prefix="/staff", name="staff", identity=lambda r: "ann")

    def test_a_server_that_is_away_is_named_without_its_password(self, tmp_path):
        app = make_site(tmp_path, SQLALCHEMY_DATABASE_URI="postgresql+psycopg://me:hidden@127.0.0.1:1/none")
        db = SQLAlchemy(app)
        FlowRunner(app, db=db)
        with pytest.raises(SettingsInvalid, match=r"db=, the site's own") as refusal:
            get_runner(app=app).run("basic-chat", "x", identity="ann")
        assert "cannot be used" in str(refusal.value)
        assert "hidden" not in str(refusal.value)
        with app.app_context():
            db.engine.dispose()


@pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")
class TestMigrations:
    """Flask-Migrate beside us: the site's history has the site's tables and no other."""

    @pytest.fixture(autouse=True)
    def logging_as_it_was(self, monkeypatch):
        """Its env.py sets up logging for the whole process, and silences every logger that is there."""
        monkeypatch.setattr("logging.config.fileConfig", lambda *names, **options: None)

    @pytest.fixture
    def history(self, shop, tmp_path):
        folder = tmp_path / "migrations"
        Migrate(shop.app, shop.db, directory=str(folder), include_name=without_ours())
        self.invoke(shop, "init")
        yield folder
        shutil.rmtree(folder)

    def invoke(self, shop, *words):
        result = shop.app.test_cli_runner().invoke(args=["db", *words])
        assert result.exit_code == 0, result.output
        return result.output

    def test_autogenerate_writes_nothing_about_ours(self, shop, history):
        with shop.app.app_context():
            current_runner.run("basic-chat", "x", session_id="s", identity="ann")
            shop.db.drop_all()
        self.invoke(shop, "migrate", "-m", "first")
        (script,) = (history / "versions").glob("*.py")
        assert "create_table('order'" in script.read_text()
        assert "flowrunner" not in script.read_text()
        self.invoke(shop, "upgrade")
        self.invoke(shop, "migrate", "-m", "second")
        assert list((history / "versions").glob("*.py")) == [script]
        self.invoke(shop, "downgrade")
        with shop.app.app_context():
            assert len(current_runner.acting_as("ann").memory.fetch(session_id="s")) == 2

    @pytest.mark.parametrize("shop", ["postgresql"], indirect=True)
    def test_without_the_recipe_it_would_drop_our_tables(self, shop, tmp_path):
        folder = tmp_path / "migrations"
        get_runner(app=shop.app).runner.open()
        Migrate(shop.app, shop.db, directory=str(folder))
        self.invoke(shop, "init")
        self.invoke(shop, "migrate")
        assert "drop_table('flowrunner_messages')" in next((folder / "versions").glob("*.py")).read_text()

    def test_a_site_may_leave_out_more(self):
        includes = without_ours(lambda name, kind, parents: name != "theirs")
        assert includes("flowrunner_runs", "table", {}) is False
        assert includes("theirs", "table", {}) is False
        assert includes("order", "table", {}) is True
        assert includes("flowrunner_runs", "schema", {}) is True
        assert includes(None, "schema", {}) is True
