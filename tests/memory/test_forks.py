"""Forked processes begin afresh, and runners that are gone leave nothing registered with the system."""

import atexit
import gc
import os
import signal
import threading
import traceback
import weakref
from pathlib import Path

import pytest
from flask import Flask

from flowrunner import FlowRunner
from flowrunner.app import create_app, runner_of
from flowrunner.components import CancelToken, Component, Input, Output
from flowrunner.engine.request import RunRequest
from flowrunner.engine.turn import Turns
from flowrunner.errors import FlowNotFound
from flowrunner.identity import LOCAL_IDENTITY
from flowrunner.memory.forks import after_fork
from flowrunner.store import write_turn
from flowrunner.store.stream_files import StreamFolder
from flowrunner.web.spool import DistantStream, Spool
from tests.waiting import wait_until

RUN = "11111111-1111-4111-8111-111111111111"


class Waits(Component):
    """Runs on the pool."""

    type_name = "Waits"
    inputs = (Input("text"),)
    outputs = (Output("text", "Text"),)
    blocking = True

    def run(self, context, text):
        return {"text": "waited"}


def in_child(act):
    """Call a function in a forked process, and say whether it returned; a child that hangs is killed."""
    pid = os.fork()
    if not pid:
        try:
            signal.alarm(60)
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def use(folder, memory):
    """Make a server and a site in one process, use both, and drop them."""
    made = []
    for number in range(2):
        place = folder / str(number)
        place.mkdir(parents=True)
        options = {
            "resume_seconds": 0.1,
            "data_dir": place,
            "memory": memory,
            "flows_dir": str(Path("examples/flows").absolute()),
        }
        if number:
            app = Flask("site", instance_path=str(place))
            FlowRunner(app, auth="none", **options)
        else:
            app = create_app(auth="none", **options)
        client = app.test_client()
        prefix = "" if not number else "/flowrunner"
        for query in ("", "?stream=sse", "?background=true"):
            answer = client.post(f"{prefix}/api/v1/run/basic-chat{query}", json={"input_value": "hi"})
            assert answer.status_code in (200, 202) and answer.data
        runner = runner_of(app)
        runner.close()
        made.append(weakref.ref(runner))
    return made


@pytest.mark.parametrize("memory", ["sqlite", "file-json", "in-memory"])
def test_runners_leave_nothing_registered_and_are_collected(tmp_path, monkeypatch, memory):
    use(tmp_path / "first", memory)
    registered = []
    monkeypatch.setattr(os, "register_at_fork", lambda **callbacks: registered.append(callbacks))
    monkeypatch.setattr(atexit, "register", lambda *callback: registered.append(callback))
    made = use(tmp_path / "second", memory)
    assert registered == []

    def gone():
        gc.collect()
        return not any(reference() for reference in made)

    assert wait_until(gone, 30)
    assert not [path for path in write_turn._turns if path.startswith(str(tmp_path))]


def test_each_is_renewed_in_the_child_while_it_is_there_in_the_order_of_registration():
    renewed = []

    class One:
        def __init__(self, name):
            self.name = name
            after_fork(self.begin)

        def begin(self):
            renewed.append(self.name)

    kept, dropped, other = One("kept"), One("dropped"), One("other")
    del dropped
    gc.collect()

    def look():
        assert renewed == [kept.name, other.name]

    assert in_child(look)
    assert renewed == []


def test_what_fails_in_a_child_keeps_no_other_from_beginning_afresh():
    class One:
        begun, fails = False, False

        def begin(self):
            self.begun = True
            if self.fails:
                raise ValueError("not here")

    first, wrong, last = several = [One() for _ in range(3)]
    wrong.fails = True
    for one in several:
        after_fork(one.begin)

    def look():
        assert first.begun and wrong.begun and last.begun

    assert in_child(look)


def test_a_fork_while_a_stream_is_live_leaves_the_child_able_to_stream(tmp_path):
    store = StreamFolder(tmp_path / "streams")
    spool, other = Spool(lambda: store, grace=60.0), RUN.replace("1", "2")
    live = spool.open(RUN, "ann", "flow", lambda reason: None)
    live.append("token", "1")
    assert wait_until(lambda: store.read(RUN, 0)[0], 30)

    def stream():
        spool.open(other, "ann", "flow", lambda reason: None).append("token", "2")
        assert wait_until(lambda: store.read(other, 0)[0], 30)
        # The stream of its parent is another process's.
        assert isinstance(spool.find(RUN, "ann", "flow", sees_all=True), DistantStream)

    with spool._lock:
        assert in_child(stream)
    live.close()


def test_a_fork_after_components_ran_on_the_pool_leaves_the_child_able_to_run_them(tmp_path):
    app = create_app(data_dir=tmp_path, auth="none", plugins=[Waits])
    runner = runner_of(app)
    node = {"id": "w", "data": {"id": "w", "type": "Waits", "node": {"template": {}, "outputs": []}}}
    flow = runner.stores_of(LOCAL_IDENTITY).flows.create({"name": "W", "data": {"nodes": [node], "edges": []}})

    def run():
        runner.execute(runner.find(flow.id, LOCAL_IDENTITY), RunRequest(input_value="hi"), LOCAL_IDENTITY)

    run()
    with runner._shares._lock, runner.wrong_keys._lock, runner._uploads._lock, runner.stores.keys._lock:
        assert in_child(run)
    run()
    runner.close()


LOCKS = {
    "flow files": lambda runner: runner.library.folders._lock,
    "plans": lambda runner: runner.plan.__self__._planning,
    "frozen results": lambda runner: runner.services.frozen._lock,
    "vectors": lambda runner: runner.vectors._lock,
    "opening": lambda runner: runner._state,
}


@pytest.mark.parametrize("lock_of", LOCKS.values(), ids=LOCKS)
def test_a_child_waits_for_no_lock_that_a_thread_of_its_parent_held(tmp_path, lock_of):
    app = create_app(data_dir=tmp_path, auth="none", flows_dir="examples/flows")
    runner = runner_of(app)
    runner.open()
    lock, held, leave = lock_of(runner), threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            leave.wait(120)

    def use():
        with pytest.raises(FlowNotFound):
            runner.find("nowhere", LOCAL_IDENTITY)
        runner.services.frozen.keep(("", "", "", ""), {})
        assert runner.run("basic-chat", "hi").text
        assert runner.vectors.store
        runner.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(30)
        assert in_child(use)
    finally:
        leave.set()
        thread.join(30)
        runner.close()


def test_a_session_that_a_run_of_the_parent_held_is_free_in_the_child_once_the_parent_leaves_it(tmp_path):
    turns = Turns(tmp_path, strategy="queue", wait=60.0)
    held, leave = threading.Event(), threading.Event()

    def hold():
        with turns.hold("ann", ["s"], cancelled=CancelToken()):
            held.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    reading, writing = os.pipe()

    def take():
        os.close(writing)
        assert os.read(reading, 1) == b""
        with turns.hold("ann", ["s"], cancelled=CancelToken()):
            pass

    pid = os.fork()
    if not pid:
        try:
            signal.alarm(60)
            take()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    leave.set()
    thread.join(30)
    os.close(reading)
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
