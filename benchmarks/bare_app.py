"""An app that imports what flowrunner's core depends on, attaches a SQLite file, and does nothing else."""

import os

import alembic  # noqa: F401
import cryptography.fernet  # noqa: F401
import marshmallow  # noqa: F401
import pluggy  # noqa: F401
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

app = Flask("bare")
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{os.environ['LIMIT_DATA_DIR']}/bare.db"
db = SQLAlchemy(app)


@app.get("/health")
def health():
    return {"status": "ok"}


with app.app_context():
    db.session.execute(text("SELECT 1"))
    db.session.rollback()
