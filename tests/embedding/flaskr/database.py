"""One SQLite connection per request, by sqlite3 alone."""

import sqlite3
from datetime import datetime

import click
from flask import current_app, g


def get_db():
    """Return the request's connection."""
    if "db" not in g:
        g.db = sqlite3.connect(current_app.config["DATABASE"], detect_types=sqlite3.PARSE_DECLTYPES)
        g.db.row_factory = sqlite3.Row
    return g.db


def close_db(error=None):
    """Close it, if there is one."""
    db = g.pop("db", None)
    if db is not None:
        db.close()


def init_db():
    """Make the tables, empty."""
    with current_app.open_resource("schema.sql") as schema:
        get_db().executescript(schema.read().decode())


@click.command("init-db")
def init_db_command():
    """Forget all posts and make new tables."""
    init_db()
    click.echo("The tables are there.")


def read_moment(octets):
    return datetime.fromisoformat(octets.decode())


def init_app(app):
    """Close connections after requests, and add the command."""
    sqlite3.register_converter("moment", read_moment)
    app.teardown_appcontext(close_db)
    app.cli.add_command(init_db_command)
