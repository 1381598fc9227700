"""Mounting touches no disk and no network; what is needed is opened when it is first used."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flowrunner import FlowRunner, NotReady, SettingsInvalid, get_runner
from tests.embedding.conftest import close_runners
from tests.embedding.sites import FLOWS, run_flow
from tests.waiting import wait_until

#: A server on which nobody listens.
AWAY = "postgresql+psycopg://me:hidden@127.0.0.1:1/none"


def plain_site(folder: Path, **config) -> Flask:
    """Return a site that is not under test."""
    app = Flask("site", instance_path=str(folder / "instance"), root_path=str(folder))
    app.config.update(SECRET_KEY="secret", FLOWRUNNER_FLOWS_DIR=str(FLOWS), **config)
    return app


def names_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "arguments",
    [{}, {"database_url": AWAY}, {"memory": "file-json"}, {"playground": True, "metrics": True}, {"name": "staff"}],
    ids=["usual", "database away", "file-json", "all parts", "second name"],
)
def test_mounting_opens_nothing(tmp_path, arguments):
    site = plain_site(tmp_path, STAFF_FLOWRUNNER_FLOWS_DIR=str(FLOWS))
    runner = FlowRunner(identity=lambda r: "ann", **arguments).init_app(site)
    site.test_cli_runner().invoke(args=["routes"])
    assert not runner.is_open and names_below(tmp_path) == set()
    assert site.test_client().get("/flowrunner/health").status_code == 200
    assert not runner.is_open
    close_runners(site)
    assert names_below(tmp_path) == set()


def test_a_database_that_is_away_is_503_and_named_in_the_log_only(tmp_path, caplog):
    site = plain_site(tmp_path, SQLALCHEMY_DATABASE_URI=AWAY)
    db = SQLAlchemy(site)
    runner = FlowRunner(identity=lambda r: "ann", db=db).init_app(site)
    with caplog.at_level(logging.ERROR, logger="flowrunner"):
        answer = run_flow(site.test_client(), prefix="/flowrunner")
        assert wait_until(lambda: "its database cannot be reached" in caplog.text, 60)
    assert (answer.status_code, answer.json["code"]) == (503, NotReady.code)
    assert "127.0.0.1" not in answer.text and "127.0.0.1" in caplog.text and "hidden" not in caplog.text
    with pytest.raises(SettingsInvalid, match=r"The database of db=, the site's own, cannot be used"):
        runner.check()
    close_runners(site)
    with site.app_context():
        db.engine.dispose()


def test_what_was_away_is_used_once_it_is_there(tmp_path):
    site = plain_site(tmp_path)
    (tmp_path / "instance").write_text("in the way")
    runner = FlowRunner(identity=lambda r: "ann").init_app(site)
    assert run_flow(site.test_client(), prefix="/flowrunner").status_code == 503
    (tmp_path / "instance").unlink()
    assert run_flow(site.test_client(), prefix="/flowrunner").status_code == 200
    assert runner.is_open
    close_runners(site)


def test_a_check_leaves_nothing_open(tmp_path):
    site = plain_site(tmp_path)
    runner = FlowRunner(identity=lambda r: "ann").init_app(site)
    for _ in range(2):
        runner.check()
        assert not runner.is_open
    assert run_flow(site.test_client(), prefix="/flowrunner").status_code == 200
    runner.check()
    assert runner.is_open
    close_runners(site)


class TestUnderTest:
    """The tests of a site leave nothing behind, and find nothing of another app."""

    def talk(self, site: Flask) -> int:
        """Say something; return how many messages the session has then."""
        assert run_flow(site.test_client(), "hello", prefix="/flowrunner", session_id="s").status_code == 200
        with site.app_context():
            return len(get_runner().acting_as("ann").memory.fetch(session_id="s"))

    @pytest.mark.parametrize("how", ["testing", "testing set later", "database in memory"])
    def test_each_app_is_apart_and_gone_afterwards(self, tmp_path, how):
        folders = []
        for _ in range(2):
            site = plain_site(tmp_path)
            if how == "testing":
                site.testing = True
            if how == "database in memory":
                site.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
                SQLAlchemy(site)
            runner = FlowRunner(identity=lambda r: "ann").init_app(site)
            if how == "testing set later":
                site.testing = True
            assert self.talk(site) == 2
            assert runner.memory.name == "in-memory"
            folders.append(runner.settings.data_dir)
            close_runners(site)
        assert names_below(tmp_path) == set()
        assert not any(folder.exists() for folder in folders)

    def test_what_the_site_names_counts(self, tmp_path):
        site = plain_site(tmp_path, TESTING=True, FLOWRUNNER_DATA_DIR=tmp_path / "kept", FLOWRUNNER_MEMORY="sqlite")
        runner = FlowRunner(identity=lambda r: "ann").init_app(site)
        assert self.talk(site) == 2
        assert (tmp_path / "kept" / "flowrunner.db").is_file() and runner.memory.name == "sqlite"
        close_runners(site)


class TestOrder:
    """Command line, configuration, arguments, environment, default: the first that is given counts."""

    def test_the_configuration_beats_an_argument(self, tmp_path):
        site = plain_site(tmp_path, FLOWRUNNER_MAX_RUNS=7)
        runner = FlowRunner(max_runs=3, turn_wait=4).init_app(site)
        assert (runner.settings.max_runs, runner.settings.sources["MAX_RUNS"]) == (7, "configuration")
        assert (runner.settings.turn_wait, runner.settings.sources["TURN_WAIT"]) == (4, "argument")

    def test_an_argument_beats_the_environment(self, tmp_path, monkeypatch):
        monkeypatch.setenv("FLOWRUNNER_MAX_RUNS", "7")
        monkeypatch.setenv("FLOWRUNNER_POOL_SIZE", "9")
        runner = FlowRunner(max_runs=3).init_app(plain_site(tmp_path))
        assert (runner.settings.max_runs, runner.settings.pool_size) == (3, 9)
