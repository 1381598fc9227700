"""``flowrunner serve`` as people start, call and stop it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from tests.live_server import DEADLINE, ROOT, clean_environment, make_key, serve_command
from tests.project.pages import blocks

PLUGINS = Path(__file__).resolve().parent / "plugins"
WAITING_FLOW = {
    "components": {
        "question": {"type": "ChatInput"},
        "wait": {"type": "WaitForFile"},
        "answer": {"type": "ChatOutput"},
    },
    "edges": ["question -> wait.input_value", "wait -> answer"],
}


def test_the_call_in_the_readme_is_answered_in_its_session_with_its_text(open_server):
    call = next(b.text for b in blocks(ROOT / "README.md") if b.text.startswith("curl "))
    assert call.startswith("curl -s -X POST http://127.0.0.1:7860/api/v1/run/basic-chat ")
    answer = _shell(call.replace("http://127.0.0.1:7860", open_server.url))
    assert answer["session_id"] == "my_custom_session_value"
    assert answer["session"] == {"id": "my_custom_session_value", "source": "payload", "component": None}
    assert answer["outputs"][0]["outputs"][0]["results"]["message"]["text"] == "Hello"


def test_it_greets_with_its_address_and_a_call_that_works_as_typed(start_server, tmp_path):
    server = start_server(serve_command(tmp_path))
    assert f"at {server.url}" in server.output
    assert "open to everybody on this machine" in server.output
    call = re.search(r"try: (curl .*)", server.output)[1]
    assert _text(_shell(call)) == "Hello"
    key = make_key(tmp_path)
    assert re.fullmatch(r"\S{20,}", key), "the key is printed alone"
    assert requests.get(f"{server.url}/api/v1/flows/", headers={"x-api-key": key}, timeout=DEADLINE).json()
    assert server.stop() == 0
    assert "Traceback" not in server.output


def test_an_open_server_is_open_for_this_machine_only(open_server):
    url = f"{open_server.url}/api/v1/run/basic-chat"
    port = open_server.url.rpartition(":")[2]

    def status(**headers):
        answer = requests.post(url, json={"input_value": "hi"}, headers=headers, timeout=DEADLINE)
        return answer.status_code, answer.json().get("code")

    assert status(Host=f"localhost:{port}") == (200, None)
    assert status(Host="rebound.example") == (400, "host_not_trusted")
    assert status(Host="127.0.0.1.rebound.example") == (400, "host_not_trusted")
    assert status(Origin="https://other.example")[0] == 403
    assert status(**{"Sec-Fetch-Site": "cross-site"})[0] == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = requests.post(url, data=b'{"input_value": "hi"}', headers={"Content-Type": kind}, timeout=DEADLINE)
        assert answer.status_code == 415, kind
    assert requests.post(url, data=b'{"input_value": "hi"}', timeout=DEADLINE).status_code == 415


def test_where_there_is_a_key_it_is_wanted_also_on_loopback(keyed_server):
    server, key = keyed_server
    assert "with an API key" in server.output
    answer = requests.post(f"{server.url}/api/v1/run/basic-chat", json={}, timeout=DEADLINE)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert server.run("basic-chat", key=key)["session"]["source"] == "flow"
    assert requests.get(f"{server.url}/health", timeout=DEADLINE).json() == {"status": "ok"}


def test_another_address_is_served_where_there_is_a_key(start_server, tmp_path):
    key = make_key(tmp_path)
    server = start_server(serve_command(tmp_path, "--host", "0.0.0.0"))
    assert "x-api-key: KEY" in server.output
    assert server.run("basic-chat", key=key)
    answer = requests.post(f"{server.url}/api/v1/run/basic-chat", json={}, timeout=DEADLINE)
    assert answer.status_code == 403


def test_several_workers_share_conversations_and_stop_in_order(start_server, tmp_path):
    environment = {"FLOWRUNNER_MEMORY": "file-json"}
    server = start_server(serve_command(tmp_path, "--workers", "3"), environment=environment)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: server.run("basic-chat", f"text {n}", session_id="shared"), range(36)))
    assert {answer["session_id"] for answer in answers} == {"shared"}
    rows = requests.get(f"{server.url}/api/v1/monitor/messages?session_id=shared&limit=200", timeout=DEADLINE).json()
    texts = [row["text"] for row in rows]
    assert sorted(texts) == sorted(f"text {n}" for n in range(36) for _ in range(2))
    assert texts[::2] == texts[1::2], "one turn after the other"
    workers = _children(server.pid)
    assert len(workers) == 3
    assert server.stop() == 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert "Traceback" not in server.output


def test_a_run_under_way_is_ended_when_the_server_stops_or_starts_anew(start_server, tmp_path):
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "waiting.json").write_text(json.dumps(WAITING_FLOW))
    command = serve_command(tmp_path / "data", "--plugins-dir", str(PLUGINS), flows=str(flows))
    server = start_server(command)
    with ThreadPoolExecutor(1) as pool:
        for how in (signal.SIGHUP, signal.SIGTERM):
            folder = tmp_path / how.name
            folder.mkdir()
            tweaks = {"wait": {"folder": str(folder)}}
            answer = pool.submit(server.run, "waiting", how.name, session_id="s", tweaks=tweaks)
            server.wait_for((folder / "begun").exists, "the run to begin")
            os.kill(server.pid, how)
            (folder / "go").touch()
            assert _text(answer.result(DEADLINE)) == how.name
    assert server.wait() == 0
    assert "Traceback" not in server.output


def test_a_killed_worker_is_replaced_and_flow_files_may_change(start_server, tmp_path):
    folder = tmp_path / "flows"
    folder.mkdir()
    server = start_server(serve_command(tmp_path / "data", flows=str(folder)))
    answer = requests.post(f"{server.url}/api/v1/run/late", json={"input_value": "hi"}, timeout=DEADLINE)
    assert answer.status_code == 404
    flow = {"components": {"q": {"type": "ChatInput"}, "a": {"type": "ChatOutput"}}, "edges": ["q -> a"]}
    (folder / "late.json").write_text(json.dumps(flow))
    for number in range(3):
        server.run("late", f"text {number}", session_id="s")
    (worker,) = _children(server.pid)
    os.kill(worker, signal.SIGKILL)
    server.wait_for(lambda: _children(server.pid) not in ([], [worker]), "a new worker")
    server.run("late", "text 3", session_id="s")
    rows = requests.get(f"{server.url}/api/v1/monitor/messages?session_id=s", timeout=DEADLINE).json()
    assert [row["text"] for row in rows] == [f"text {n}" for n in range(4) for _ in range(2)]


def test_ipv6_loopback_explicit_keys_and_logs_as_json(start_server, tmp_path):
    environment = {"FLOWRUNNER_MEMOR": "sqlite", "FLOWRUNNER_LOG_FORMAT": "json", "FLOWRUNNER_AUTH": "key"}
    server = start_server(serve_command(tmp_path, "--host", "::1"), environment=environment)
    assert server.url.startswith("http://[::1]:")
    assert "flowrunner keys create --user NAME" in server.output
    assert requests.post(f"{server.url}/api/v1/run/basic-chat", json={}, timeout=DEADLINE).status_code == 403
    assert server.run("basic-chat", key=make_key(tmp_path))["outputs"]
    lines = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    warnings = [line["message"] for line in lines if "FLOWRUNNER_MEMOR " in line["message"]]
    assert warnings == [
        "FLOWRUNNER_MEMOR is not a setting of flowrunner or of a plugin; did you mean FLOWRUNNER_MEMORY?"
    ]


def test_many_clients_at_once_are_all_answered(open_server):
    failures = []

    def call(number):
        for turn in range(3):
            answer = open_server.run("basic-chat", f"{number}.{turn}", session_id=f"client {number}")
            if _text(answer) != f"{number}.{turn}":
                failures.append(answer)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert not failures


def test_help_and_version_need_no_database(tmp_path):
    for arguments in (["--version"], ["serve", "--help"], ["--help"]):
        command = [sys.executable, "-m", "flowrunner.cli", *arguments]
        environment = clean_environment(FLOWRUNNER_DATA_DIR=str(tmp_path / "none"))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "none").exists()


def _shell(call: str):
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, timeout=DEADLINE, check=True)
    return json.loads(done.stdout)


def _text(answer) -> str:
    return answer["outputs"][0]["outputs"][0]["outputs"]["message"]["message"]


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found
