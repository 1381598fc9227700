"""Who shares a transaction of the backend ``sqlite``, and in which order those who wait come into one."""

from __future__ import annotations

import threading

import pytest
from flowrunner_sqlite import writer
from sqlalchemy import URL

from flowrunner import MessageChanges, MessageQuery
from flowrunner.store.engine import make_engine
from flowrunner.testing.memory.samples import make_message
from tests.memory.closing import ClosingMemory
from tests.waiting import wait_until


@pytest.fixture
def backend(tmp_path):
    backend = ClosingMemory(make_engine(URL.create("sqlite", database=str(tmp_path / "messages.db"))))
    yield backend
    backend.close()


class Held:
    """Callers that wait while a first one is in its transaction; ``batches`` are the transactions that followed."""

    def __init__(self, backend, monkeypatch):
        self.backend, self.threads = backend, []
        self.batches: list[list[str]] = []
        self.go_on = threading.Event()
        write = writer.GroupCommit._write

        def held(group, rows, along):
            if self.batches or not self.go_on.is_set():
                self.batches.append([row[writer._OWNER] for row in rows])
            if len(self.batches) == 1:
                assert self.go_on.wait(60)
            write(group, rows, along)

        monkeypatch.setattr(writer.GroupCommit, "_write", held)
        self.append("first")
        assert wait_until(lambda: len(self.batches) == 1, 30), "the first caller writes"

    def start(self, call):
        before = len(self.backend._writer._queue)
        self.threads.append(threading.Thread(target=call))
        self.threads[-1].start()
        if len(self.threads) > 1:
            assert wait_until(lambda: len(self.backend._writer._queue) == before + 1, 30)

    def append(self, owner):
        self.start(lambda: self.backend.append_messages([make_message(session_id=f"of {owner}", owner=owner)]))

    def end(self):
        self.go_on.set()
        for thread in self.threads:
            thread.join(60)
        return self.batches[1:]


def test_all_who_wait_share_the_next_transaction(backend, monkeypatch):
    held = Held(backend, monkeypatch)
    for _ in range(5):
        held.append("a")
    held.append("b")
    assert held.end() == [["a", "a", "a", "a", "a", "b"]]


def test_whoever_asks_for_little_is_in_the_next_transaction_behind_a_hundred_of_another(backend, monkeypatch):
    held = Held(backend, monkeypatch)
    for _ in range(100):
        held.append("greedy")
    held.append("polite")
    held.append("other")
    first, *others = held.end()
    assert len(first) == 32 and {"polite", "other"} < set(first)
    assert [len(batch) for batch in others] == [32, 32, 6]


def test_the_messages_of_one_owner_keep_the_order_in_which_they_came(backend, monkeypatch):
    held = Held(backend, monkeypatch)
    ids = [f"id-{number:03}" for number in range(80)]
    for number, one in enumerate(ids):
        held.start(
            lambda one=one, number=number: backend.append_messages(
                [make_message(session_id="s", id=one, owner="greedy" if number % 2 else "too")]
            )
        )
    held.end()
    for parity, owner in enumerate(["too", "greedy"]):
        assert [m.id for m in backend.fetch_messages(MessageQuery(owner=owner, session_id="s"))] == ids[parity::2]


def test_whoever_writes_alone_has_its_turn_before_those_who_came_later(backend, monkeypatch):
    held = Held(backend, monkeypatch)
    seen: list[int] = []
    for _ in range(40):
        held.append("a")
    held.start(
        lambda: (
            backend.update_messages(MessageQuery(owner="first", session_id="of first"), MessageChanges(text="edited")),
            seen.append(len(held.batches)),
        )
    )
    held.append("b")
    assert [set(batch) for batch in held.end()] == [{"a"}, {"a"}, {"b"}]
    assert backend.fetch_messages(MessageQuery(owner="first"))[0].text == "edited"
