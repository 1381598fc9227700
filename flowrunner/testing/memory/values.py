"""Values that come back as they went in, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

import pytest

from flowrunner.errors import MessageInvalid
from flowrunner.memory import MemoryBackend
from flowrunner.memory.message import Message, make_properties, new_id
from flowrunner.memory.query import EVERY_OWNER, MessageChanges, MessageQuery, SessionQuery
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.promises import since
from flowrunner.testing.memory.samples import (
    ANN,
    AWKWARD_IDS,
    AWKWARD_JSON,
    AWKWARD_TEXTS,
    BOB,
    NOON,
    append_texts,
    fetch_texts,
    make_full_message,
    make_message,
)

MOMENTS = (
    NOON + timedelta(microseconds=1),
    datetime(1970, 1, 1, tzinfo=timezone.utc) - timedelta(microseconds=1),
    datetime(1, 1, 1, tzinfo=timezone.utc),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=timezone.utc),
    datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=-11, minutes=-30))),
)

#: Every way in which a message is handed out.
ANSWERS: dict[str, Callable[[MemoryBackend], list[Message]]] = {
    "fetched": lambda backend: backend.fetch_messages(MessageQuery(owner=ANN)),
    "fetched by id": lambda backend: backend.fetch_messages(MessageQuery(owner=ANN, ids=("m",))),
    "the session's newest": lambda backend: backend.fetch_messages(MessageQuery(owner=ANN, session_id="talk", limit=1)),
    "found by search": lambda backend: backend.fetch_messages(MessageQuery(owner=ANN, text="apple")),
    "of every owner": lambda backend: backend.fetch_messages(MessageQuery(owner=EVERY_OWNER)),
    "updated": lambda backend: backend.update_messages(MessageQuery(owner=ANN), MessageChanges(sender_name="AI")),
    "appended": lambda backend: backend.fetch_messages(MessageQuery(owner=ANN)),
}


def fetch_one(backend: MemoryBackend, message: Message) -> Message:
    """Return the stored form of a message."""
    (found,) = backend.fetch_messages(MessageQuery(owner=message.owner, ids=(message.id or "",)))
    return found


class ValueTests(BackendTests):
    """Every field comes back as it was, and belongs to the store alone."""

    group = "values"
    mistakes: ClassVar[tuple[str, ...]] = (
        "Texts truncated at NUL, ids truncated at 255 characters, stripped spaces.",
        "Timestamps stored to the millisecond, or without a time zone.",
        "Treating None and the empty text as the same.",
        "Storing the caller's objects, or returning the store's own.",
    )

    def test_every_field_comes_back(self, backend: MemoryBackend) -> None:
        """*Values* come back as they went in: texts character by character (NUL and control characters included), JSON
        values as JSON, timestamps to the microsecond."""
        message = make_full_message()
        backend.append_messages([message])
        assert fetch_one(backend, message) == message

    def test_defaults_and_nulls_come_back(self, backend: MemoryBackend) -> None:
        """*Values* come back as they went in: texts character by character (NUL and control characters included), JSON
        values as JSON, timestamps to the microsecond."""
        plain = make_message(context_id=None, properties={}, content_blocks=(), files=())
        empty = make_message("", context_id="", flow_id="", run_id="", session_metadata={}, duration=0.0)
        backend.append_messages([plain, empty])
        assert backend.fetch_messages(MessageQuery(owner=ANN)) == [plain, empty]

    def test_awkward_texts_come_back(self, backend: MemoryBackend) -> None:
        """*Values* come back as they went in: texts character by character (NUL and control characters included), JSON
        values as JSON, timestamps to the microsecond."""
        for name, text in AWKWARD_TEXTS.items():
            message = make_message(
                text, name, sender=text or "x", sender_name=text or "x", context_id=text, files=(text,)
            )
            backend.append_messages([message])
            assert fetch_one(backend, message) == message, name
            query = MessageQuery(owner=ANN, session_id=name)
            changed = backend.update_messages(query, MessageChanges(text=text + text))
            assert changed == backend.fetch_messages(query) == [message.replace(text=text + text)], name

    def test_awkward_session_ids_are_ids_like_any_other(self, backend: MemoryBackend) -> None:
        """A session id is any non-empty text of any length; ids of messages, owners and flows have at most 255
        characters."""
        for name, session in AWKWARD_IDS.items():
            append_texts(backend, "one", session_id=session, owner=name)
            append_texts(backend, "two", session_id=session + "'", owner=name)
            append_texts(backend, "three", session_id=session, owner=name)
            assert fetch_texts(backend, name, session_id=session) == ["one", "three"], name
            here, plain = (MessageQuery(owner=name, session_id=i) for i in (session, "plain"))
            assert backend.fetch_messages(here)[0].session_id == session, name
            backend.update_messages(here, MessageChanges(session_id="plain"))
            assert backend.fetch_messages(here) == [], name
            moved = backend.update_messages(plain, MessageChanges(session_id=session))
            assert [message.session_id for message in moved] == [session, session], name
            assert backend.delete_messages(here) == 2, name
            assert fetch_texts(backend, name) == ["two"], name

    def test_awkward_session_ids_are_all_different(self, backend: MemoryBackend) -> None:
        """A session id is any non-empty text of any length; ids of messages, owners and flows have at most 255
        characters."""
        for name, session in AWKWARD_IDS.items():
            append_texts(backend, name, session_id=session)
        for name, session in AWKWARD_IDS.items():
            assert fetch_texts(backend, session_id=session) == [name]

    def test_awkward_owners_and_ids_are_like_any_other(self, backend: MemoryBackend) -> None:
        """A session id is any non-empty text of any length; ids of messages, owners and flows have at most 255
        characters."""
        for name, text in AWKWARD_IDS.items():
            if len(text) > 255:
                continue
            message = make_message(id=text, owner=text, flow_id=text, run_id=text, session_id="talk")
            backend.append_messages([message])
            append_texts(backend, "other", owner=text + "'", flow_id=text + "'")
            assert backend.fetch_messages(MessageQuery(owner=text, ids=(text,))) == [message], name
            assert backend.fetch_messages(MessageQuery(owner=text, flow_id=text, run_id=text)) == [message], name
            assert backend.fetch_messages(MessageQuery(owner=EVERY_OWNER, flow_id=text)) == [message], name

    def test_the_longest_ids_fit(self, backend: MemoryBackend) -> None:
        """A session id is any non-empty text of any length; ids of messages, owners and flows have at most 255
        characters."""
        name = "🜁" * 255
        message = make_message(id=name, owner=name, flow_id=name, run_id=name, session_id=name * 9)
        backend.append_messages([message])
        assert backend.fetch_messages(MessageQuery(owner=name, flow_id=name, session_id=name * 9)) == [message]

    def test_json_comes_back_as_json(self, backend: MemoryBackend) -> None:
        """*Values* come back as they went in: texts character by character (NUL and control characters included), JSON
        values as JSON, timestamps to the microsecond."""
        block = {"title": "t", "contents": [{"type": "json", "data": AWKWARD_JSON}]}
        message = make_message(properties=AWKWARD_JSON, session_metadata=AWKWARD_JSON, content_blocks=(block,))
        backend.append_messages([message])
        found = fetch_one(backend, message)
        assert found == message
        # 1 == 1.0 == True for Python, but not for JSON.
        assert repr(found.properties) == repr(message.properties)

    def test_timestamps_come_back_to_the_microsecond_and_aware(self, backend: MemoryBackend) -> None:
        """*Values* come back as they went in: texts character by character (NUL and control characters included), JSON
        values as JSON, timestamps to the microsecond."""
        for moment in MOMENTS:
            message = make_message(timestamp=moment)
            backend.append_messages([message])
            found = fetch_one(backend, message).timestamp
            assert found == moment
            assert found.tzinfo is not None, moment

    def test_a_lone_surrogate_is_kept_or_refused_but_never_changed(self, backend: MemoryBackend) -> None:
        """Text that UTF-8 cannot encode (a lone surrogate) may be refused with :class:`~flowrunner.MessageInvalid`."""
        append_texts(backend, "before")
        for field in ("text", "session_id"):
            message = make_message(**{"text": "x", field: "half \ud800 a pair"})
            try:
                backend.append_messages([message])
            except MessageInvalid:
                assert fetch_texts(backend, ids=(message.id,)) == []
            else:
                assert fetch_one(backend, message) == message
        append_texts(backend, "after")
        assert fetch_texts(backend)[-1] == "after"

    def test_what_went_in_can_be_changed_by_its_holder(self, backend: MemoryBackend) -> None:
        """Changing an object that was passed in or returned has no effect on the store."""
        properties: dict[str, Any] = make_properties(targets=["a"])
        block: dict[str, Any] = {"title": "t", "contents": [{"type": "text", "text": "x"}]}
        message = make_message(properties=properties, content_blocks=(block,), session_metadata={"a": [1]})
        backend.append_messages([message])
        properties["targets"].append("b")
        properties["state"] = "spoilt"
        block["contents"].clear()
        found = fetch_one(backend, message)
        assert found.properties == make_properties(targets=["a"])
        assert found.content_blocks[0]["contents"] == [{"type": "text", "text": "x"}]

    def test_what_came_out_can_be_changed_by_its_holder(self, backend: MemoryBackend) -> None:
        """Changing an object that was passed in or returned has no effect on the store."""
        (message,) = backend.append_messages([make_full_message()])
        expected = make_full_message(id=message.id)
        changes = MessageChanges(sender_name="AI")
        for holder in (
            message,
            fetch_one(backend, message),
            backend.update_messages(MessageQuery(owner=ANN), changes)[0],
        ):
            for value in (holder.properties, holder.session_metadata, *holder.content_blocks):
                if isinstance(value, dict):
                    value.clear()
            assert fetch_one(backend, message) == expected

    def test_changes_can_be_changed_by_their_holder(self, backend: MemoryBackend) -> None:
        """Changing an object that was passed in or returned has no effect on the store."""
        append_texts(backend, "a")
        properties: dict[str, Any] = make_properties(targets=["a"])
        backend.update_messages(MessageQuery(owner=ANN), MessageChanges(properties=properties))
        properties["targets"].append("b")
        (found,) = backend.fetch_messages(MessageQuery(owner=ANN))
        assert found.properties == make_properties(targets=["a"])

    @since(2)
    @pytest.mark.parametrize("answer", ANSWERS)
    def test_an_answer_belongs_to_who_asked(self, backend: MemoryBackend, answer: str) -> None:
        """Changing an object that was passed in or returned has no effect on the store."""
        expected = make_full_message(id="m", text="apple")
        first = backend.append_messages([make_full_message(id="m", text="apple")])
        found = first if answer == "appended" else ANSWERS[answer](backend)
        assert found == [expected]
        for inner in (found[0].properties["targets"], found[0].content_blocks[0]["contents"][0]["tool_input"]):
            inner.clear()
        found[0].session_metadata["device"]["kind"] = "spoilt"  # type: ignore[index]
        found[0].properties.clear()  # type: ignore[attr-defined]
        found.clear()
        for again in ANSWERS.values():
            assert again(backend) == [expected]

    @since(2)
    def test_a_list_of_sessions_belongs_to_who_asked(self, backend: MemoryBackend) -> None:
        """Changing an object that was passed in or returned has no effect on the store."""
        append_texts(backend, "x", "y")
        for _ in range(2):
            found = backend.list_sessions(SessionQuery(owner=ANN))
            assert [summary.count for summary in found] == [2]
            found.clear()


class RefusalTests(BackendTests):
    """What cannot be stored leaves no trace."""

    group = "all or none"
    mistakes: ClassVar[tuple[str, ...]] = (
        "Storing a call message by message, so that a taken id leaves the first half stored.",
        "Checking ids only among the messages of one owner.",
        "A second ``close`` that fails.",
    )

    def test_an_id_that_is_taken_is_refused(self, backend: MemoryBackend) -> None:
        """appending an id that is taken (anywhere in the store, or twice in one call) raises
        :class:`~flowrunner.MessageInvalid`."""
        (stored,) = append_texts(backend, "first")
        for changed in (
            make_message("again", id=stored.id),
            make_message("again", id=stored.id, session_id="other"),
            make_message("again", id=stored.id, owner=BOB),
        ):
            with pytest.raises(MessageInvalid):
                backend.append_messages([changed])
        assert backend.fetch_messages(MessageQuery(owner=EVERY_OWNER)) == [stored]

    def test_a_refused_call_stores_nothing(self, backend: MemoryBackend) -> None:
        """``append_messages`` takes messages of one owner and one session, stores all or none, keeps their order, and
        returns them as stored."""
        (stored,) = append_texts(backend, "first")
        new = [make_message("a"), make_message("b")]
        for batch in ([*new, make_message(id=stored.id)], [make_message(id=stored.id), *new]):
            with pytest.raises(MessageInvalid):
                backend.append_messages(batch)
        assert fetch_texts(backend, EVERY_OWNER) == ["first"]
        backend.append_messages(new)
        assert fetch_texts(backend, EVERY_OWNER) == ["first", "a", "b"]

    def test_an_id_twice_in_one_call_is_refused(self, backend: MemoryBackend) -> None:
        """appending an id that is taken (anywhere in the store, or twice in one call) raises
        :class:`~flowrunner.MessageInvalid`."""
        name = new_id()
        with pytest.raises(MessageInvalid):
            backend.append_messages([make_message("a", id=name), make_message("b"), make_message("c", id=name)])
        assert fetch_texts(backend) == []
        append_texts(backend, "later", id=name)
        assert fetch_texts(backend) == ["later"]

    def test_a_refused_call_shows_in_no_list(self, backend: MemoryBackend) -> None:
        """A session without messages does not exist."""
        from flowrunner.testing.memory.listing import list_ids

        (stored,) = append_texts(backend, "first")
        with pytest.raises(MessageInvalid):
            backend.append_messages([make_message(session_id="new"), make_message(session_id="new", id=stored.id)])
        assert list_ids(backend) == ["talk"]

    def test_closing_twice_does_no_harm(self, backend: MemoryBackend) -> None:
        """``close`` releases everything and returns True; a second call does no harm."""
        append_texts(backend, "a")
        assert backend.close() is True
        assert backend.close() is True
