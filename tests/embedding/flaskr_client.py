"""The blog with and without a runner, and somebody who uses it."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, session

from flowrunner.extension import FlowRunner
from tests.embedding.flaskr import create_app
from tests.embedding.flaskr.database import get_db, init_db
from tests.embedding.sites import FLOWS

#: People and passwords; the hashes are made with one round, since nobody attacks a test.
PEOPLE = {"ann": "apple", "bob": "banana"}


def make_blog(folder: Path, *, mounted: bool, **config) -> Flask:
    """Return the blog with two people and one post, and a runner at /assistant where it is asked for."""
    from werkzeug.security import generate_password_hash

    folder.mkdir(parents=True, exist_ok=True)
    app = create_app({"TESTING": True, "DATABASE": str(folder / "blog.sqlite"), **config})
    if mounted:
        mount_runner(app, folder)
    with app.app_context():
        init_db()
        for name, password in PEOPLE.items():
            hashed = generate_password_hash(password, method="pbkdf2:sha256:1")
            get_db().execute("INSERT INTO person (name, password) VALUES (?, ?)", (name, hashed))
        get_db().execute(
            "INSERT INTO post (title, body, author_id, created) VALUES ('First', 'Words', 1, '2026-01-02 03:04:05')"
        )
        get_db().commit()
    return app


def mount_runner(app: Flask, folder: Path) -> None:
    """The three lines of a site's owner, and where the tests want the data."""
    FlowRunner(
        app,
        url_prefix="/assistant",
        identity=lambda request: session.get("person_id"),
        flows_dir=str(FLOWS),
        data_dir=str(folder / "flowrunner"),
    )


def log_in(client, name="ann"):
    """Log somebody in, as the form does."""
    return client.post("/auth/login", data={"name": name, "password": PEOPLE[name]})
