"""A site with a runner under gunicorn: made before the workers are forked, and by each of them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.embedding.sites import FLOWS, OWN

SITE = """
import os
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flowrunner import FlowRunner, current_runner

app = Flask(__name__, instance_path=os.environ["SITE_FOLDER"])
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SITE_DATABASE"]
db = SQLAlchemy(app)
FlowRunner(app, url_prefix="/assistant", identity=lambda r: r.headers.get("X-Checked-User"), db=db,
           flows_dir=os.environ["SITE_FLOWS"])
with app.app_context():
    # What was used before the fork must not be used by two processes after it.
    current_runner.run("basic-chat", "before", session_id="s", identity="ann")


@app.get("/health")
def health():
    return "ok"


@app.get("/ask/<text>")
def ask(text):
    current_runner.run("basic-chat", text, session_id="s")
    return str(os.getpid())
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'site.db'}"
    server = request.getfixturevalue("postgres_server")
    server.execute("DROP DATABASE IF EXISTS preload WITH (FORCE)", "CREATE DATABASE preload")
    server.execute("CREATE EXTENSION pg_trgm", database="preload")
    return server.url("preload").render_as_string(hide_password=False)


def test_workers_that_were_forked_after_mounting_share_conversations(start_server, tmp_path, database):
    (tmp_path / "preloaded.py").write_text(SITE)
    environment = {"SITE_FOLDER": str(tmp_path / "instance"), "SITE_DATABASE": database, "SITE_FLOWS": str(FLOWS)}
    options = "--preload --workers 2 --worker-class gthread --threads 4 --bind 127.0.0.1:0"
    command = ["gunicorn", "preloaded:app", *options.split(), "--pythonpath", str(tmp_path)]
    server = start_server(command, environment=environment, folder=tmp_path, forked=True)
    ann = {"X-Checked-User": "ann", **OWN}

    def ask(number):
        return requests.get(f"{server.url}/ask/{number}", headers=ann, timeout=60).text

    asked, workers = 0, set()
    with ThreadPoolExecutor(8) as pool:
        while len(workers) < 2 and asked < 300:
            workers.update(pool.map(ask, range(asked, asked + 30)))
            asked += 30
    assert len(workers) == 2, "one worker answered alone"
    found = requests.get(
        f"{server.url}/assistant/api/v1/monitor/messages",
        params={"session_id": "s", "limit": 200},
        headers=ann,
        timeout=60,
    ).json()
    counted = Counter(message["text"] for message in found)
    newest = {str(number): 2 for number in range(asked)} | {"before": 2}
    assert len(found) == min(200, 2 * asked + 2)
    assert all(counted[text] == 2 for text in newest) or asked > 90
    assert server.stop() == 0
    assert "Traceback" not in server.output, server.output
