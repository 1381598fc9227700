"""Two servers with two data folders on one PostgreSQL behave as one, whichever of them is asked."""

import random
import sys
import threading

import pytest
import requests

from tests.fork_server import FORK_SERVER
from tests.live_server import ROOT, clean_environment
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers through /proc")


def test_a_host_with_another_key_does_not_start(hosts, hosts_database, tmp_path):
    environment = clean_environment(
        FLOWRUNNER_DATA_DIR=str(tmp_path), FLOWRUNNER_DATABASE_URL=hosts_database, FLOWRUNNER_SECRET_KEY="two"
    )
    arguments = ["-c", "python:flowrunner.serving", "-b", "127.0.0.1:0", "wsgi:app"]
    said = FORK_SERVER.run(arguments, environment, ROOT, "gunicorn")
    assert said.returncode != 0
    assert "encrypted with a different key: set FLOWRUNNER_SECRET_KEY" in said.stderr + said.stdout
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("size", [10, 300_000])
def test_an_upload_is_found_by_both(hosts, size):
    one, other = hosts.pair()
    content = random.randbytes(size)
    made = one.ask("POST", "/api/v2/files/", files={"file": ("a.bin", content)})
    assert made.status_code == 201, made.text
    file_id = made.json()["id"]
    for site in (other, one, other):
        assert site.ask("GET", f"/api/v2/files/{file_id}").content == content
    answer = other.ask(
        "POST",
        "/api/v1/run/chat",
        json={"input_value": "see", "session_id": "f", "tweaks": {"in": {"files": [made.json()["path"]]}}},
    )
    assert answer.status_code == 200, answer.text
    assert other.ask("DELETE", f"/api/v2/files/{file_id}").status_code in (200, 204)
    for site in hosts:
        assert site.ask("GET", f"/api/v2/files/{file_id}").status_code == 404


def read_events(site, after="", stop_after=None):
    """Read a stream, from its beginning or after an event; return the ids of events, and all of it."""
    headers = {"x-api-key": site.key, **({"Last-Event-ID": after} if after else {})}
    ids, text = [], ""
    url = f"{site.url}/api/v1/run/steps?stream=sse&vertices=true"
    with requests.post(url, json={"input_value": "hi"}, headers=headers, stream=True, timeout=60) as answer:
        assert answer.status_code == 200, answer.text
        for line in answer.iter_lines(decode_unicode=True):
            text += line + "\n"
            if line.startswith("id: "):
                ids.append(line[4:])
                if stop_after is not None and len(ids) >= stop_after:
                    return ids, text
    return ids, text


def test_a_stream_goes_on_at_the_other_host(hosts):
    one, other = hosts.pair()
    first, _ = read_events(one, stop_after=2)
    rest, text = read_events(other, after=first[-1])
    numbers = [int(event.rpartition(":")[2]) for event in first + rest]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len({event.rpartition(":")[0] for event in first + rest}) == 1
    assert "event: end" in text
    assert "run_lost" not in text
    # Once more, from the same place, at either.
    again, _ = read_events(one, after=first[-1])
    assert again == rest
    stranger = requests.post(
        f"{other.url}/api/v1/run/chat?stream=sse",
        json={},
        timeout=60,
        headers={"x-api-key": other.key, "Last-Event-ID": first[-1]},
    )
    assert stranger.status_code == 404


def test_a_stream_whose_host_is_gone_says_so(hosts):
    one, other = hosts
    first, _ = read_events(one, stop_after=1)
    one.kill_workers()
    _, text = read_events(other, after=first[-1])
    assert "run_lost" in text
    assert wait_until(lambda: one.ask("GET", "/health").status_code == 200)


def test_a_run_is_cancelled_by_the_other_host(hosts):
    one, other = hosts.pair()
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(one.post("/api/v1/run/slow", {"input_value": "hi", "session_id": "c"}))
    )
    thread.start()
    found = wait_until(
        lambda: [r[0] for r in one.rows("SELECT id FROM flowrunner_runs WHERE ended_at IS NULL AND kind = 'run'")]
    )
    assert other.post(f"/api/v1/runs/{found[0]}/cancel").status_code == 202
    thread.join()
    assert (answers[0].status_code, answers[0].json()["code"]) == (499, "run_cancelled")


def test_turns_of_a_session_do_not_mix_and_everybody_sees_their_own(hosts):
    def ask(number):
        answer = hosts.either().post("/api/v1/run/chat", {"input_value": f"n{number}", "session_id": "one"})
        assert answer.status_code == 200, answer.text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for site in hosts:
        texts = [m["text"] for m in site.get("/api/v1/monitor/messages?session_id=one")]
        assert len(texts) == 32
        assert texts[::2] == texts[1::2], "question and answer stand side by side"
    # Each host writes what its runs did a moment later.
    assert wait_until(lambda: logged(hosts[0]) == logged(hosts[1]))
    assert len(logged(hosts[0])["items"]) == 16


def logged(site):
    return site.get("/api/v1/runs?session_id=one&limit=100")
