"""The LangChain history: both directions, in step with everything else that uses the conversation."""

from __future__ import annotations

import asyncio
import json

import pytest

langchain_core = pytest.importorskip("langchain_core")

from langchain_core.messages import (  # noqa: E402
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from flowrunner import Message, error_message  # noqa: E402
from flowrunner.integrations.langchain import ConversationHistory, from_langchain, to_langchain  # noqa: E402
from flowrunner.memory.conversations import add_messages, get_messages, update_messages, use_memory  # noqa: E402

PICTURE = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
CALL = {"name": "add", "args": {"a": 1, "b": [2, {"c": None}]}, "id": "call-1", "type": "tool_call"}

MESSAGES = {
    "a question": HumanMessage("hello"),
    "an answer": AIMessage("hi"),
    "instructions": SystemMessage("be kind"),
    "an answer with metadata": AIMessage(
        "hi",
        name="Marvin",
        response_metadata={"model": "m", "logprobs": [1.5]},
        usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    ),
    "a tool call": AIMessage("", tool_calls=[CALL]),
    "a broken tool call": AIMessage(
        "",
        invalid_tool_calls=[{"name": "add", "args": "{", "id": "1", "error": "no JSON", "type": "invalid_tool_call"}],
    ),
    "a tool's answer": ToolMessage("3", tool_call_id="call-1", artifact={"rows": [1]}, status="error"),
    "a picture": HumanMessage([{"type": "text", "text": "what is "}, PICTURE, {"type": "text", "text": "this?"}]),
    "only a picture": HumanMessage([PICTURE]),
    "plain parts": HumanMessage(["one ", "two"]),
    "thoughts": AIMessage([{"type": "thinking", "thinking": "hm", "signature": "x"}, {"type": "text", "text": "so"}]),
    "another role": ChatMessage("moo", role="cow"),
    "awkward text": HumanMessage("\0 🜁\u2028\n"),
}


@pytest.fixture
def history(memory):
    return ConversationHistory("s1", flow_id="f1", memory=memory)


def bare(message):
    """A message without its id, which storing gives it."""
    return message.model_copy(update={"id": None})


@pytest.mark.parametrize("given", MESSAGES.values(), ids=MESSAGES)
def test_a_message_comes_back_as_it_was(history, given):
    history.add_messages([given])
    (found,) = history.messages
    assert type(found) is type(given)
    assert bare(found) == given
    assert found.id


def test_others_see_texts_senders_calls_and_usage(history, memory):
    history.add_messages(list(MESSAGES.values())[:8])
    found = get_messages(order="ASC", memory=memory)
    assert [(m.sender, m.sender_name, m.text) for m in found] == [
        ("User", "User", "hello"),
        ("Machine", "AI", "hi"),
        ("System", "System", "be kind"),
        ("Machine", "Marvin", "hi"),
        ("Machine", "AI", ""),
        ("Machine", "AI", ""),
        ("Tool", "Tool", "3"),
        ("User", "User", "what is this?"),
    ]
    assert {m.flow_id for m in found} == {"f1"}
    assert found[3].properties["usage"] == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    (entry,) = found[4].content_blocks[0]["contents"]
    assert (entry["type"], entry["name"], entry["tool_input"]) == ("tool_use", "add", CALL["args"])
    assert "langchain" not in found[0].properties
    json.dumps([m.to_record() for m in found])


def test_what_flows_said_is_read_as_questions_and_answers(history, memory):
    add_messages(
        [
            Message(text="q", session_id="s1", sender="User", sender_name="Ann"),
            error_message(vertex_id="v", component="Model", kind="E", reason="no", session_id="s1"),
            Message(text="a", session_id="s1", sender="Machine", sender_name="AI"),
            Message(text="other", session_id="s2", sender="Machine", sender_name="AI"),
        ],
        memory=memory,
    )
    assert [bare(m) for m in history.messages] == [HumanMessage("q"), AIMessage("a")]


def test_a_question_and_its_answer_are_stored_together(memory):
    calls = []

    class Counting:
        def __getattr__(self, name):
            def call(*args):
                calls.append(name)
                return getattr(memory._operations, name)(*args)

            return call

    counted = type(memory)(Counting(), "ann")
    ConversationHistory("s1", memory=counted).add_messages([HumanMessage("q"), AIMessage("a")])
    assert calls == ["append_messages"]


def test_what_was_read_or_stored_before_is_not_stored_again(history, memory):
    history.add_messages([HumanMessage("q"), AIMessage("a", id="run--1")])
    add_messages(Message(text="x", session_id="s1", sender="User", sender_name="Ann"), memory=memory)
    first = history.messages
    history.add_messages([*first, AIMessage("a", id="run--1"), HumanMessage("more")])
    assert [m.content for m in history.messages] == ["q", "a", "x", "more"]
    assert [m.sender_name for m in get_messages(memory=memory, order="ASC")] == ["User", "AI", "Ann", "User"]
    history.add_messages([first[1].model_copy(update={"content": "better"})])
    assert [m.content for m in history.messages] == ["q", "better", "x", "more"]


def test_two_owners_may_use_one_id_of_langchains(store):
    for owner in ("ann", "bob"):
        ConversationHistory("s1", memory=store.for_owner(owner)).add_messages([AIMessage(owner, id="1")])
    assert [m.content for m in ConversationHistory("s1", memory=store.for_owner("bob")).messages] == ["bob"]


def test_a_text_that_was_edited_is_the_one_that_counts(history, memory):
    history.add_messages([MESSAGES["a picture"], MESSAGES["an answer with metadata"]])
    update_messages([m.replace(text="edited", edit=True) for m in get_messages(memory=memory)], memory=memory)
    picture, answer = history.messages
    assert picture.content == [{"type": "text", "text": "edited"}, PICTURE]
    assert answer.content == "edited"
    assert answer.response_metadata == {"model": "m", "logprobs": [1.5]}


@pytest.mark.parametrize(
    "spoilt",
    [
        5,
        {},
        {"type": "ai"},
        {"type": "constructor", "data": {"lc": 1}},
        {"type": "tool", "data": {}},
        {"type": "ai", "data": {"tool_calls": "x"}},
    ],
)
def test_properties_that_somebody_spoilt_leave_the_text(spoilt):
    message = Message(text="hi", sender="Machine", id="1", properties={"langchain": spoilt})
    assert bare(to_langchain(message)) == AIMessage("hi")


def test_chunks_become_whole_messages():
    stored = from_langchain(AIMessageChunk("par") + AIMessageChunk("tial"), "s1")
    assert bare(to_langchain(stored)) == AIMessage("partial")


def test_uploads_are_named_or_read():
    message = Message(text="look", sender="User", files=("f1/cat.png", "f1/notes.unheard-of"), id="1")
    assert to_langchain(message).additional_kwargs == {"files": ["f1/cat.png", "f1/notes.unheard-of"]}
    read = to_langchain(message, read_file=lambda name: name.encode())
    assert read.content[0] == {"type": "text", "text": "look"}
    assert [(part["type"], part["mime_type"]) for part in read.content[1:]] == [
        ("image", "image/png"),
        ("file", "application/octet-stream"),
    ]
    assert from_langchain(to_langchain(message), "s1").files == message.files


def test_contexts_are_kept_apart(memory):
    whole = ConversationHistory("s1", memory=memory)
    part = ConversationHistory("s1", context_id="c1", memory=memory)
    whole.add_messages([HumanMessage("all")])
    part.add_messages([HumanMessage("part")])
    assert [m.content for m in part.messages] == ["part"]
    assert [m.content for m in whole.messages] == ["all", "part"]
    part.clear()
    assert [m.content for m in whole.messages] == ["all"]
    whole.clear()
    assert whole.messages == []


def test_in_an_event_loop_and_in_the_name_of_whoever_runs(memory):
    async def converse():
        history = ConversationHistory("s1")
        await history.aadd_messages([HumanMessage("q"), AIMessage("a")])
        found = [m.content for m in await history.aget_messages()]
        await history.aclear()
        return found, await history.aget_messages()

    with use_memory(memory):
        assert asyncio.run(converse()) == (["q", "a"], [])


def test_a_session_must_be_named(memory):
    with pytest.raises(ValueError, match="session_id"):
        ConversationHistory("", memory=memory)


def texts(history):
    return [message.content for message in history.messages]


def test_a_message_is_removed_as_langgraph_does_it(history, memory):
    history.add_messages([HumanMessage("one", id="a"), AIMessage("two", id="b"), HumanMessage("three")])
    history.add_messages([RemoveMessage("a"), AIMessage("four", id="d")])
    assert texts(history) == ["two", "three", "four"]
    # By the id under which it was read, too; what the same call brought is not stored first.
    history.add_messages([RemoveMessage(history.messages[0].id), HumanMessage("five", id="e"), RemoveMessage("e")])
    assert texts(history) == ["three", "four"]
    assert len(memory.fetch(session_id="s1")) == 2
    history.add_messages([HumanMessage("gone"), RemoveMessage("__remove_all__"), HumanMessage("new")])
    assert texts(history) == ["new"]


def test_a_message_that_is_not_there_cannot_be_removed(history):
    history.add_messages([HumanMessage("one", id="a")])
    with pytest.raises(ValueError, match="not in this conversation"):
        history.add_messages([AIMessage("two"), RemoveMessage("a"), RemoveMessage("nobody")])
    assert texts(history) == ["one"]
    with pytest.raises(ValueError, match="cannot be stored as a message"):
        from_langchain(RemoveMessage("a"), "s1")


def test_histories_are_made_by_name_where_nothing_is_under_way(memory):
    make = ConversationHistory.factory(memory, flow_id="f1")
    make("s1").add_messages([HumanMessage("one")])
    make(session_id="s1", flow_id="f2", context_id="c").add_messages([HumanMessage("two")])
    assert [(m.flow_id, m.context_id, m.text) for m in memory.fetch(session_id="s1")] == [
        ("f1", "", "one"),
        ("f2", "c", "two"),
    ]
