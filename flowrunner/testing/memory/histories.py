"""Random histories of operations, compared step by step with a plain list."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from flowrunner.errors import MessageInvalid
from flowrunner.memory import MemoryBackend
from flowrunner.memory.message import Message
from flowrunner.memory.query import EVERY_OWNER, MessageChanges, MessageQuery, SessionQuery
from flowrunner.testing.memory.model import ListModel
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import NOON, make_message

#: So many histories are tried; ``MEMORY_KIT_EXAMPLES`` asks for more, and for other ones each time.
EXAMPLES = 30

#: Text, flow, minute of the timestamp, and whether a user sends it.
Content = tuple[str, str | None, int, bool]


class HistoryTests(BackendTests):
    """After any operations in any order, the store and a plain list agree."""

    group = "random histories"
    mistakes: ClassVar[tuple[str, ...]] = (
        "Anything that only shows when two features are combined: a filter and a cursor, a merge and a window.",
    )
    #: Look for a shorter history that fails too.
    shortens: ClassVar[bool] = True
    #: Seconds that this may take.
    shortening: ClassVar[int] = 15

    def test_random_histories_agree_with_a_plain_list(
        self, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """**This docstring is the contract**; the kit in ``flowrunner.testing`` tests it, and nothing else defines
        it.
        """
        asked = os.environ.get("MEMORY_KIT_EXAMPLES")
        # Hypothesis has no setting for it, and takes five minutes by itself.
        monkeypatch.setattr(engine, "MAX_SHRINKING_SECONDS", self.shortening)
        run_state_machine_as_test(
            make_machine(backend),
            settings=settings(
                max_examples=int(asked or EXAMPLES),
                stateful_step_count=25,
                deadline=None,
                derandomize=asked is None,
                phases=[phase for phase in Phase if phase is not Phase.shrink or self.shortens],
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


def make_machine(backend: MemoryBackend) -> type[RuleBasedStateMachine]:
    """Return a machine that does the same to a backend and to a model, and compares."""
    owners = st.sampled_from(["ann", "bob"])
    reach = st.sampled_from(["ann", "ann", "bob", EVERY_OWNER])
    sessions = st.sampled_from(["s", "t", "u/\0 🜁"])
    flows = st.sampled_from([None, "f", "g"])
    texts = st.sampled_from(["", "apple", "Apple pie", "pear", "a p", "\0pear"])
    contents = st.lists(st.tuples(texts, flows, st.integers(0, 4), st.booleans()), min_size=1, max_size=4)
    windows: dict[str, Any] = {
        "limit": st.none() | st.integers(0, 4),
        "offset": st.sampled_from([0, 0, 0, 1, 3]),
    }
    queries: dict[str, Any] = {
        "owner": reach,
        "session_id": st.none() | sessions,
        "flow_id": st.none() | flows,
        "sender": st.sampled_from([None, None, "User", "Machine"]),
        "error": st.sampled_from([None, None, None, True, False]),
        "text": st.sampled_from([None, None, None, "apple", "P A", "pear"]),
        "since": st.none() | st.integers(0, 3).map(lambda n: NOON + timedelta(minutes=n)),
        **windows,
    }

    class Machine(RuleBasedStateMachine):
        @initialize(talks=st.lists(st.tuples(owners, sessions, contents), min_size=3, max_size=8))
        def begin(self, talks: list[tuple[str, str, list[Content]]]) -> None:
            backend.delete_messages(MessageQuery(owner=EVERY_OWNER))
            self.model = ListModel()
            for owner, session, rows in talks:
                self.append(owner, session, rows)

        @rule(owner=owners, session=sessions, rows=contents)
        def append(self, owner: str, session: str, rows: list[Content]) -> None:
            messages = [
                make_message(
                    text,
                    session,
                    owner,
                    flow_id=flow,
                    timestamp=NOON + timedelta(minutes=minute),
                    sender="User" if is_user else "Machine",
                    error=minute == 3,
                )
                for text, flow, minute, is_user in rows
            ]
            assert backend.append_messages(messages) == messages
            self.model.rows += messages

        @rule(owner=owners, session=sessions, which=st.integers(0, 9))
        def append_a_taken_id(self, owner: str, session: str, which: int) -> None:
            if self.model.rows:
                taken = self.model.rows[which % len(self.model.rows)].id
                messages = [make_message("new", session, owner), make_message("taken", session, owner, id=taken)]
                with pytest.raises(MessageInvalid):
                    backend.append_messages(messages)

        @rule(several=st.lists(st.fixed_dictionaries(queries), min_size=1, max_size=6))
        def fetch(self, several: list[dict[str, Any]]) -> None:
            for query in several:
                meant = MessageQuery(**query)
                assert backend.fetch_messages(meant) == self.model.fetch(meant)

        @rule(which=st.integers(0, 30), other=st.integers(0, 30), query=st.fixed_dictionaries(windows))
        def fetch_by_cursor(self, which: int, other: int, query: dict[str, Any]) -> None:
            if self.model.rows:
                before, after = (self.model.rows[n % len(self.model.rows)].id for n in (which, other))
                several: tuple[dict[str, Any], ...] = (
                    {"before": before},
                    {"after": after},
                    {"before": before, "after": after},
                )
                for cursors in several:
                    meant = MessageQuery(owner=EVERY_OWNER, **query, **cursors)
                    assert backend.fetch_messages(meant) == self.model.fetch(meant)

        @rule(which=st.lists(st.integers(0, 30), max_size=4))
        def fetch_by_id(self, which: list[int]) -> None:
            ids = tuple(self.model.rows[n].id or "" for n in which if n < len(self.model.rows))
            meant = MessageQuery(owner="ann", ids=ids)
            assert backend.fetch_messages(meant) == self.model.fetch(meant)

        @rule(query=st.fixed_dictionaries(queries), text=texts, move_to=st.none() | sessions)
        def update(self, query: dict[str, Any], text: str, move_to: str | None) -> None:
            meant, changes = MessageQuery(**query), MessageChanges(text=text, session_id=move_to)
            assert backend.update_messages(meant, changes) == self.model.update(meant, changes)

        @rule(owner=reach, here=sessions, there=sessions)
        def rename_or_merge(self, owner: Any, here: str, there: str) -> None:
            meant, changes = MessageQuery(owner=owner, session_id=here), MessageChanges(session_id=there)
            assert backend.update_messages(meant, changes) == self.model.update(meant, changes)

        @rule(query=st.fixed_dictionaries({**queries, "limit": st.integers(0, 3)}))
        def delete(self, query: dict[str, Any]) -> None:
            meant = MessageQuery(**query)
            assert backend.delete_messages(meant) == self.model.delete(meant)

        @rule(owner=reach, flow=flows, window=st.fixed_dictionaries(windows))
        def list_sessions(self, owner: Any, flow: str | None, window: dict[str, Any]) -> None:
            meant = SessionQuery(owner=owner, flow_id=flow, **window)
            assert backend.list_sessions(meant) == self.model.sessions(meant)

        def teardown(self) -> None:
            found: list[Message] = backend.fetch_messages(MessageQuery(owner=EVERY_OWNER))
            assert found == self.model.rows

    return Machine
