"""The recorded exchanges of the reference server, replayed against a real server on each memory backend."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live_server import ROOT, clean_environment, make_key

CONTRACT = ROOT / ".." / "shared" / "contract"
PLUGINS = Path(__file__).parent / "plugins"

pytestmark = pytest.mark.skipif(not (CONTRACT / "replay.py").exists(), reason="needs the shared recordings")


def replay(server, data, folder, *arguments):
    """Replay recordings against a server and return the report by case."""
    keys = ["--key", make_key(data), "--bob-key", make_key(data, user="bob")]
    places = ["--recordings", CONTRACT / "recordings", "--differences", CONTRACT / "differences.json"]
    report = folder / "report.json"
    command = [sys.executable, CONTRACT / "replay.py", "--base-url", server.url, *keys, *places, "--report", report]
    done = subprocess.run(
        [str(part) for part in (*command, *arguments)], capture_output=True, text=True, env=clean_environment()
    )
    assert report.exists(), done.stdout + done.stderr
    return {case["name"]: case for case in json.loads(report.read_text("utf-8"))["cases"]}, done.stdout


#: What a backend has a part in; the rest is the same on each.
OF_MEMORY = (
    "auth",
    "builds",
    "isolation",
    "memory",
    "monitor-delete",
    "monitor-messages",
    "monitor-patch-session",
    "monitor-put",
    "monitor-sessions",
    "session",
    "transactions",
)


@pytest.mark.dear
@pytest.mark.parametrize(
    ("memory", "groups"),
    [("sqlite", ()), ("file-json", OF_MEMORY), ("in-memory", OF_MEMORY)],
    ids=["sqlite", "file-json", "in-memory"],
)
def test_what_clients_see_is_as_recorded(memory, groups, start_server, tmp_path):
    data = tmp_path / "data"
    environment = {
        "FLOWRUNNER_DATA_DIR": str(data),
        "FLOWRUNNER_MEMORY": memory,
        "FLOWRUNNER_PLUGINS_DIR": str(PLUGINS),
        "FLOWRUNNER_ALLOW_PRIVATE_ADDRESSES": "127.0.0.1",
    }
    workers = "1" if memory == "in-memory" else "2"
    gunicorn = ["gunicorn", "-c", "python:flowrunner.serving", "-b", "127.0.0.1:0", "-w", workers]
    server = start_server([*gunicorn, "wsgi:app", "--log-level", "info"], forked=True, environment=environment)
    cases, shown = replay(server, data, tmp_path, "--level", "must", *(["--group", *groups] if groups else []))
    assert len(cases) >= (90 if groups else 170)
    differing = [name for name, case in cases.items() if case["result"] == "DIFF"]
    assert not differing, shown
