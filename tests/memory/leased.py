"""A plain backend with locks that have leases: a file says who holds which session, by which token, until when."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import uuid4

from tests.memory.plain import PlainFile

T = TypeVar("T")
Table = dict[str, tuple[str, float]]


class LeasedFile(PlainFile):
    """Its locks are right; subclasses make a mistake each."""

    #: Seconds; long enough that a slow machine renews in time.
    lease = 60.0

    def session_lock(self, owner: str, session_id: str, wait: float):
        return self.hold(self.key_of(owner, session_id), wait)

    def key_of(self, owner: str, session_id: str) -> str:
        return json.dumps([owner, session_id])

    @contextmanager
    def hold(self, key: str, wait: float):
        token = self.make_token()
        got = self.wait_for(key, token, wait)
        over = threading.Event()
        if got:
            threading.Thread(target=self.keep, args=(key, token, over), daemon=True).start()
        try:
            yield got
        finally:
            over.set()
            self.leave(key, token, got)

    def make_token(self) -> str:
        return uuid4().hex

    def wait_for(self, key: str, token: str, wait: float) -> bool:
        deadline = time.monotonic() + wait
        while not self.take(key, token):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return True

    def keep(self, key: str, token: str, over: threading.Event) -> None:
        while not over.wait(self.lease / 4):
            if not self.renew(key, token):
                return

    def leave(self, key: str, token: str, got: bool) -> None:
        if got:
            self.free(key, token)

    def take(self, key: str, token: str) -> bool:
        def take(table: Table) -> bool:
            free = key not in table or table[key][1] < time.monotonic()
            if free:
                table[key] = (token, time.monotonic() + self.lease)
            return free

        return self.change(take)

    def renew(self, key: str, token: str) -> bool:
        def renew(table: Table) -> bool:
            mine = key in table and self.same(table[key][0], token)
            if mine:
                table[key] = (token, time.monotonic() + self.lease)
            return mine

        return self.change(renew)

    def free(self, key: str, token: str) -> None:
        def free(table: Table) -> None:
            if key in table and self.same(table[key][0], token):
                del table[key]

        self.change(free)

    def same(self, one: str, other: str) -> bool:
        return one == other

    def change(self, work: Callable[[Any], T]) -> T:
        with self.path.with_suffix(".locks").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            table = json.loads(file.read() or "{}")
            answer = work(table)
            file.seek(0)
            file.truncate()
            file.write(json.dumps(table))
            file.flush()
            return answer
