"""What a process had acknowledged when it was killed, which the store must still hold."""

from __future__ import annotations

from collections import Counter

from flowrunner.memory import MemoryBackend
from flowrunner.memory.message import Message
from flowrunner.memory.query import MessageQuery, SessionQuery
from flowrunner.testing.memory.samples import ANN


class Record:
    """The lines of processes that wrote until they were killed; see ``worker.write_until_killed``.

    A batch has a number, which is the run id of its three messages.
    """

    def __init__(self) -> None:
        self.appended: set[int] = set()
        #: Batches that were under way when their process died: there as a whole, or not at all.
        self.possible: set[int] = set()
        self.moved = -1
        self.edited: set[int] = set()
        self.deleted: set[int] = set()

    @property
    def next(self) -> int:
        """Where the next process begins: behind everything that may have been written."""
        return max(self.appended | self.possible, default=-1) + 1

    def take(self, line: str) -> None:
        """Take down what a process told."""
        word, _, number = line.strip().partition(" ")
        if word == "open":
            self.possible.add(self.next)
        elif word == "appended":
            self.appended.add(int(number))
            self.possible.add(int(number) + 1)
        elif word == "moved":
            self.moved = int(number)
        elif word == "edited":
            self.edited.add(int(number))
        elif word == "deleted":
            self.deleted.add(int(number))

    def check(self, backend: MemoryBackend) -> None:
        """Compare the store with what was acknowledged."""
        live, archive = (
            backend.fetch_messages(MessageQuery(owner=ANN, session_id=session)) for session in ("live", "archive")
        )
        self._check_batches([*live, *archive])
        for messages in (live, archive):
            order = [(_number(message), message.id) for message in messages]
            assert order == sorted(order), "the order is broken"
        # Batches 0 to 4 move together, 5 to 9 move together, and so on.
        blocks = [{_number(message) // 5 for message in messages} for messages in (live, archive)]
        assert not blocks[0] & blocks[1], "a move is half done"
        assert all(_number(message) > self.moved for message in live), "a move is undone"
        everything = backend.fetch_messages(MessageQuery(owner=ANN))
        assert Counter(message.id for message in everything if message.run_id) == Counter(
            message.id for message in (*live, *archive)
        ), "sessions and owner do not show the same messages"
        counts = {summary.session_id: summary.count for summary in backend.list_sessions(SessionQuery(owner=ANN))}
        assert counts.get("live", 0) == len(live), "the list of sessions is wrong"
        assert counts.get("archive", 0) == len(archive), "the list of sessions is wrong"

    def _check_batches(self, messages: list[Message]) -> None:
        names: dict[int, list[str | None]] = {}
        for message in messages:
            names.setdefault(_number(message), []).append(message.sender_name)
        for number, found in names.items():
            assert len(found) == 3, "a call is stored half or twice"
            assert len(set(found)) == 1, "an edit is half done"
            assert number not in self.edited or found[0] == f"edited {number}", "an edit is lost"
        assert names.keys() <= self.appended | self.possible, "there are messages that were never written"
        assert not self.deleted & names.keys(), "deleted messages are back"
        # A deletion may have been done and not told: that of the last batch before a kill.
        untold = {n for n in self.appended if n % 11 == 10 and n + 1 not in self.appended}
        assert self.appended - self.deleted - untold <= names.keys(), "acknowledged messages are lost"


def _number(message: Message) -> int:
    return int(message.run_id or -1)


def next_step(line: str) -> str:
    """Return what ``worker.write_until_killed`` does after it has told a line."""
    word, _, number = line.strip().partition(" ")
    n = int(number or 0)
    if word == "appended" and n % 5 == 4:
        return "move"
    if word in ("appended", "moved") and n % 7 == 6:
        return "edit"
    return "append" if n % 11 != 10 or word == "deleted" else "deletion"
