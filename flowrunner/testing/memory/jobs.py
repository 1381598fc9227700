"""Jobs that worker processes of the kit perform on a backend; see ``worker.py``."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any, Final

from flowrunner.errors import MessageInvalid
from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import MessageChanges, MessageQuery
from flowrunner.testing.memory.concurrency import SCENARIOS, in_rounds
from flowrunner.testing.memory.samples import ANN, append_texts, make_message

Order = Mapping[str, Any]


def tell(*words: object) -> None:
    """Print a line that the test reads at once, whole also where several processes print."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def append_rounds(backend: MemoryBackend, order: Order) -> None:
    """Append so many pairs to the session, and others beside it."""
    name = f"{order['name']}{order['number']}"
    for n in range(order["rounds"]):
        backend.append_messages([make_message(f"{name} {n} {part}", id=f"{name} {n} {part}") for part in "ab"])
        append_texts(backend, "beside", session_id=f"beside {name}", id=f"{name} {n} beside")


def race_for_ids(backend: MemoryBackend, order: Order) -> None:
    """Append ids that other processes append too, and tell which ones were got."""
    name = str(order["number"])
    for n in range(order["rounds"]):
        order["barrier"].wait(30)
        try:
            append_texts(backend, name, id=f"id {n}", session_id=name)
        except MessageInvalid:
            continue
        tell(n)


def write_together(backend: MemoryBackend, order: Order) -> None:
    """Take part in a scenario with the other processes, round by round, and tell how much was done."""
    tell(in_rounds(backend, SCENARIOS[order["scenario"]], order["number"], order["barrier"]))


def change_once(backend: MemoryBackend, order: Order) -> None:
    """Do one thing to what the test has stored: see ``processes.STEPS``."""
    step, name = order["step"], MessageQuery(owner=ANN, ids=(order["id"],))
    if step == "append":
        append_texts(backend, "plum", session_id="new")
    elif step == "edit":
        backend.update_messages(name, MessageChanges(text="plum"))
    elif step == "rename":
        backend.update_messages(MessageQuery(owner=ANN, session_id="talk"), MessageChanges(session_id="new"))
    elif step == "delete":
        backend.delete_messages(name)


def write_until_killed(backend: MemoryBackend, order: Order) -> None:
    """Append batches of three, change them, and move them over in between, for ever."""
    n = int(order["start"])
    while True:
        ids = [f"{n} {part}" for part in "abc"]
        backend.append_messages([make_message(f"{n}", "live", id=i, run_id=str(n)) for i in ids])
        tell("appended", n)
        if n % 5 == 4:
            backend.update_messages(MessageQuery(owner=ANN, session_id="live"), MessageChanges(session_id="archive"))
            tell("moved", n)
        if n % 7 == 6:
            backend.update_messages(MessageQuery(owner=ANN, run_id=str(n)), MessageChanges(sender_name=f"edited {n}"))
            tell("edited", n)
        if n % 11 == 10:
            backend.delete_messages(MessageQuery(owner=ANN, run_id=str(n)))
            tell("deleted", n)
        n += 1


def fork_and_append(backend: MemoryBackend, order: Order) -> None:
    """Use the backend in a parent and its children, as a server does that opens it before it forks."""
    append_texts(backend, "before the fork", id="before the fork")
    children = []
    for child in range(3):
        process = os.fork()
        if process == 0:
            status = 1
            try:
                append_rounds(backend, {"name": "child", "number": child, "rounds": order["rounds"]})
                status = 0
            finally:
                os._exit(status)
        children.append(process)
    append_rounds(backend, {"name": "parent", "number": 0, "rounds": order["rounds"]})
    for process in children:
        tell("status", os.waitpid(process, 0)[1])


def hold_lock(backend: MemoryBackend, order: Order) -> None:
    """Take a session's lock, tell whether it was got, and keep it until the signal USR1 comes."""
    lock = backend.session_lock(ANN, order["session"], order["wait"])
    assert lock is not None, "session_lock returned None in another process"
    with lock as got:
        tell("got", got)
        if order.get("keep"):
            signal.sigwait({signal.SIGUSR1})
    tell("left")


def lock_in_child(backend: MemoryBackend, order: Order) -> None:
    """Hold a lock, fork a child that asks for it and ends, and tell what the child and a later one got."""
    lock = backend.session_lock(ANN, order["session"], 0)
    assert lock is not None, "session_lock returned None in another process"
    with lock as got:
        tell("parent", got)
        for child in ("first", "second"):
            process = os.fork()
            if process == 0:
                try:
                    other = backend.session_lock(ANN, order["session"], 0)
                    assert other is not None
                    with other as also:
                        tell(child, also)
                finally:
                    os._exit(0)
            os.waitpid(process, 0)


JOBS: Final[Mapping[str, Callable[[MemoryBackend, Order], None]]] = {
    job.__name__: job
    for job in (
        append_rounds,
        race_for_ids,
        write_together,
        change_once,
        write_until_killed,
        fork_and_append,
        hold_lock,
        lock_in_child,
    )
}
