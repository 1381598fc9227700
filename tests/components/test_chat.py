"""Chat Input and Chat Output: what is stored, what is answered, which row a reply takes."""

from __future__ import annotations

import pytest
from flowrunner_components import ChatInput, ChatOutput, MessageHistory, TextInput
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import BadRequest, Message, make_properties
from tests.components.context import FLOW, RUN, ListMemory, from_vertex, make_context, run


def say(memory, text="hello", **more):
    context = make_context(memory, vertex_id="ChatInput-a", **more.pop("context", {}))
    return run(ChatInput(), context, input_value=text, **more)["message"], context


def answer(memory, value, source=("Prompt-p", "Prompt Template"), *, flow_values=None, session="s1", **settings):
    sources = from_vertex(*source) if source else {}
    context = make_context(
        memory, vertex_id="ChatOutput-b", session=session, sources=sources, flow_values=flow_values or {}
    )
    return run(ChatOutput(), context, input_value=value, **settings)["message"]


def test_a_chat_input_stores_what_the_user_says():
    memory = ListMemory()
    message, _ = say(memory)
    assert memory.rows == [message]
    assert (message.text, message.sender, message.sender_name) == ("hello", "User", "User")
    assert (message.session_id, message.flow_id, message.run_id, message.context_id) == ("s1", FLOW, RUN, "")
    assert message.id and message.session_metadata == {"graph_run_id": RUN}
    assert message.properties == make_properties()


def test_a_chat_output_answers_as_the_machine_and_names_where_it_comes_from():
    memory = ListMemory()
    message = answer(memory, Message(text="hi"))
    assert memory.rows == [message]
    assert (message.text, message.sender, message.sender_name, message.context_id) == ("hi", "Machine", "AI", "")
    assert message.properties["source"] == {
        "id": "Prompt-p",
        "display_name": "Prompt Template",
        "source": "Prompt Template",
    }


@pytest.mark.parametrize("component", [ChatInput(), ChatOutput()])
def test_an_unstored_message_has_no_id(component):
    memory = ListMemory()
    for off in ("should_store_message", "store_message"):
        message = run(component, make_context(memory), input_value="x", **{off: False})["message"]
        assert (message.id, message.run_id, message.session_metadata) == (None, None, None)
        assert (message.session_id, message.flow_id) == ("s1", FLOW)
    assert memory.rows == []
    assert component.stores_messages_with({"should_store_message": False}) is False
    assert component.stores_messages_with({}) is True


@given(st.text())
def test_any_text_comes_back_unchanged(text):
    memory = ListMemory()
    message, context = say(memory, text)
    reply = answer(memory, message, ("ChatInput-a", "Chat Input"), flow_values=context.flow_values)
    assert [row.text for row in memory.rows] == [text, text]
    assert reply.text == text


def test_a_reply_to_the_users_own_turn_makes_a_row_of_its_own():
    memory = ListMemory()
    message, context = say(memory, files=[f"{FLOW}/note.txt"], text_color="green")
    reply = answer(memory, message, ("ChatInput-a", "Chat Input"), flow_values=context.flow_values)
    assert [row.sender for row in memory.rows] == ["User", "Machine"]
    assert reply.id != message.id
    assert reply.files == () and reply.properties["text_color"] is None
    assert memory.rows[0].files == (f"{FLOW}/note.txt",)


def test_a_turn_under_the_machines_name_is_not_overwritten_either():
    memory = ListMemory()
    message, context = say(memory, sender="Machine")
    answer(memory, message, ("ChatInput-a", "Chat Input"), flow_values=context.flow_values, sender_name="Bot")
    assert [(row.sender, row.sender_name) for row in memory.rows] == [("Machine", "User"), ("Machine", "Bot")]


def stored_by_history(memory, value, context, **settings):
    there = make_context(memory, vertex_id="Memory-s", flow_values=context.flow_values, session=context.session_id)
    return run(MessageHistory(), there, mode="Store", message=value, **settings)["stored_messages"]


def test_a_turn_stored_again_by_a_history_stays_the_users():
    memory = ListMemory()
    message, context = say(memory)
    kept = stored_by_history(memory, message, context)
    reply = answer(memory, kept, ("Memory-s", "Message History"), flow_values=context.flow_values)
    assert [row.sender for row in memory.rows] == ["User", "Machine"]
    assert reply.properties["source"]["id"] == "Memory-s"


def test_a_reply_takes_over_the_row_that_a_history_stored():
    memory = ListMemory()
    context = make_context(memory)
    note = run(TextInput(), context, input_value="note")["text"]
    kept = stored_by_history(memory, note, context, sender="Machine", sender_name="Bot")
    assert memory.rows[0].sender_name == "Bot"
    reply = answer(memory, kept, ("Memory-s", "Message History"), flow_values=context.flow_values)
    assert memory.rows == [reply]
    assert (reply.id, reply.sender_name, reply.timestamp) == (kept.id, "AI", kept.timestamp)


