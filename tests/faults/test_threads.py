"""Where the system starts no more threads, what is answered is true, and what was accepted begins once, by itself."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from flowrunner.app import create_app, runner_of
from flowrunner.components import Component, Input, Output
from flowrunner.engine.request import RunRequest
from flowrunner.errors import TooBusy
from flowrunner.identity import LOCAL_IDENTITY
from flowrunner.memory import EVERY_OWNER
from flowrunner.memory.message import new_id
from flowrunner.memory.purge_timer import PurgeTimer
from flowrunner.store.engine import reading
from flowrunner.store.tables import runs
from flowrunner.store.watch import StoreWatch
from tests.waiting import wait_until


class Asked(Component):
    """Counts how often it runs."""

    type_name = "Asked"
    inputs = (Input("text"),)
    outputs = (Output("text", "Text"),)
    blocking = True
    times: list[str] = []  # noqa: RUF012

    def run(self, context, text):
        self.times.append(threading.current_thread().name)
        return {"text": "asked"}


class Full:
    """Has no thread with one of some names started."""

    def __init__(self, monkeypatch):
        self.names, self.refused, whole = (), [], threading.Thread.start

        def start(thread):
            if thread.name.startswith(self.names):
                self.refused.append(thread.name)
                raise RuntimeError("can't start new thread")
            whole(thread)

        monkeypatch.setattr(threading.Thread, "start", start)


@pytest.fixture
def full(monkeypatch):
    return Full(monkeypatch)


@pytest.fixture
def app(tmp_path):
    return create_app(data_dir=tmp_path, auth="none", flows_dir="examples/flows", plugins=[Asked])


@pytest.fixture
def runner(app, full):
    made = runner_of(app)
    made.open()
    yield made
    full.names = ()
    made.close()


def background(client, **headers):
    body = {"input_value": "hi", "session_id": "s"}
    return client.post("/api/v1/run/basic-chat?background=true", json=body, headers=headers)


def ledger(runner):
    with reading(runner.engine) as connection:
        return [row.status for row in connection.execute(runs.select().order_by(runs.c.seq))]


def said(runner):
    return [message.text for message in runner.memory_of(LOCAL_IDENTITY).fetch(session_id="s")]


@pytest.mark.parametrize("names", ["flowrunner-background", "flowrunner-run_"], ids=["watcher", "runs"])
def test_what_begins_later_is_accepted_and_begins_by_itself(app, runner, full, names):
    full.names = (names,)
    answer = background(app.test_client())
    assert answer.status_code == 202
    assert wait_until(lambda: full.refused, 30)
    assert runner.runs.ledger.find(answer.json["run_id"], EVERY_OWNER).status == "queued"
    full.names = ()
    assert wait_until(lambda: ledger(runner) == ["success"], 30)
    assert said(runner) == ["hi", "hi"]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["without a key", "with a key"])
def test_what_nobody_would_see_to_is_refused_and_not_recorded(app, runner, full, headers):
    full.names = ("flowrunner-runs", "flowrunner-background")
    answer = background(app.test_client(), **headers)
    assert (answer.status_code, answer.json["code"]) == (503, "too_busy")
    assert ledger(runner) == []
    # Everything else is answered, though nobody looks after runs for the moment.
    assert app.test_client().get("/api/v1/monitor/messages").status_code == 200
    full.names = ()
    assert background(app.test_client(), **headers).status_code == 202
    assert wait_until(lambda: ledger(runner) == ["success"], 30)
    assert said(runner) == ["hi", "hi"]


def test_accepting_by_hand_is_refused_too(runner, full):
    full.names = ("flowrunner-runs",)
    flow = runner.library.folders.find("basic-chat")
    with pytest.raises(TooBusy, match="cannot start another thread"):
        runner.start(flow, RunRequest(input_value="hi"), LOCAL_IDENTITY)
    assert ledger(runner) == []


def test_all_runs_of_many_begin_once_though_their_threads_come_late(runner, full):
    full.names = ("flowrunner-run_",)
    flow, ids = runner.library.folders.find("basic-chat"), [new_id() for _ in range(6)]
    for run_id in ids:
        request = RunRequest(input_value="hi", session_id=run_id)
        assert runner.start(flow, request, LOCAL_IDENTITY, run_id=run_id) == run_id
    assert wait_until(lambda: len(full.refused) > len(ids), 30)
    full.names = ()
    assert wait_until(lambda: ledger(runner) == ["success"] * 6, 30)
    for run_id in ids:
        found = runner.memory_of(LOCAL_IDENTITY).fetch(session_id=run_id)
        assert [message.text for message in found] == ["hi", "hi"]


@pytest.mark.parametrize(
    ("query", "names"),
    [("?stream=true", "flowrunner-stream"), ("?stream=sse", "flowrunner-stream"), ("?stream=sse", "flowrunner-spool")],
)
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["without a key", "with a key"])
def test_a_stream_without_a_thread_is_refused_and_nothing_has_run(app, runner, full, query, names, headers):
    def ask():
        body = {"input_value": "hi", "session_id": "s"}
        return app.test_client().post(f"/api/v1/run/basic-chat{query}", json=body, headers=headers)

    full.names = (names,)
    answer = ask()
    assert (answer.status_code, answer.json["code"]) == (503, "too_busy")
    assert said(runner) == []
    full.names = ()
    answer = ask()
    assert answer.status_code == 200 and answer.data
    assert said(runner) == ["hi", "hi"]


class KeepingPool(ThreadPoolExecutor):
    """Keeps calls as a pool does that has threads, all of them busy, and can start no other."""

    def __init__(self):
        super().__init__(1)
        self.kept = []

    def submit(self, function, /, *arguments, **options):
        self.kept.append(lambda: function(*arguments, **options))
        raise RuntimeError("can't start new thread")


def test_a_component_that_no_thread_was_started_for_runs_once(runner, monkeypatch):
    pool = KeepingPool()
    monkeypatch.setattr(runner._pool, "submit", pool.submit)
    Asked.times.clear()
    data = {"name": "Asked", "data": {"nodes": [_node("Asked-1")], "edges": []}}
    made = runner.stores_of(LOCAL_IDENTITY).flows.create(data)
    runner.execute(runner.find(made.id, LOCAL_IDENTITY), RunRequest(input_value="hi"), LOCAL_IDENTITY)
    assert len(pool.kept) == 1
    for late in pool.kept:
        late()
    assert Asked.times == [threading.current_thread().name]


def _node(vertex):
    return {
        "id": vertex,
        "data": {"id": vertex, "type": "Asked", "node": {"template": {}, "outputs": []}},
    }


def test_a_look_at_the_stores_without_a_thread_is_no_outage(full):
    looked = []
    watch = StoreWatch(lambda: {"memory": lambda: looked.append(True)})
    full.names = ("flowrunner-look",)
    assert watch.check(0.1) == {}
    full.names = ()
    assert watch.check(30) == {}
    assert looked == [True]
    watch.close()


def test_a_look_without_a_thread_is_no_recovery_either(full, monkeypatch):
    def fail():
        raise OSError("the disk is away")

    monkeypatch.setattr("flowrunner.store.watch._FRESH", -1.0)
    watch = StoreWatch(lambda: {"memory": fail})
    assert list(watch.check(30)) == ["memory"]
    full.names = ("flowrunner-look",)
    assert list(watch.check(30)) == ["memory"]
    watch.close()


def test_a_store_of_keys_closes_though_no_thread_wrote_their_last_use(runner, full):
    keys = runner.stores.keys
    full.names = ("flowrunner-keys",)
    assert keys.identify(keys.create("Ann"))
    assert full.refused
    keys.close()


def test_the_use_of_a_key_is_noted_once_a_thread_can_be_started(runner, full):
    keys = runner.stores.keys
    first, second = keys.create("Ann"), keys.create("Bob")
    full.names = ("flowrunner-keys",)
    assert keys.identify(first)
    assert full.refused
    full.names = ()
    assert keys.identify(second)
    assert wait_until(lambda: all(key.last_used_at for key in keys.list()), 30)


def test_a_timer_without_a_thread_starts_with_the_next_request(tmp_path, full):
    acted = threading.Event()
    (tmp_path / "purge.lock").touch()
    os.utime(tmp_path / "purge.lock", (0, 0))
    timer = PurgeTimer(tmp_path, 3600.0, lambda stopped: acted.set())
    full.names = ("flowrunner-purge",)
    timer.start()
    full.names = ()
    timer.start()
    assert acted.wait(30)
    timer.stop()
