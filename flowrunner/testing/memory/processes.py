"""Several processes on one store."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

import pytest

from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import MessageQuery, SessionQuery
from flowrunner.testing.memory.concurrency import SCENARIOS, WRITERS, store_old
from flowrunner.testing.memory.helpers import Helpers
from flowrunner.testing.memory.listing import list_ids
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.promises import since
from flowrunner.testing.memory.samples import ANN, append_texts, fetch_texts
from flowrunner.testing.memory.threads import follow, follow_to_the_end, meanwhile

PROCESSES = 4
ROUNDS = 15

#: What another process does, and what every answer must be afterwards: texts of ``talk``, texts of
#: ``new``, what a search for "plum" finds, and the list of sessions.
STEPS: Final[dict[str, tuple[list[str], list[str], list[str], list[str]]]] = {
    "append": (["apple", "pear"], ["plum"], ["plum"], ["new", "talk"]),
    "edit": (["plum", "pear"], [], ["plum"], ["talk"]),
    "rename": ([], ["apple", "pear"], [], ["new"]),
    "delete": (["pear"], [], [], ["talk"]),
}


class SharedTests(BackendTests):
    """Several processes share one store. For backends that declare ``shared``."""

    group = "processes"
    mistakes: ClassVar[tuple[str, ...]] = (
        "A lock between threads but not processes, so that one process writes back what another has deleted.",
        "A list of sessions, an index or a cache that a process builds once and trusts from then on.",
        "Checking whether an id is taken in a separate step from the write.",
        "A connection opened by a parent process and used by its children.",
    )

    @pytest.fixture
    def shared(self, backend: MemoryBackend) -> MemoryBackend:
        """Return the backend, if it says that other processes see what it stores."""
        if not backend.shared:
            pytest.skip("it is not marked shared")
        return backend

    def test_two_backends_in_one_process_are_one_store(
        self, shared: MemoryBackend, open_another: Callable[[], MemoryBackend]
    ) -> None:
        """Other processes that open the same place see the same messages."""
        other = open_another()
        for n in range(6):
            append_texts((shared, other)[n % 2], str(n))
        assert fetch_texts(shared) == fetch_texts(other) == [str(n) for n in range(6)]
        other.delete_messages(MessageQuery(owner=ANN, limit=1))
        assert fetch_texts(shared) == [str(n) for n in range(5)]

    @since(2)
    @pytest.mark.parametrize("step", STEPS)
    def test_no_answer_is_stale_after_another_process_wrote(
        self, shared: MemoryBackend, folder: Path, helpers: Helpers, step: str
    ) -> None:
        """Other processes that open the same place see the same messages."""
        first, _ = append_texts(shared, "apple", "pear")

        def answers() -> tuple[list[str], list[str], list[str], list[str]]:
            talk, new = (fetch_texts(shared, session_id=name) for name in ("talk", "new"))
            return talk, new, fetch_texts(shared, text="plum"), list_ids(shared)

        # Asked before, so that whatever the backend would remember of its answers, it remembers.
        assert answers() == (["apple", "pear"], [], [], ["talk"])
        helpers.start(folder, "change_once", step=step, id=first.id).finish()
        assert answers() == STEPS[step]
        assert fetch_texts(shared) == STEPS[step][0] + STEPS[step][1]

    def test_the_list_of_sessions_knows_other_processes(
        self, shared: MemoryBackend, folder: Path, helpers: Helpers
    ) -> None:
        """``list_sessions`` returns a summary per session, latest activity first"""
        append_texts(shared, "first")
        helpers.start(folder, "append_rounds", name="w", rounds=2).finish()
        found = shared.list_sessions(SessionQuery(owner=ANN))
        assert [(summary.session_id, summary.count) for summary in found] == [("beside w0", 2), ("talk", 5)]

    @since(2)
    @pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "edits beside appends"])
    def test_processes_that_write_together_undo_nothing(
        self, shared: MemoryBackend, folder: Path, helpers: Helpers, scenario: str
    ) -> None:
        """An operation that cannot be done raises :class:`~flowrunner.MemoryFailed` (with ``__cause__``) and leaves
        nothing half-done; no falsy value ever means failure."""
        store_old(shared)
        told = helpers.start(folder, "write_together", crew=WRITERS, scenario=scenario).finish()
        SCENARIOS[scenario].check(shared, sum(map(int, told)))

    def test_one_process_of_many_gets_an_id(self, shared: MemoryBackend, folder: Path, helpers: Helpers) -> None:
        """appending an id that is taken (anywhere in the store, or twice in one call) raises
        :class:`~flowrunner.MessageInvalid`."""
        won = Counter(helpers.start(folder, "race_for_ids", crew=PROCESSES, rounds=ROUNDS).finish())
        assert won == {str(n): 1 for n in range(ROUNDS)}
        assert len(fetch_texts(shared)) == ROUNDS

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    def test_children_of_a_process_can_go_on(self, shared: MemoryBackend, folder: Path, helpers: Helpers) -> None:
        """All operations may be called from any thread, and in a process forked after the backend was opened."""
        assert helpers.start(folder, "fork_and_append", rounds=5).finish() == ["status 0"] * 3
        assert len(fetch_texts(shared, session_id="talk")) == 1 + 4 * 5 * 2

    def test_processes_lose_double_and_disorder_nothing(
        self, shared: MemoryBackend, folder: Path, helpers: Helpers
    ) -> None:
        """Two appends that return one after the other are in that order for every reader, in every thread and
        process"""
        (first,) = append_texts(shared, "first")
        seen: list[str] = []
        with meanwhile(lambda: follow(shared, seen, first.id or "")):
            helpers.start(folder, "append_rounds", crew=PROCESSES, name="w", rounds=ROUNDS).finish()
        texts = fetch_texts(shared, session_id="talk")[1:]
        assert len(texts) == len(set(texts)) == PROCESSES * ROUNDS * 2
        for n in range(PROCESSES):
            own = [text for text in texts if text.startswith(f"w{n} ")]
            assert own == [f"w{n} {m} {part}" for m in range(ROUNDS) for part in "ab"]
            assert len(fetch_texts(shared, session_id=f"beside w{n}")) == ROUNDS
        follow_to_the_end(shared, seen, first.id or "")
        assert seen == [message.id for message in shared.fetch_messages(MessageQuery(owner=ANN))][1:]
