"""``wsgi:app`` under gunicorn: with our configuration, and loaded before the workers are forked."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, unquote

import pytest
import requests

from tests.live_server import DEADLINE, make_key

OURS = ("-c", "python:flowrunner.serving")


def _gunicorn(*arguments):
    return [sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", "-w", "2", *arguments, "wsgi:app"]


@pytest.mark.parametrize(
    ("memory", "preload"),
    [("sqlite", ()), ("sqlite", ("--preload",)), ("file-json", ("--preload",))],
    ids=["sqlite", "sqlite preloaded", "file-json preloaded"],
)
def test_workers_answer_at_once_and_keep_everything(start_server, tmp_path, preload, memory):
    key = make_key(tmp_path)
    environment = {"FLOWRUNNER_DATA_DIR": str(tmp_path), "FLOWRUNNER_FLOWS_DIR": "examples/flows"}
    environment["FLOWRUNNER_MEMORY"] = memory
    server = start_server(_gunicorn(*OURS, *preload), environment=environment)
    refused = requests.post(f"{server.url}/api/v1/run/basic-chat", json={"input_value": "hi"}, timeout=DEADLINE)
    assert refused.status_code == 403
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: server.run("basic-chat", f"{n}", key=key, session_id=f"s{n % 4}"), range(40)))
    for number in range(4):
        where = f"{server.url}/api/v1/monitor/messages?session_id=s{number}"
        texts = [row["text"] for row in requests.get(where, headers={"x-api-key": key}, timeout=DEADLINE).json()]
        assert sorted(texts) == sorted(f"{n}" for n in range(number, 40, 4) for _ in range(2))
        assert texts[::2] == texts[1::2]
    assert requests.get(f"{server.url}/health_check", timeout=DEADLINE).json()["status"] == "ok"
    assert server.stop() == 0
    assert "Traceback" not in server.output
    assert not [line for line in server.output.splitlines() if "ERROR" in line]


def test_a_session_id_of_two_thousand_characters_is_addressed_and_an_operators_limit_counts(start_server, tmp_path):
    environment = {"FLOWRUNNER_DATA_DIR": str(tmp_path), "FLOWRUNNER_FLOWS_DIR": "examples/flows"}
    environment["FLOWRUNNER_AUTH"] = "none"
    server = start_server(_gunicorn(*OURS), environment=environment)
    where = f"{server.url}/api/v1/monitor/messages"
    old, new = quote("💥" * 2000, safe=""), quote("é💥" * 1000, safe="")
    server.run("basic-chat", "hi", session_id=unquote(old))
    assert len(requests.get(f"{where}?session_id={old}", timeout=DEADLINE).json()) == 2
    moved = requests.patch(f"{where}/session/{old}?new_session_id={new}", timeout=DEADLINE)
    assert moved.status_code == 200 and len(moved.json()) == 2
    assert requests.delete(f"{where}/session/{new}", timeout=DEADLINE).status_code == 204
    assert requests.get(where, timeout=DEADLINE).json() == []
    assert requests.get(f"{where}?q={'x' * 70_000}", timeout=DEADLINE).status_code == 414
    for name in ("SCRIPT_NAME", "script_name", "PATH_INFO", "Script-Name"):
        moved = requests.get(f"{server.url}/zz/health_check", headers={name: "/zz"}, timeout=DEADLINE)
        assert moved.status_code == 404, "a header of any client moves no root"
        assert requests.get(f"{server.url}/health_check", headers={name: "/zz"}, timeout=DEADLINE).status_code == 200
    assert server.stop() == 0
    server = start_server(_gunicorn(*OURS, "--limit-request-line", "4094"), environment=environment)
    long = f"{server.url}/api/v1/monitor/messages?session_id={old}"
    assert requests.get(long, timeout=DEADLINE).status_code == 414


def test_a_plain_gunicorn_serves_it_too_and_a_store_of_one_process_warns(start_server, tmp_path):
    environment = {"FLOWRUNNER_DATA_DIR": str(tmp_path), "FLOWRUNNER_FLOWS_DIR": "examples/flows"}
    environment |= {"FLOWRUNNER_AUTH": "none", "FLOWRUNNER_MEMORY": "in-memory"}
    server = start_server(_gunicorn(), environment=environment)
    assert "Using worker: flowrunner.site.worker.Worker" in server.output, "gunicorn.conf.py lies beside wsgi.py"
    assert server.run("basic-chat", "hi", session_id="s")["session_id"] == "s"
    server.wait_for(lambda: "keeps messages in one process" in server.output, "the warning")


def test_every_line_is_json_where_the_setting_says_so(tmp_path, start_server):
    environment = {"FLOWRUNNER_DATA_DIR": str(tmp_path), "FLOWRUNNER_LOG_FORMAT": "json"}
    server = start_server(_gunicorn(*OURS), environment=environment)
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.output.splitlines()]
    assert {"gunicorn.error", "flowrunner"} >= {line["logger"] for line in lines}
    assert any(line["message"].startswith("Listening at") for line in lines)
