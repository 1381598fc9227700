"""Locks of sessions with a lease: Redis drops a key whose holder does not renew it any more."""

import logging
import os
import threading
from contextlib import contextmanager

from redis.exceptions import LockError, RedisError

from flowrunner import MemoryFailed

logger = logging.getLogger(__name__)


class SessionLocks:
    """The locks that this process holds, all renewed by one thread.

    ``redis.lock.Lock`` writes a random token under the key, and renews and frees it only where that
    token still stands.
    """

    def __init__(self, client, prefix, lease):
        self._client, self._prefix, self._lease = client, prefix, lease
        self._start_afresh()

    @contextmanager
    def held(self, name, wait):
        if self._pid != os.getpid():
            # The child of a fork: the parent holds, and renews, what stands here.
            self._start_afresh()
        lock = self._client.lock(self._prefix + name, self._lease, sleep=0.02, thread_local=False)
        try:
            got = lock.acquire(blocking=True, blocking_timeout=wait)
        except (RedisError, OSError) as error:
            raise MemoryFailed(f"The lock of a session could not be asked for: {error}.") from error
        try:
            if got:
                self._keep(lock)
            yield got
        finally:
            if got:
                self._give_back(lock)

    def close(self):
        self._stop.set()

    def _start_afresh(self):
        self._pid, self._held = os.getpid(), set()
        self._guard, self._stop, self._thread = threading.Lock(), threading.Event(), None

    def _keep(self, lock):
        with self._guard:
            self._held.add(lock)
            if self._thread is None:
                self._stop.clear()
                self._thread = threading.Thread(target=self._renew, daemon=True, name="flowrunner-redis-locks")
                self._thread.start()

    def _give_back(self, lock):
        with self._guard:
            mine = lock in self._held and self._pid == os.getpid()
            self._held.discard(lock)
        try:
            if mine:
                lock.release()
        except (LockError, RedisError, OSError) as error:
            # The run is over and its answer is right; the lease ends by itself.
            logger.warning("The lock of a session could not be released: %s", error)

    def _renew(self):
        while not self._stop.wait(self._lease / 3):
            with self._guard:
                held = list(self._held)
                if not held:
                    self._thread = None
                    return
            for lock in held:
                try:
                    lock.reacquire()
                except (LockError, RedisError, OSError) as error:
                    with self._guard:
                        lost = lock in self._held
                        if isinstance(error, LockError):
                            self._held.discard(lock)
                    if lost:
                        logger.warning("The lock of a session could not be renewed: %s", error)
