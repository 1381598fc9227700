"""What several writers do to the same messages at the same moment; threads and processes do the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import MessageChanges, MessageQuery
from flowrunner.testing.memory.samples import ANN, append_texts, fetch_texts

WRITERS: Final = 4
ROUNDS: Final = 10

_FIELDS: Final = ("text", "sender_name", "category", "context_id")


@dataclass(frozen=True)
class Scenario:
    """What each writer does in a round, and what must hold in the end, whoever was first.

    ``work(backend, writer, round)`` returns how many messages it was told to have changed or deleted.
    """

    work: Callable[[MemoryBackend, int, int], int]
    check: Callable[[MemoryBackend, int], None]


def store_old(backend: MemoryBackend) -> None:
    """Store the messages that the writers edit and delete, one for each round."""
    for n in range(ROUNDS):
        append_texts(backend, "old", id=f"old {n}")


def in_rounds(backend: MemoryBackend, scenario: Scenario, writer: int, barrier: Any) -> int:
    """Do a writer's part, each round at the same moment as the others; return the sum of what it was told."""
    done = 0
    try:
        for n in range(ROUNDS):
            barrier.wait(30)
            done += scenario.work(backend, writer, n)
    except BaseException:
        barrier.abort()
        raise
    return done


def _one(n: int) -> MessageQuery:
    return MessageQuery(owner=ANN, ids=(f"old {n}",))


def _appended() -> list[str]:
    return [f"{writer} {n}" for writer in range(1, WRITERS) for n in range(ROUNDS)]


def _delete_beside_appends(backend: MemoryBackend, writer: int, n: int) -> int:
    if writer == 0:
        return backend.delete_messages(_one(n))
    append_texts(backend, f"{writer} {n}")
    return 0


def _deleted_beside_appends(backend: MemoryBackend, told: int) -> None:
    assert sorted(fetch_texts(backend)) == sorted(_appended()), "an acknowledged message vanished with a deletion"
    assert told == ROUNDS


def _edit_beside_appends(backend: MemoryBackend, writer: int, n: int) -> int:
    if writer == 0:
        return len(backend.update_messages(_one(n), MessageChanges(text=f"new {n}")))
    append_texts(backend, f"{writer} {n}")
    return 0


def _edited_beside_appends(backend: MemoryBackend, told: int) -> None:
    expected = [*_appended(), *(f"new {n}" for n in range(ROUNDS))]
    assert sorted(fetch_texts(backend)) == sorted(expected), "an acknowledged message vanished with an edit"
    assert told == ROUNDS


def _edit_beside_edits(backend: MemoryBackend, writer: int, n: int) -> int:
    changes: dict[str, Any] = {_FIELDS[writer]: f"new {n}"}
    return len(backend.update_messages(_one(n), MessageChanges(**changes)))


def _edited_beside_edits(backend: MemoryBackend, told: int) -> None:
    for n, message in enumerate(backend.fetch_messages(MessageQuery(owner=ANN))):
        found = [getattr(message, name) for name in _FIELDS]
        assert found == [f"new {n}"] * WRITERS, "an edit was undone by another"
    assert told == ROUNDS * WRITERS


def _delete_beside_edits(backend: MemoryBackend, writer: int, n: int) -> int:
    if writer == 0:
        return backend.delete_messages(_one(n))
    backend.update_messages(MessageQuery(owner=ANN), MessageChanges(text=f"{writer} {n}"))
    return 0


def _deleted_beside_edits(backend: MemoryBackend, told: int) -> None:
    assert fetch_texts(backend) == [], "a deleted message came back with an edit"
    assert told == ROUNDS


def _delete_beside_deletions(backend: MemoryBackend, writer: int, n: int) -> int:
    return backend.delete_messages(_one(n))


def _deleted_beside_deletions(backend: MemoryBackend, told: int) -> None:
    assert fetch_texts(backend) == []
    assert told == ROUNDS, "a deletion was counted twice"


SCENARIOS: Final[dict[str, Scenario]] = {
    "deletions beside appends": Scenario(_delete_beside_appends, _deleted_beside_appends),
    "edits beside appends": Scenario(_edit_beside_appends, _edited_beside_appends),
    "edits beside edits": Scenario(_edit_beside_edits, _edited_beside_edits),
    "deletions beside edits": Scenario(_delete_beside_edits, _deleted_beside_edits),
    "deletions beside deletions": Scenario(_delete_beside_deletions, _deleted_beside_deletions),
}
