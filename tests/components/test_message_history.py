"""Message History and Message Store: which messages are read, and which rows are written."""

from __future__ import annotations

import pytest
from flowrunner_components import ChatInput, MessageHistory, StoreMessage

from flowrunner import Message
from tests.components.context import FLOW, ListMemory, from_vertex, make_context, run

EARLIER = "99999999-9999-4999-8999-999999999999"


def filled():
    """Return a memory with four turns of an earlier run: two of the user, two of the machine."""
    memory = ListMemory(EARLIER)
    for number, (sender, name) in enumerate([("User", "Ann"), ("Machine", "AI")] * 2, start=1):
        context_id = "c" if number > 2 else ""
        memory.append(
            Message(text=f"m{number}", sender=sender, sender_name=name, session_id="s1", context_id=context_id)
        )
    memory.run_id = make_context().run_id
    return memory


def read(memory, **settings):
    return run(MessageHistory(), make_context(memory), **settings)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "Ann: m1\nAI: m2\nAnn: m3\nAI: m4"),
        ({"n_messages": 3}, "Ann: m3\nAI: m4"),
        ({"n_messages": 4}, "Ann: m1\nAI: m2\nAnn: m3\nAI: m4"),
        ({"n_messages": 1}, "AI: m4"),
        ({"n_messages": 1, "sender_type": "Machine"}, "AI: m4"),
        ({"n_messages": 3, "order": "Descending"}, "AI: m4\nAnn: m3"),
        ({"n_messages": 0}, ""),
        ({"n_messages": -1}, ""),
        ({"n_messages": "2"}, "Ann: m3\nAI: m4"),
        ({"order": "Descending", "n_messages": 2}, "AI: m4\nAnn: m3"),
        ({"sender_type": "User"}, "Ann: m1\nAnn: m3"),
        ({"sender_type": "Machine"}, "AI: m2\nAI: m4"),
        ({"sender_type": "User", "n_messages": 1}, "Ann: m3"),
        ({"sender": "Machine and User"}, "Ann: m1\nAI: m2\nAnn: m3\nAI: m4"),
        ({"sender": "Machine"}, "AI: m2\nAI: m4"),
        ({"sender_type": "", "mode": "", "order": ""}, "Ann: m1\nAI: m2\nAnn: m3\nAI: m4"),
        ({"sender_name": "Ann"}, "Ann: m1\nAnn: m3"),
        ({"context_id": "c"}, "Ann: m3\nAI: m4"),
        ({"template": "{sender}|{session_id}|{text}", "n_messages": 1}, "Machine|s1|m4"),
        ({"template": "{{{text}}} { x: 1 }", "n_messages": 1}, "{m4} { x: 1 }"),
        ({"record_template": "{text}", "n_messages": 1}, "m4"),
        ({"template": "{files} {error}", "n_messages": 1}, "[] false"),
    ],
)
def test_what_is_read(settings, text):
    found = read(filled(), **settings)
    assert found["messages_text"].text == text
    assert "stored_messages" not in found


def test_the_rows_are_a_table_without_their_owner():
    rows = read(filled(), n_messages=1)["dataframe"]
    assert len(rows) == 1
    assert rows[0]["text"] == "m4" and rows[0]["sender"] == "Machine" and rows[0]["flow_id"] == FLOW
    assert "owner" not in rows[0]


def test_a_template_is_no_way_into_python():
    for template in ("{text.__class__}", "{text[0]}", "{text!r}", "{text:>9}"):
        assert read(filled(), n_messages=1, template=template)["messages_text"].text == template


def test_a_field_that_no_message_has_is_named():
    with pytest.raises(ValueError, match="uses colour, which is not a field"):
        read(filled(), template="{colour}")


@pytest.mark.parametrize("settings", [{"mode": "Forget"}, {"order": "Sideways"}])
def test_unknown_choices_are_refused(settings):
    with pytest.raises(ValueError, match="must be"):
        read(filled(), **settings)


def test_other_sessions_are_not_read():
    found = run(MessageHistory(), make_context(filled(), session="s2"))
    assert found["messages_text"].text == "" and found["dataframe"] == []


@pytest.mark.parametrize("component", [MessageHistory(), StoreMessage()])
def test_a_text_is_stored_as_the_machines_if_nobody_says_otherwise(component):
    memory = ListMemory()
    stored = run(component, make_context(memory), mode="Store", message="note")["stored_messages"]
    assert memory.rows == [stored]
    assert (stored.text, stored.sender, stored.sender_name, stored.session_id) == ("note", "Machine", "AI", "s1")


@pytest.mark.parametrize("component", [MessageHistory(), StoreMessage()])
def test_settings_say_who_it_is_from(component):
    memory = ListMemory()
    message = Message(text="note", sender="User", sender_name="Ann")
    run(component, make_context(memory), mode="Store", message=message)
    run(component, make_context(memory), mode="Store", message=message, sender="Machine", sender_name="Bot")
    assert [(row.sender, row.sender_name) for row in memory.rows] == [("User", "Ann"), ("Machine", "Bot")]


def test_a_turn_of_this_run_gets_no_second_row():
    memory = ListMemory()
    context = make_context(memory)
    message = run(ChatInput(), context, input_value="hello")["message"]
    assert run(MessageHistory(), context, mode="Store", message=message)["stored_messages"] == message
    changed = run(MessageHistory(), context, mode="Store", message=message, sender_name="Ann", context_id="c")
    assert memory.rows == [changed["stored_messages"]]
    assert (memory.rows[0].sender_name, memory.rows[0].context_id) == ("Ann", "c")


def test_a_turn_is_copied_into_another_session_not_moved():
    memory = ListMemory()
    message = run(ChatInput(), make_context(memory), input_value="hello")["message"]
    run(MessageHistory(), make_context(memory, session="s2"), mode="Store", message=message)
    assert [(row.session_id, row.text) for row in memory.rows] == [("s1", "hello"), ("s2", "hello")]
    assert len({row.id for row in memory.rows}) == 2


def test_where_nothing_is_connected_nothing_is_stored_but_an_empty_turn_is():
    memory = ListMemory()
    assert run(MessageHistory(), make_context(memory), mode="Store") == {}
    assert memory.rows == []
    context = make_context(memory, sources=from_vertex("TextInput-t", "Text Input", "message"))
    run(MessageHistory(), context, mode="Store", message="")
    assert [row.text for row in memory.rows] == [""]


@pytest.mark.parametrize("component", [MessageHistory(), StoreMessage()])
def test_an_external_memory_takes_the_place_of_the_runs_own(component):
    own, external = ListMemory(), ListMemory()
    run(component, make_context(own), mode="Store", message="note", memory=external)
    assert own.rows == [] and [row.text for row in external.rows] == ["note"]
    with pytest.raises(ValueError, match="cannot store messages"):
        run(component, make_context(own), mode="Store", message="note", memory=object())


def test_an_external_memory_is_read():
    assert run(MessageHistory(), make_context(ListMemory()), memory=filled(), n_messages=1)["messages_text"].text == (
        "AI: m4"
    )


def test_what_a_mode_does_is_known_without_running():
    component = MessageHistory()
    for settings in ({}, {"mode": "Retrieve"}):
        assert component.reads_history_with(settings) and not component.stores_messages_with(settings)
        assert [o.name for o in component.outputs_for(settings)] == ["messages_text", "dataframe"]
    settings = {"mode": "Store"}
    assert component.stores_messages_with(settings) and not component.reads_history_with(settings)
    assert [o.name for o in component.outputs_for(settings)] == ["stored_messages"]
