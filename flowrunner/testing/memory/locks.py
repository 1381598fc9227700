"""The lock that a store keeps on a session, for turns across hosts."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from flowrunner.components.cancelling import CancelToken
from flowrunner.engine.turn import Turns
from flowrunner.errors import SessionBusy
from flowrunner.memory import MemoryBackend
from flowrunner.testing.memory.helpers import Helpers
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import ANN, BOB
from flowrunner.testing.memory.stalls import try_in_time
from flowrunner.testing.memory.threads import Thread

ROUNDS = 15
#: How long somebody waits who is to wait in vain.
SHORT = 0.05
#: How many ask in vain while somebody waits.
LATER = 10


def lock(
    backend: MemoryBackend, session_id: str = "talk", wait: float = 0.0, owner: str = ANN
) -> AbstractContextManager[bool]:
    """Return the lock of a session."""
    found = backend.session_lock(owner, session_id, wait)
    assert found is not None, "session_lock returned a lock before, but now None"
    return found


def is_free(backend: MemoryBackend, session_id: str = "talk", wait: float = 0.0, owner: str = ANN) -> bool:
    """Take a lock, give it back, and say whether it was got."""
    with lock(backend, session_id, wait, owner) as got:
        assert isinstance(got, bool), f"entering gave {got!r}, which is neither True nor False"
        return got


class LockTests(BackendTests):
    """One holder at a time, on all hosts. For backends with ``session_lock``."""

    group = "session locks"
    came_with = 2
    mistakes: ClassVar[tuple[str, ...]] = (
        "A caller that did not acquire the lock and still deletes its key on leaving.",
        "A lease that is not renewed: a run that takes longer loses its lock.",
        "A key without a lease: a holder that dies keeps the session locked forever.",
        "A late holder that releases or renews the lock of the next one, because it does not check its token.",
        "A database lock that is reentrant for a connection: two threads can then hold it.",
        "A lock that is acquired when it is created, not when it is entered.",
        "A lock on the session id alone: the same id of two owners is two sessions.",
    )

    @pytest.fixture
    def locking(self, backend: MemoryBackend) -> MemoryBackend:
        """Return the backend, if it offers locks."""
        if type(backend).session_lock is MemoryBackend.session_lock or backend.session_lock(ANN, "asked", 0) is None:
            pytest.skip("it offers no session_lock")
        return backend

    def test_a_lock_has_one_holder(self, locking: MemoryBackend, open_another: Callable[[], MemoryBackend]) -> None:
        """Entering it waits at most ``wait`` seconds and returns whether the lock was acquired: there is at most one
        holder at a time, across all threads, processes and hosts."""
        other = open_another()
        with lock(locking) as got:
            assert got is True
            assert not is_free(other)
            assert not is_free(locking), "the same backend took a lock twice"
            assert not Thread(lambda: is_free(locking)).result(self.patience), "two threads hold one lock"
        assert is_free(other)

    def test_a_lock_is_taken_when_it_is_entered(
        self, locking: MemoryBackend, open_another: Callable[[], MemoryBackend]
    ) -> None:
        """It returns a context manager. Entering it waits at most ``wait`` seconds and returns whether the lock was
        acquired: there is at most one holder at a time, across all threads, processes and hosts."""
        made = lock(locking)
        assert is_free(open_another())
        with made as got:
            assert got

    def test_a_session_is_locked_again_and_again(
        self, locking: MemoryBackend, open_another: Callable[[], MemoryBackend]
    ) -> None:
        """Leaving it releases only its own lock, never that of another holder, and does not raise."""
        other = open_another()
        for n in range(ROUNDS):
            assert is_free((locking, other)[n % 2])

    def test_who_did_not_get_a_lock_frees_nothing(
        self, locking: MemoryBackend, open_another: Callable[[], MemoryBackend]
    ) -> None:
        """Leaving it releases only its own lock, never that of another holder, and does not raise."""
        other = open_another()
        with lock(locking):
            for loser in (locking, other):
                assert not is_free(loser)
                assert not is_free(other), "a caller that did not get the lock has released it"

    def test_a_block_that_fails_frees_its_lock(self, locking: MemoryBackend) -> None:
        """Leaving it releases only its own lock, never that of another holder, and does not raise."""
        with pytest.raises(ZeroDivisionError), lock(locking) as got:
            assert got
            raise ZeroDivisionError
        assert is_free(locking)

    @pytest.mark.parametrize("wait", [0.0, SHORT])
    def test_who_waits_in_vain_is_told(
        self, locking: MemoryBackend, open_another: Callable[[], MemoryBackend], wait: float
    ) -> None:
        """Entering it waits at most ``wait`` seconds and returns whether the lock was acquired: there is at most one
        holder at a time, across all threads, processes and hosts."""
        other = open_another()
        with lock(locking):
            waiting = Thread(lambda: is_free(other, wait=wait))
            try:
                assert waiting.result(self.patience) is False
            except TimeoutError:
                pytest.fail(f"who was to wait {wait:g} s was still waiting after {self.patience:g} s")

    def test_who_waits_gets_the_lock_when_it_is_free(
        self, locking: MemoryBackend, open_another: Callable[[], MemoryBackend]
    ) -> None:
        """Entering it waits at most ``wait`` seconds and returns whether the lock was acquired: there is at most one
        holder at a time, across all threads, processes and hosts."""
        other, events, begun = open_another(), [], threading.Event()

        def wait_for_it() -> bool:
            begun.set()
            with lock(other, wait=self.patience) as got:
                events.append("second")
                return got

        with lock(locking):
            waiting = Thread(wait_for_it)
            # The lock is held until the other one has had time to ask, and to give up: time on the clock, and
            # time of the machine, in which threads that begin later ask in vain.
            assert begun.wait(self.patience)
            for _ in range(LATER):
                assert not Thread(lambda: is_free(locking)).result(self.patience)
            assert not waiting.is_over(10 * SHORT), "a caller told to wait gave up at once"
            events.append("first")
        assert waiting.result(self.patience) is True, "a caller told to wait gave up at once"
        assert events == ["first", "second"]

    def test_locks_of_different_sessions_are_independent(
        self, locking: MemoryBackend, open_another: Callable[[], MemoryBackend]
    ) -> None:
        """Locks of different sessions, and of the same session id of different owners, are independent; one thread may
        hold several."""
        other = open_another()
        with ExitStack() as held:
            assert held.enter_context(lock(locking))
            for owner, session in ((BOB, "talk"), (ANN, "Talk"), (ANN, "talk "), (ANN, "tal"), ("annt", "alk")):
                assert is_free(other, session, owner=owner), (owner, session)
            for owner, session in ((ANN, "a:b"), ("ann:a", "b"), (ANN, "a\0b"), (ANN, "🜁" * 2000)):
                assert held.enter_context(lock(locking, session, owner=owner)), (owner, session)
                assert not is_free(other, session, owner=owner), (owner, session)
        assert is_free(other, "🜁" * 2000)

    def test_threads_hold_a_lock_one_after_the_other(self, locking: MemoryBackend) -> None:
        """Entering it waits at most ``wait`` seconds and returns whether the lock was acquired: there is at most one
        holder at a time, across all threads, processes and hosts."""
        holders: list[int] = []

        def hold(number: int) -> int:
            got_it = 0
            for _ in range(3):
                with lock(locking, wait=self.patience) as got:
                    assert got
                    holders.append(number)
                    # Long enough for one who should not come in to come in.
                    time.sleep(SHORT / 5)
                    assert holders == [number], "two threads held the lock at once"
                    holders.pop()
                    got_it += 1
            return got_it

        running = [Thread(partial(hold, number)) for number in range(4)]
        assert [thread.result(self.patience) for thread in running] == [3] * 4

    def test_a_run_within_a_run_shares_its_turn(
        self, locking: MemoryBackend, open_another: Callable[[], MemoryBackend], folder: Path
    ) -> None:
        """Entering it waits at most ``wait`` seconds and returns whether the lock was acquired: there is at most one
        holder at a time, across all threads, processes and hosts."""
        other, cancelled = open_another(), CancelToken()
        turns = Turns(folder, strategy="reject", wait=0, session_lock=locking.session_lock)
        with turns.hold(ANN, ["talk"], cancelled=cancelled) as held:
            with turns.hold(ANN, ["talk", "other"], held=held, cancelled=cancelled) as both:
                assert both == {"talk", "other"}
                assert not is_free(other, "other")
            assert is_free(other, "other")
            assert not is_free(other), "the end of the inner run has ended the turn of the outer one"
            with pytest.raises(SessionBusy), turns.hold(ANN, ["talk"], cancelled=cancelled):
                pytest.fail("a run that is not nested in the other one got its turn")
        assert is_free(other)
        turns.close()

    def test_a_lock_holds_in_other_processes(self, locking: MemoryBackend, folder: Path, helpers: Helpers) -> None:
        """Entering it waits at most ``wait`` seconds and returns whether the lock was acquired: there is at most one
        holder at a time, across all threads, processes and hosts."""
        with lock(locking) as got:
            assert got
            told = helpers.start(folder, "hold_lock", session="talk", wait=0).finish()
            assert told == ["got False", "left"]
        holding = helpers.start(folder, "hold_lock", session="talk", wait=0, keep=True)
        holding.wait_for("got True")
        assert not is_free(locking)
        holding.kill(signal.SIGUSR1)
        assert holding.finish() == ["left"]
        assert is_free(locking)

    def test_a_lock_does_not_pass_to_the_child_of_a_fork(
        self, locking: MemoryBackend, folder: Path, helpers: Helpers
    ) -> None:
        """Leaving it releases only its own lock, never that of another holder, and does not raise."""
        told = helpers.start(folder, "lock_in_child", session="talk").finish()
        assert told == ["parent True", "first False", "second False"]
        assert is_free(locking)

    def test_a_dead_holder_frees_its_lock(self, locking: MemoryBackend, folder: Path, helpers: Helpers) -> None:
        """If the holder dies, the lock is released: its connection ends, or its lease, which is renewed while the
        holder lives, expires."""
        dying = helpers.start(folder, "hold_lock", session="talk", wait=0, keep=True)
        dying.wait_for("got True")
        assert not is_free(locking)
        dying.kill()
        assert [line for line in dying if line != "open"] == []
        assert is_free(locking, wait=self.patience), f"a dead holder had the lock for more than {self.patience:g} s"

    def test_a_lease_is_renewed_while_the_lock_is_held(
        self, locking: MemoryBackend, open_another: Callable[[], MemoryBackend]
    ) -> None:
        """If the holder dies, the lock is released: its connection ends, or its lease, which is renewed while the
        holder lives, expires."""
        lease, other = self.lease(), open_another()

        def outlive_the_lease() -> None:
            with lock(locking) as got:
                assert got
                # Who waits may ask for the last time before the lease ends: asked again later, it has ended for sure.
                for wait in (1.5 * lease, 0):
                    assert not is_free(other, wait=wait), "the lease ended while its holder was alive"

        try_in_time(lease / 8, outlive_the_lease)
        assert is_free(other, wait=self.patience)

    def test_who_comes_back_late_leaves_the_next_holder_alone(
        self, locking: MemoryBackend, folder: Path, helpers: Helpers, open_another: Callable[[], MemoryBackend]
    ) -> None:
        """With leases, each holder writes a random token, and renews or releases the lock only while its own token is
        there."""
        lease, other = self.lease(), open_another()

        def come_back_late() -> None:
            stalled = helpers.start(folder, "hold_lock", session="talk", wait=self.patience, keep=True)
            stalled.wait_for("got True")
            stalled.kill(signal.SIGSTOP)
            with lock(locking, wait=self.patience) as got:
                assert got, f"the lock of a holder that stands still did not end with its lease of {lease:g} s"
                # While it is awake it would renew; when it leaves it would free.
                stalled.kill(signal.SIGCONT)
                assert not is_free(other, wait=lease)
                stalled.kill(signal.SIGUSR1)
                assert stalled.finish() == ["left"], "leaving an expired lock raised"
                assert not is_free(other), "a late holder released the lock of the next one"

        try_in_time(lease / 8, come_back_late)
        assert is_free(other, wait=self.patience)

    def lease(self) -> float:
        """Return the lease that the class names; leave the test out if it names none."""
        if self.lock_lease is None:
            pytest.skip("the test class sets no lock_lease")
        return self.lock_lease
