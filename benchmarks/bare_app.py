"""An app that imports what flowrunner's core depends on, attaches a SQLite file, and does nothing else."""

import os

import alembic  # noqa: F401
import cryptography.fernet  # noqa: F401
import marshmallow  # noqa: F401
import pluggy  # noqa: F401
from flask import Flask
from sqlalchemy import create_engine, text

app = Flask("bare")
engine = create_engine(f"sqlite:///{os.environ['LIMIT_DATA_DIR']}/bare.db")


@app.get("/health")
def health():
    return {"status": "ok"}


with engine.connect() as connection:
    connection.execute(text("SELECT 1"))
engine.dispose()
