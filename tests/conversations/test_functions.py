"""``flowrunner.memory.conversations``: what it reads and writes, on every backend."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from flowrunner import Message, MessageInvalid, NotAllowed, NotFound, error_message, utc_now
from flowrunner.memory.conversations import (
    aadd_messages,
    add_messages,
    adelete_message,
    adelete_messages,
    aget_messages,
    astore_message,
    aupdate_messages,
    delete_message,
    delete_messages,
    get_messages,
    store_message,
    update_messages,
    use_memory,
)

NOW = utc_now()


def said(text, session_id="s1", **fields):
    fields = {"sender": "User", "sender_name": "User", **fields}
    return Message(text=text, session_id=session_id, **fields)


def texts(found):
    return [message.text for message in found]


@pytest.fixture
def talk(memory):
    """A conversation of four messages, with a failure in it, and another one."""
    add_messages(
        [
            said("b", timestamp=NOW, flow_id="f1"),
            said("a", sender="Machine", sender_name="AI", timestamp=NOW + timedelta(seconds=1), flow_id="f1"),
            error_message(
                vertex_id="v", component="Model", kind="ValueError", reason="no", session_id="s1", flow_id="f1"
            ),
            said("d", context_id="c1", flow_id="f2"),
            said("c", sender="Machine", sender_name="AI", context_id="c1", flow_id="f2"),
            said("other", session_id="s2", context_id="c1"),
        ],
        memory=memory,
    )
    return memory


def test_the_newest_comes_first_and_failures_are_left_out(talk):
    assert texts(get_messages(memory=talk)) == ["other", "c", "d", "a", "b"]
    assert texts(get_messages(session_id="s1", memory=talk)) == ["c", "d", "a", "b"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"sender": "Machine"}, "ca"),
        ({"sender_name": "User", "session_id": "s1"}, "db"),
        ({"context_id": "c1", "session_id": "s1"}, "cd"),
        ({"flow_id": "f1"}, "ab"),
        ({"session_id": "s1", "limit": 2}, "cd"),
        ({"session_id": "s1", "limit": 2, "order": "ASC"}, "ba"),
        ({"session_id": "s1", "order": "asc"}, "badc"),
        ({"session_id": "s1", "order_by": None}, "badc"),
        ({"session_id": "s1", "order_by": "text"}, "dcba"),
        ({"session_id": "s1", "order_by": "text", "order": "ASC", "limit": 3}, "abc"),
        ({"session_id": "s1", "order_by": "sender", "order": "ASC"}, "acbd"),
        ({"session_id": "s1", "limit": 0}, ""),
        ({"session_id": "nobody's"}, ""),
        ({"session_id": "s1", "sender": "", "context_id": ""}, "cdab"),
    ],
)
def test_filters_order_and_limit(talk, filters, expected):
    assert "".join(texts(get_messages(memory=talk, **filters))) == expected


def test_the_parameters_come_in_the_order_that_langflow_gives_them(talk):
    assert texts(get_messages("User", "User", "s1", "c1", "timestamp", "DESC", "f2", 1, memory=talk)) == ["d"]


@pytest.mark.parametrize("wrong", [{"order_by": "id"}, {"order": "newest"}, {"limit": -1}])
def test_what_cannot_be_meant_is_refused(memory, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        get_messages(memory=memory, **wrong)


def test_a_limit_from_the_oldest_goes_through_all_pages(memory):
    add_messages([said(f"{n:04}") for n in range(1203)], memory=memory)
    assert texts(get_messages(order="ASC", limit=2, memory=memory)) == ["0000", "0001"]
    assert texts(get_messages(order="ASC", order_by="text", limit=3, memory=memory)) == ["0000", "0001", "0002"]
    assert texts(get_messages(order_by="text", limit=1, memory=memory)) == ["1202"]


def test_owners_do_not_see_each_other(store, talk):
    bob = store.for_owner("bob")
    assert get_messages(memory=bob) == []
    assert delete_messages(session_id="s1", memory=bob) == 0
    theirs = get_messages(limit=1, memory=talk)[0]
    assert delete_message(theirs.id, memory=bob) is False
    with pytest.raises(NotFound):
        update_messages(theirs, memory=bob)
    with pytest.raises(MessageInvalid):
        store_message(theirs.replace(text="mine now"), memory=bob)
    assert texts(get_messages(limit=1, memory=talk)) == ["other"]


def test_a_message_is_stored_once_and_changed_after_that(memory):
    (first,) = store_message(said("draft"), "f1", memory=memory)
    assert first.id and first.flow_id == "f1" and first.owner == "ann"
    (second,) = store_message(first.replace(text="final", sender_name="Ann", edit=True), memory=memory)
    assert (second.id, second.text, second.sender_name, second.edit) == (first.id, "final", "Ann", True)
    assert get_messages(memory=memory) == [second]


def test_a_message_with_an_id_of_its_own_is_stored_under_it(memory):
    (stored,) = store_message(said("new", id="8f2f1a52-8a4c-4a1a-9a5e-0c1fbb1f0001"), memory=memory)
    assert stored.id == "8f2f1a52-8a4c-4a1a-9a5e-0c1fbb1f0001"


@pytest.mark.parametrize("missing", ["session_id", "sender", "sender_name"])
def test_session_sender_and_name_are_wanted(memory, missing):
    incomplete = said("x", id="1").replace(**{missing: ""})
    for act in (store_message, add_messages, update_messages):
        with pytest.raises(MessageInvalid, match=missing):
            act(incomplete, memory=memory)
    assert get_messages(memory=memory) == []


def test_nothing_is_updated_if_one_is_not_there(talk):
    found = get_messages(session_id="s1", memory=talk)
    with pytest.raises(NotFound, match="Message with id nobody not found"):
        update_messages([found[0].replace(text="changed"), said("x", id="nobody")], memory=talk)
    assert texts(get_messages(session_id="s1", memory=talk)) == ["c", "d", "a", "b"]
    changed = update_messages([message.replace(text=message.text.upper()) for message in found[:2]], memory=talk)
    assert texts(changed) == ["C", "D"]
    assert texts(get_messages(session_id="s1", memory=talk)) == ["C", "D", "a", "b"]


def test_deleting_wants_a_name(talk):
    for nothing in ({}, {"session_id": ""}, {"session_id": None, "context_id": ""}):
        with pytest.raises(ValueError, match="session_id or context_id"):
            delete_messages(memory=talk, **nothing)
    assert delete_messages(context_id="c1", session_id="s2", memory=talk) == 1
    assert delete_messages(context_id="c1", memory=talk) == 2
    assert delete_messages("s1", memory=talk) == 3
    assert get_messages(memory=talk) == []


def test_one_message_is_deleted(talk):
    assert delete_message(get_messages(limit=1, memory=talk)[0].id, memory=talk) is True
    assert texts(get_messages(memory=talk)) == ["c", "d", "a", "b"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/srv/uploads/s1/pictures/cat.png", "s1/pictures/cat.png"),
        ("s1/cat.png", "s1/cat.png"),
        ("f1/cat.png", "f1/cat.png"),
        ("xs1/cat.png", "xs1/cat.png"),
        ("/srv/s1/s1/cat.png", "s1/s1/cat.png"),
        ("/srv/s1/", "/srv/s1/"),
    ],
)
def test_files_below_a_folder_of_the_session_lose_what_is_before_it(memory, given, kept):
    (stored,) = store_message(said("look", files=(given,)), memory=memory)
    assert stored.files == (kept,)
    assert get_messages(memory=memory)[0].files == (kept,)


def test_only_messages_are_taken(memory):
    with pytest.raises(TypeError, match="dict"):
        add_messages([{"text": "hello"}], memory=memory)


def test_every_function_has_a_twin_for_event_loops(memory):
    async def converse():
        with use_memory(memory):
            (first,) = await aadd_messages(said("one"), "f1")
            (second,) = await astore_message(said("two"))
            await aupdate_messages(second.replace(text="TWO"))
            assert texts(await aget_messages(order="ASC")) == ["one", "TWO"]
            assert await adelete_message(first.id) is True
            return await adelete_messages(session_id="s1")

    assert asyncio.run(converse()) == 1


def test_without_a_run_somebody_must_say_whose(memory):
    with pytest.raises(NotAllowed, match="memory="):
        get_messages()
    with use_memory(memory):
        store_message(said("hello"))
        assert texts(get_messages()) == ["hello"]
    with pytest.raises(NotAllowed):
        store_message(said("hello"))
