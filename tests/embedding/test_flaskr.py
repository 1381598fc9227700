"""The blog's own tests, on the blog alone and on the blog with a runner: they know nothing of it."""

from __future__ import annotations

import pytest
from flask import g, session

from tests.embedding.conftest import close_runners
from tests.embedding.flaskr.database import get_db
from tests.embedding.flaskr_client import log_in, make_blog


@pytest.fixture(params=[False, True], ids=["alone", "with a runner"])
def app(request, tmp_path):
    app = make_blog(tmp_path, mounted=request.param)
    yield app
    close_runners(app)


@pytest.fixture
def client(app):
    return app.test_client()


def test_hello(client):
    assert client.get("/hello").data == b"Hello, World!"


def test_register(client, app):
    assert client.get("/auth/register").status_code == 200
    answer = client.post("/auth/register", data={"name": "cid", "password": "cherry"})
    assert answer.headers["Location"] == "/auth/login"
    with app.app_context():
        assert get_db().execute("SELECT * FROM person WHERE name = 'cid'").fetchone() is not None


@pytest.mark.parametrize(
    ("name", "password", "words"),
    [("", "", "are needed"), ("cid", "", "are needed"), ("ann", "x", "ann is registered already")],
)
def test_register_says_what_is_wrong(client, name, password, words):
    assert words in client.post("/auth/register", data={"name": name, "password": password}).text


def test_login_and_logout(client):
    assert client.get("/auth/login").status_code == 200
    assert log_in(client).headers["Location"] == "/"
    with client:
        client.get("/")
        assert session["person_id"] == 1
        assert g.person["name"] == "ann"
        client.get("/auth/logout")
        assert "person_id" not in session


@pytest.mark.parametrize(("name", "password"), [("nobody", "x"), ("ann", "x")])
def test_login_refuses(client, name, password):
    assert "do not belong together" in client.post("/auth/login", data={"name": name, "password": password}).text


def test_index(client):
    assert "Log in" in client.get("/").text
    log_in(client)
    shown = client.get("/").text
    for words in ("Log out", "First", "by ann on 2026-01-02", "Words", 'href="/1/update"'):
        assert words in shown


@pytest.mark.parametrize("path", ["/create", "/1/update", "/1/delete"])
def test_visitors_must_log_in(client, path):
    assert client.post(path).headers["Location"] == "/auth/login"


def test_only_the_author_changes_a_post(client):
    log_in(client, "bob")
    assert client.post("/1/update").status_code == 403
    assert client.post("/1/delete").status_code == 403
    assert 'href="/1/update"' not in client.get("/").text


@pytest.mark.parametrize("path", ["/2/update", "/2/delete"])
def test_a_post_must_be_there(client, path):
    log_in(client)
    answer = client.post(path)
    assert (answer.status_code, "No such page" in answer.text) == (404, True)


def test_create_update_delete(client, app):
    log_in(client)
    assert client.get("/create").status_code == 200
    client.post("/create", data={"title": "Second", "body": ""})
    client.post("/1/update", data={"title": "Changed", "body": ""})
    with app.app_context():
        titles = [row["title"] for row in get_db().execute("SELECT title FROM post ORDER BY id")]
    assert titles == ["Changed", "Second"]
    assert client.post("/1/delete").headers["Location"] == "/"
    with app.app_context():
        assert get_db().execute("SELECT * FROM post WHERE id = 1").fetchone() is None


@pytest.mark.parametrize("path", ["/create", "/1/update"])
def test_a_title_is_needed(client, path):
    log_in(client)
    assert "A title is needed." in client.post(path, data={"title": "", "body": ""}).text


def test_connections_close(app):
    import sqlite3

    with app.app_context():
        db = get_db()
        assert db is get_db()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        db.execute("SELECT 1")


def test_the_command(app, monkeypatch):
    called = []
    monkeypatch.setattr("tests.embedding.flaskr.database.init_db", lambda: called.append(True))
    result = app.test_cli_runner().invoke(args=["init-db"])
    assert ("The tables are there." in result.output, called) == (True, [True])
