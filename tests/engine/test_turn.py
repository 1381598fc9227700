"""Turns: runs of one session go one after the other, in threads and processes; a dead holder frees it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from flowrunner import CancelToken, Component, Input, Output, RunCancelled, SessionBusy
from flowrunner.engine.turn import Turns
from tests.engine.rig import open_rig


class Slow(Component):
    """Give other runs a chance to break in."""

    type_name = "Slow"
    inputs = (Input("value"),)
    outputs = (Output("text"),)
    blocking = True

    def run(self, context, value):
        context.cancelled.wait(0.01)
        return {"text": value}


CHAT = [("ask", "ChatInput"), ("slow", "Slow"), ("answer", "ChatOutput")]
EDGES = ["ask.message -> slow.value", "slow.text -> answer.input_value"]


def pairs_are_whole(messages):
    senders = [m.sender for m in messages]
    texts = [m.text for m in messages]
    return senders == ["User", "Machine"] * (len(messages) // 2) and texts[::2] == texts[1::2]


def test_runs_of_one_session_never_interleave(tmp_path):
    with open_rig(tmp_path, components=(Slow,)) as rig:
        plan = rig.plan(CHAT, EDGES)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda n: rig.run_plan(plan, input_value=f"t{n}", session_id="s"), range(24)))
        rows = rig.messages(session_id="s")
    assert len(rows) == 48
    assert pairs_are_whole(rows)


def test_sessions_that_are_only_the_default_are_not_locked(tmp_path):
    together = threading.Barrier(2)

    class Meets(Component):
        """Wait for another run to be here too."""

        type_name = "Meets"
        inputs = (Input("value"),)
        outputs = (Output("text"),)
        blocking = True

        def run(self, context, value):
            together.wait(timeout=10)
            return {"text": value}

    with open_rig(tmp_path, components=(Meets,)) as rig:
        plan = rig.plan(
            [("ask", "ChatInput"), ("m", "Meets"), ("answer", "ChatOutput")],
            ["ask.message -> m.value", "m.text -> answer.input_value"],
        )
        with ThreadPoolExecutor(2) as threads:
            results = list(threads.map(lambda n: rig.run_plan(plan), range(2)))
    assert [r.text for r in results] == ["hi", "hi"]


def hold(turns, session="s", owner="o", **more):
    return turns.hold(owner, {session}, cancelled=CancelToken(), **more)


def test_reject_answers_at_once(tmp_path):
    turns = Turns(tmp_path, strategy="reject", wait=30)
    with hold(turns):
        with pytest.raises(SessionBusy), hold(turns):
            pass
        with hold(turns, session="other"), hold(turns, owner="another"):
            pass
    with hold(turns):
        pass
    turns.close()


def test_a_queue_has_an_end(tmp_path):
    turns = Turns(tmp_path, strategy="queue", wait=0.05)
    with hold(turns), pytest.raises(SessionBusy, match="using the session s"), hold(turns):
        pass
    turns.close()


def test_parallel_locks_nothing(tmp_path):
    turns = Turns(tmp_path, strategy="parallel", wait=0)
    with hold(turns), hold(turns):
        pass


def test_a_run_started_by_a_run_shares_its_turn(tmp_path):
    turns = Turns(tmp_path, strategy="reject", wait=0)
    with hold(turns) as held:
        assert held == {"s"}
        with hold(turns, held=held) as inner:
            assert inner == {"s"}
    turns.close()


def test_waiting_threads_are_served_in_the_order_in_which_they_came(tmp_path):
    turns = Turns(tmp_path, strategy="queue", wait=30)
    order, threads = [], []

    def take(number):
        with hold(turns):
            order.append(number)

    with hold(turns):
        for number in range(6):
            thread = threading.Thread(target=take, args=(number,))
            thread.start()
            threads.append(thread)
            deadline = time.monotonic() + 10
            while len(turns._queues["o", "s"]) <= number and time.monotonic() < deadline:
                thread.join(0.001)
    for thread in threads:
        thread.join(10)
    assert order == list(range(6))
    turns.close()


def test_a_waiting_run_can_be_cancelled(tmp_path):
    turns = Turns(tmp_path, strategy="queue", wait=30)
    token = CancelToken()
    with hold(turns):
        threading.Timer(0.05, token.cancel, ["the client disconnected"]).start()
        with pytest.raises(RunCancelled), turns.hold("o", {"s"}, cancelled=token):
            pass
    turns.close()


HOLDER = """
import sys, time
from flowrunner import CancelToken
from flowrunner.engine.turn import Turns
from pathlib import Path
with Turns(Path(sys.argv[1]), strategy="queue", wait=5).hold("o", {"s"}, cancelled=CancelToken()):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_holds_a_session_and_its_death_frees_it(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        turns = Turns(tmp_path, strategy="reject", wait=0)
        with pytest.raises(SessionBusy), hold(turns):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(10)
        with hold(turns):
            pass
        turns.close()


def _count_up(folder, path, times):
    turns = Turns(folder, strategy="queue", wait=60)
    for _ in range(times):
        with hold(turns):
            path.write_text(str(int(path.read_text()) + 1))
    turns.close()


def test_processes_take_turns(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count_up, args=(tmp_path, counter, 25)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [w.exitcode for w in workers] == [0] * 4
    assert counter.read_text() == "100"


def test_a_child_of_a_fork_holds_nothing_of_its_parent(tmp_path):
    turns = Turns(tmp_path, strategy="reject", wait=0)
    with hold(turns):
        child = multiprocessing.get_context("fork").Process(target=_expect_busy, args=(turns,))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        with pytest.raises(SessionBusy), hold(turns):
            pass
    turns.close()


def _expect_busy(turns):
    try:
        with hold(turns):
            os._exit(1)
    except SessionBusy:
        os._exit(0)
