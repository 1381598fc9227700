"""A store that fails under a running server: 503 with a sentence, two lines in the log, and back by itself."""

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.faults.site import Site, waiting_flow
from tests.fork_server import FORK_SERVER
from tests.live_server import ROOT, clean_environment
from tests.postgres_server import PostgresServer, find_programs
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts, and finds workers through /proc")

FLOWS = {"chat": waiting_flow(), "hook": waiting_flow(source="Webhook")}
GONE, BACK = "The stores cannot be used", "The stores work again"


def writes(site, *, at_once=False):
    """Every kind of route that stores something, and what it answered: status, body.

    :param at_once: ask all of them side by side, where each waits until a store is given up.
    """
    body = {"input_value": "hi", "session_id": "s"}
    tried = {
        "run": lambda: site.ask("POST", "/api/v1/run/chat", json=body),
        "lines": lambda: site.ask("POST", "/api/v1/run/chat?stream=true", json=body),
        "sse": lambda: site.ask("POST", "/api/v1/run/chat?stream=sse", json=body),
        "background": lambda: site.ask("POST", "/api/v1/run/chat?background=true", json=body),
        "webhook": lambda: site.ask("POST", "/api/v1/webhook/hook", json={"a": 1}),
        "responses": lambda: site.ask("POST", "/api/v1/responses", json={"model": "chat", "input": "hi"}),
        "key": lambda: site.ask("POST", "/api/v1/api_key/", json={"name": "x", "user": "bob"}),
        "variable": lambda: site.ask(
            "POST",
            "/api/v1/variables/",
            json={"name": f"v{time.monotonic()}", "value": "x" * 9000, "type": "Generic", "default_fields": []},
        ),
        "flow": lambda: site.ask(
            "POST",
            "/api/v1/flows/",
            json={"name": f"f{time.monotonic()}", "data": {"nodes": [], "edges": []}, "description": "x" * 9000},
        ),
        "upload": lambda: site.ask("POST", "/api/v2/files/", files={"file": ("a.txt", b"x" * 9000)}),
    }
    with ThreadPoolExecutor(len(tried) if at_once else 1) as pool:
        asked = {name: pool.submit(call) for name, call in tried.items()}
    return {name: answer.result() for name, answer in asked.items()}


def refused(answers):
    """Every answer is a 503 in the words of the house, and tells neither path nor address."""
    for name, answer in answers.items():
        if name in ("lines", "sse") and answer.status_code == 200:
            # It had begun: the stream itself says so.
            assert '"error"' in answer.text, (name, answer.text)
        else:
            assert answer.status_code == 503, (name, answer.status_code, answer.text)
            assert answer.headers["Retry-After"], name
            told = answer.json()
            code = told["error"]["code"] if name == "responses" and "error" in told else told["code"]
            assert code in ("store_failed", "memory_failed"), (name, answer.text)
        assert not re.search(r"/tmp|/work|/dev|flowrunner\.db|sqlalche|psycopg|\.s\.PGSQL", answer.text), answer.text


def succeeded(answers):
    return {name: answer.status_code for name, answer in answers.items() if answer.status_code >= 300}


def lines(site, *words):
    return [line for line in site.server.output.splitlines() if any(word in line for word in words)]


def timely(site, path):
    started = time.monotonic()
    answer = requests.get(f"{site.url}{path}", timeout=30)
    # The bound is two seconds; the rest is for a machine that is busy with other things.
    assert time.monotonic() - started < 10
    return answer.status_code, answer.json()


def requests_refused(site, path):
    return site.ask("GET", path).status_code == 503


def goes_and_comes_back(site):
    """The log says so once each, however many requests failed and however many processes there are."""
    assert wait_until(lambda: lines(site, BACK), 30), site.server.output
    assert len(lines(site, GONE)) == len(lines(site, BACK)) == 1, site.server.output
    # Threads of each process that work in the background may say for themselves that they try again.
    assert len(lines(site, " ERROR ", " WARNING ", "Traceback")) <= 3 + 3 * 2, site.server.output