@pytest.mark.parametrize("other", [{"session_id": "elsewhere"}, {"run_id": "33333333-3333-4333-8333-333333333333"}])
def test_a_row_of_another_session_or_run_stays_where_it_is(other):
    memory = ListMemory()
    kept = memory.append(Message(text="x", sender="Machine", sender_name="Bot", session_id="s1"))
    memory.rows[0] = kept.replace(**other)
    reply = answer(memory, memory.rows[0], ("Memory-s", "Message History"))
    assert len(memory.rows) == 2 and reply.id != kept.id
    assert memory.rows[0].sender_name == "Bot"


def test_a_models_reply_keeps_its_name_usage_and_blocks():
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    block = {"title": "Steps", "contents": []}
    said = Message(
        text="hi",
        duration=1.5,
        content_blocks=(block,),
        properties=make_properties(
            state="partial", usage=usage, source={"id": None, "display_name": None, "source": "gpt-x"}
        ),
    )
    reply = answer(ListMemory(), said, ("Model-m", "Language Model"))
    assert reply.properties["source"] == {"id": "Model-m", "display_name": "Language Model", "source": "gpt-x"}
    assert reply.properties["usage"] == usage and reply.properties["state"] == "complete"
    assert reply.content_blocks == (block,) and reply.duration == 1.5


def test_a_name_that_another_vertex_set_is_not_the_sources():
    said = Message(
        text="hi", properties=make_properties(source={"id": "Model-m", "display_name": "M", "source": "gpt-x"})
    )
    reply = answer(ListMemory(), said, ("Router-r", "If-Else"))
    assert reply.properties["source"]["source"] == "If-Else"


def test_without_an_edge_the_source_is_empty():
    reply = answer(ListMemory(), "fixed", None)
    assert reply.properties["source"] == {"id": None, "display_name": None, "source": None}


@pytest.mark.parametrize(
    ("value", "settings", "text"),
    [
        ({"a": 1, "text": "hi"}, {}, '```json\n{\n  "a": 1,\n  "text": "hi"\n}\n```'),
        ({}, {}, "```json\n{}\n```"),
        ({"n": "Jo", "é": {"x": [1]}}, {"data_template": "{n} {é[x][0]} {none}!"}, "Jo 1 !"),
        ({"n": "Jo"}, {"record_template": "<{n}>"}, "<Jo>"),
        ([{"a": 1, "b": "x|y"}, {"a": 2}], {}, "| a | b |\n| ---: | :--- |\n| 1 | x\\|y |\n| 2 |  |"),
        ([{"a": ""}, {"a": "x"}], {}, "| a |\n| :--- |\n| x |"),
        ([{"a": ""}, {"a": "x"}], {"clean_data": False}, "| a |\n| :--- |\n|  |\n| x |"),
        ([Message(text="one"), "two", {"a": 1}], {}, 'one\ntwo\n```json\n{\n  "a": 1\n}\n```'),
        ([], {}, ""),
    ],
)
def test_objects_and_tables_are_written_out(value, settings, text):
    assert answer(ListMemory(), value, **settings).text == text


def test_a_blank_sender_is_the_default():
    assert answer(ListMemory(), "x", sender="", sender_name="").sender_name == "AI"
    message, _ = say(ListMemory(), sender="AI", sender_name="")
    assert (message.sender, message.sender_name) == ("Machine", "User")


def test_the_looks_of_older_flows_are_kept():
    looks = {"text_color": "red", "background_color": "blue", "chat_icon": "bot"}
    message, _ = say(ListMemory(), **looks)
    reply = answer(ListMemory(), "x", **looks)
    for one in (message, reply):
        found = one.properties
        assert (found["text_color"], found["background_color"], found["icon"]) == ("red", "blue", "bot")


def test_a_context_id_stands_on_the_message():
    assert say(ListMemory(), context_id="c")[0].context_id == "c"
    assert answer(ListMemory(), "x", context_id="c").context_id == "c"


@pytest.mark.parametrize("files", ["nope/none.txt", ["../../etc/passwd"], [{"path": "/etc/passwd"}]])
def test_a_file_that_is_not_the_owners_is_refused_and_nothing_is_stored(files):
    memory = ListMemory()
    with pytest.raises(BadRequest):
        say(memory, files=files)
    assert memory.rows == []


def test_files_are_names():
    assert say(ListMemory(), files=["", None])[0].files == ()
    assert say(ListMemory(), files=[{"path": f"{FLOW}/note.txt"}])[0].files == (f"{FLOW}/note.txt",)
    with pytest.raises(BadRequest, match="files contains a int"):
        say(ListMemory(), files=[3])