@pytest.fixture
def disk(tmp_path):
    """A disk of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place):
    """Leave no room at all; return the file that takes it."""
    path = place / "fill"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0")
    return path


@pytest.mark.parametrize("memory", ["sqlite", "file-json"])
def test_a_full_disk(make_site, disk, memory):
    site = make_site(FLOWS, data=disk / "data", MEMORY=memory, WORKERS=2, RUN_LOG="true").start()
    site.key = make_admin_key(site)
    assert wait_until(lambda: site.are_open(2), 30)
    assert succeeded(writes(site)) == {}
    filled = fill(disk)
    # SQLite goes on while its log has room that was used before.
    assert wait_until(lambda: site.ask("POST", "/api/v1/run/chat", json={"input_value": "hi"}).status_code == 503, 60)
    refused(writes(site))
    assert timely(site, "/health") == (200, {"status": "ok"})
    bad = (503, {"status": "error", "chat": "error", "db": "error"})
    assert wait_until(lambda: timely(site, "/health_check") == bad, 30)
    full = (503, {"status": "not ready", "reason": "the disk is full"})
    assert wait_until(lambda: timely(site, "/ready") == full, 30)
    # What is stored can be read; a worker that had not opened its files before the disk was full cannot open them now.
    assert wait_until(lambda: site.ask("GET", "/api/v1/monitor/messages?session_id=s").status_code == 200, 30)
    filled.unlink()
    assert wait_until(lambda: timely(site, "/ready")[0] == 200, 30)
    goes_and_comes_back(site)
    assert succeeded(writes(site)) == {}
    assert str(disk) in lines(site, GONE)[0] or "space" in lines(site, GONE)[0]


def wait_for_reason(site):
    """Return what ``/ready`` says of a site that is not; what a look found holds for a second, in each worker."""
    seen = []

    def is_not_ready():
        status, told = timely(site, "/ready")
        seen.append(told)
        return status == 503

    assert wait_until(is_not_ready, 30)
    return seen[-1]


def make_admin_key(site):
    from tests.live_server import make_key

    return make_key(site.data, "--admin", *(["--database-url", site.database] if "postgres" in site.database else []))


@pytest.fixture
def place_of_nobody():
    """A folder of a user whom permissions stop, which is not so with root."""
    place = Path(tempfile.mkdtemp(prefix="faults-", dir="/tmp"))
    yield place
    place.chmod(0o700)
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("memory", ["sqlite", "file-json"])
def test_a_folder_that_was_made_read_only(place_of_nobody, memory):
    site = Site(place_of_nobody, FLOWS, WORKERS=1, MEMORY=memory, TURN_WAIT=2)
    site.key = make_admin_key(site)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody").pw_uid
        site.before = ["setpriv", f"--reuid={nobody}", "--clear-groups"]
        for path in (place_of_nobody, *place_of_nobody.rglob("*")):
            os.chown(path, nobody, -1)
    try:
        site.start()
        folders = [path for path in (site.data, *site.data.rglob("*")) if path.is_dir()]
        for folder in folders:
            folder.chmod(0o500)
        answers = writes(site)
        # What is open already can be written; what needs a new file cannot, and says why.
        assert {answer.status_code for answer in answers.values()} <= {200, 201, 202, 503}, answers
        refused({name: answers[name] for name in ("upload", "sse")})
        assert "its data cannot be written" in answers["upload"].text
        # Each worker notices by itself.
        assert wait_until(lambda: timely(site, "/ready")[1].get("reason") == "its data cannot be written", 30)
        for folder in folders:
            folder.chmod(0o700)
        assert wait_until(lambda: timely(site, "/ready")[0] == 200, 30)
        assert wait_until(lambda: "its data cannot be written" in site.server.output, 30), site.server.output
        assert succeeded(writes(site)) == {}
    finally:
        site.close()


@pytest.mark.parametrize("how", ["removed", "replaced", "folder", "log"])
def test_a_database_file_that_is_no_longer_the_one_that_was_opened(make_site, how):
    site = make_site(FLOWS, WORKERS=2).start()
    site.key = make_admin_key(site)
    # A worker that opens its stores only afterwards has other words for what it finds.
    assert wait_until(lambda: site.are_open(2), 30)
    assert succeeded(writes(site)) == {}
    path, aside = site.data / "flowrunner.db", site.folder / "aside"
    if how == "removed":
        path.rename(aside)
    elif how == "replaced":
        shutil.copy(path, aside)
        aside.replace(path)
    elif how == "log":
        (site.data / "flowrunner.db-wal").unlink()
    else:
        site.data.rename(aside)
    refused(writes(site))
    if how != "log":
        told = wait_for_reason(site)
        assert "restarted" in told["reason"] or "not there" in told["reason"]
        assert site.ask("GET", "/api/v1/monitor/messages?session_id=s").status_code == 503
        assert len(lines(site, GONE)) == 1, site.server.output
    if how in ("removed", "folder"):
        # A file that is put back is the one that was opened.
        assert not path.exists()
        aside.rename(path if how == "removed" else site.data)
        assert wait_until(lambda: timely(site, "/ready")[0] == 200, 30)
        goes_and_comes_back(site)
    else:
        site.stop()
        site.start()
    assert succeeded(writes(site)) == {}


def test_random_bytes_in_the_database_are_a_sentence(make_site):
    site = make_site(FLOWS).start()
    site.stop()
    path = site.data / "flowrunner.db"
    whole = path.read_bytes()
    for place, problem in (
        (0, f"the database file {path} is not a SQLite database"),
        (40, f"The database file {path} cannot be used"),
    ):
        path.write_bytes(whole[:place] + os.urandom(len(whole) - place))
        assert site.begin().wait() != 0
        assert problem in site.server.output
        assert "flowrunner restore" in site.server.output
        site.close()
        said = FORK_SERVER.run(["keys", "list", "--data-dir", site.data], clean_environment(), ROOT)
        assert said.returncode == 1
        assert "Traceback" not in said.stderr
        assert str(path) in said.stderr
        assert "restore" in said.stderr


def test_a_folder_that_cannot_be_written_is_not_a_busy_session(make_site, monkeypatch):
    from flowrunner.app import create_app, runner_of
    from flowrunner.engine import turn

    def refuse(path, *rest):
        raise PermissionError(13, "Permission denied", str(path))

    site = make_site(FLOWS)
    app = create_app(
        data_dir=site.data,
        auth="none",
        memory="in-memory",
        flows_dir=site.folder / "flows",
        plugins_dir=site.folder / "plugins",
        run_log=False,
    )
    monkeypatch.setattr(turn.os, "open", refuse)
    answer = app.test_client().post("/api/v1/run/chat", json={"input_value": "hi", "session_id": "s"})
    assert (answer.status_code, answer.json["code"]) == (503, "store_failed")
    assert "cannot be written" in answer.json["detail"]
    monkeypatch.undo()
    runner_of(app).close()


@pytest.fixture
def own_postgres():
    """A PostgreSQL server that a test may stop."""
    programs = find_programs()
    if programs is None:
        pytest.skip("the programs of a PostgreSQL server are not installed (Debian: apt install postgresql)")
    server = PostgresServer(programs)
    yield server
    server.stop()


@pytest.fixture
def postgres_site(tmp_path, own_postgres):
    database = own_postgres.url().render_as_string(hide_password=False)
    flows = {**FLOWS, "gated": waiting_flow(0, gate=str(tmp_path / "gate"))}
    site = Site(tmp_path, flows, database=database, WORKERS=2, DATABASE_TIMEOUT=4)
    site.key = make_admin_key(site)
    site.start()
    assert wait_until(lambda: site.are_open(2), 30)
    yield site
    site.close()


def test_a_postgresql_that_is_away_under_load(postgres_site, own_postgres):
    site, stop, answers = postgres_site, threading.Event(), []
    assert succeeded(writes(site)) == {}

    def load(number):
        while not stop.is_set():
            with contextlib.suppress(requests.RequestException):
                body = {"input_value": "hi", "session_id": f"s{number}"}
                answers.append(site.ask("POST", "/api/v1/run/chat", json=body))

    threads = [threading.Thread(target=load, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    own_postgres.halt()
    assert wait_until(lambda: timely(site, "/ready")[0] == 503, 30)
    assert wait_until(lambda: timely(site, "/health_check")[0] == 503, 30)
    assert wait_until(lambda: requests_refused(site, "/api/v1/monitor/messages"), 30)
    refused(writes(site))
    before = len(answers)
    assert wait_until(lambda: len(answers) > before + 100, 60)
    own_postgres.start()
    assert wait_until(lambda: timely(site, "/ready")[0] == 200, 60)
    stop.set()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {200, 503}
    refused({str(n): answer for n, answer in enumerate(answers) if answer.status_code != 200})
    goes_and_comes_back(site)
    assert succeeded(writes(site)) == {}
    # Nothing that was answered is lost.
    stored = site.rows("SELECT count(*) FROM flowrunner_messages WHERE session_key LIKE '%s_%' AND sender = 'User'")
    assert stored[0][0] >= sum(answer.status_code == 200 for answer in answers)


def test_a_postgresql_that_takes_no_changes(postgres_site, own_postgres):
    site = postgres_site
    assert succeeded(writes(site)) == {}
    own_postgres.execute("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    assert wait_until(lambda: timely(site, "/ready")[1].get("reason") == "its data cannot be written", 30)
    refused(writes(site))
    assert site.ask("GET", "/api/v1/monitor/messages?session_id=s").status_code == 200
    own_postgres.execute(
        "SET default_transaction_read_only = off",
        "ALTER SYSTEM RESET default_transaction_read_only",
        "SELECT pg_reload_conf()",
    )
    assert wait_until(lambda: timely(site, "/ready")[0] == 200, 60)
    goes_and_comes_back(site)
    assert succeeded(writes(site)) == {}


@pytest.mark.dear
def test_a_frozen_postgresql(postgres_site, own_postgres):
    site = postgres_site
    assert succeeded(writes(site)) == {}
    own_postgres.freeze()
    bad = (503, {"status": "error", "chat": "error", "db": "error"})
    assert wait_until(lambda: timely(site, "/health_check") == bad, 30)
    assert timely(site, "/health") == (200, {"status": "ok"})
    silent = (503, {"status": "not ready", "reason": "its database does not answer"})
    assert wait_until(lambda: timely(site, "/ready") == silent, 30)
    refused(writes(site, at_once=True))
    own_postgres.thaw()
    assert wait_until(lambda: timely(site, "/ready")[0] == 200, 60)
    goes_and_comes_back(site)
    assert succeeded(writes(site)) == {}


def said(site, session):
    """Return the conversation of a session: who said what, and whether it is marked as unanswered."""
    # Each worker notices by itself that its stores can be used again.
    answer = wait_until(lambda: (a := site.ask("GET", f"/api/v1/monitor/messages?session_id={session}")).ok and a, 60)
    return [(m["sender"], m["text"], m["properties"].get("unanswered")) for m in answer.json()]


def test_runs_under_way_when_postgresql_goes_leave_no_open_key_and_no_question_unmarked(postgres_site, own_postgres):
    site, answers, asked = postgres_site, {}, ("", "?stream=true", "?stream=sse")

    def ask(query):
        headers = {"Idempotency-Key": f"key{query}"}
        body = {"input_value": "anybody?", "session_id": f"s{query[-3:]}"}
        answers[query] = site.ask("POST", f"/api/v1/run/gated{query}", json=body, headers=headers)

    threads = [threading.Thread(target=ask, args=(query,)) for query in asked]
    for thread in threads:
        thread.start()
    assert wait_until(lambda: len(site.rows("SELECT 1 FROM flowrunner_messages WHERE text = 'anybody?'")) == 3, 60)
    own_postgres.halt()
    (site.folder / "gate").touch()
    for thread in threads:
        thread.join()
    assert answers[""].status_code == 503
    assert answers[""].headers["Retry-After"]
    assert all('"error"' in answers[query].text for query in asked[1:])
    own_postgres.start()
    assert wait_until(lambda: timely(site, "/ready")[0] == 200, 60)
    for query in asked:
        session = f"s{query[-3:]}"
        assert wait_until(lambda session=session: said(site, session) == [("User", "anybody?", "error")], 60), query

    def is_answered(query):
        ask(query)
        return answers[query].status_code == 200 and answers[query]

    for query in asked:
        # Nobody's process has to end before the key can be used again.
        assert wait_until(lambda query=query: is_answered(query), 60), answers[query].text
    assert site.open_runs() == []
    assert said(site, "s") == [("User", "anybody?", "error"), ("User", "anybody?", None), ("Machine", "anybody?", None)]
