"""The components in real runs."""

from __future__ import annotations

import pytest

from flowrunner import BadRequest, ComponentFailed, Message


def chain(*, edges=(), **components):
    """Return a flow in the native form: components by name, as type or as type and settings."""
    entries = {
        name: {"type": entry} if isinstance(entry, str) else {"type": entry[0], "settings": entry[1]}
        for name, entry in components.items()
    }
    return {"name": "flow", "components": entries, "edges": list(edges)}


def shown(rows):
    return [(row.sender, row.sender_name, row.session_id, row.text) for row in rows]


def test_a_turn_is_stored_and_answered(house, flows):
    result = house.run(flows / "echo.json", "hello", session_id="s")
    assert result.text == "hello"
    assert shown(house.rows()) == [("User", "User", "s", "hello"), ("Machine", "AI", "s", "hello")]
    assert house.rows()[1].properties["source"]["id"] == "ChatInput-aaaaa"


@pytest.mark.parametrize("text", ["", "{history} {{x}} {0}", "a\0b\r\n\u202e😀", " x "])
def test_any_text_comes_back_through_a_prompt_too(house, flows, text):
    assert house.run(flows / "echo.json", text, session_id="s").text == text
    assert house.run(flows / "prompt.json", text, session_id="s").text == f"Q={text} T=calm."


def test_nothing_is_stored_where_it_should_not_be(house, flows):
    message = house.run(flows / "nostore.json", "x", session_id="s-n").reported[0].outputs["message"]
    assert (message.id, message.run_id, message.session_metadata) == (None, None, None)
    assert message.session_id == "s-n" and message.properties["source"]["source"] == "Chat Input"
    assert house.rows() == []
    tweaks = {name: {"should_store_message": False} for name in ("ChatInput-aaaaa", "ChatOutput-bbbbb")}
    house.run(flows / "echo.json", "q", session_id="s", tweaks=tweaks)
    assert house.rows() == []


def test_text_components_report_a_text(house, flows):
    message = house.run(flows / "text.json", "typed", input_type="text", session_id="s").reported[0].outputs["text"]
    assert (message.text, message.sender, message.session_id, message.run_id) == ("typed", None, "", None)
    assert house.run(flows / "text.json").text == "default text"
    assert house.rows() == []


def test_a_history_shows_earlier_turns_and_never_the_present_one(house, flows):
    texts = [house.run(flows / "memory.json", text, session_id="s-mo").text for text in ("one", "two", "three")]
    assert texts[0] == "H<> Q<one>"
    assert texts[1] == "H<User: one\nAI: H<> Q<one>> Q<two>"
    assert texts[2] == f"H<User: one\nAI: {texts[0]}\nUser: two\nAI: {texts[1]}> Q<three>"
    assert house.run(flows / "memory.json", "other", session_id="s-2").text == "H<> Q<other>"


def test_a_history_with_a_count_a_sender_or_a_context(house, flows):
    for text in ("one", "two"):
        house.run(flows / "mem_user.json", text, session_id="s")
    assert house.run(flows / "mem_user.json", "three", session_id="s").text == "H<User: one\nUser: two> Q<three>"
    for text in ("one", "two"):
        house.run(flows / "ctx.json", text, session_id="c")
    assert {row.context_id for row in house.rows(session_id="c")} == {"ctx-1"}
    assert house.run(flows / "ctx.json", "three", session_id="c").text.startswith("H<User: one\nAI: H<> Q<one>")


def test_what_a_user_says_is_not_stored_twice(house, flows):
    house.run(flows / "store.json", "one", session_id="s")
    assert shown(house.rows()) == [("User", "User", "s", "one"), ("Machine", "AI", "s", "one")]
    assert house.rows()[1].properties["source"]["id"] == "Memory-sssss"


@pytest.mark.parametrize(("payload", "session"), [("pay", "pay"), ("", "comp-store")])
def test_a_reply_takes_over_the_note_that_a_history_stored(house, flows, payload, session):
    result = house.run(flows / "store_sess.json", "x", session_id=payload)
    assert shown(house.rows()) == [("Machine", "AI", session, "note to store")]
    assert result.reported[0].outputs["message"].id == house.rows()[0].id


@pytest.mark.parametrize(
    ("text", "vertex", "answer"),
    [
        ("yes", "ChatOutput-true1", "TRUE:yes"),
        ("no", "ChatOutput-false", "FALSE:no"),
    ],
)
def test_only_the_branch_that_holds_runs(house, flows, text, vertex, answer):
    result = house.run(flows / "router.json", text, session_id="s-r")
    assert [v.vertex_id for v in result.reported] == [vertex]
    assert result.text == answer and len(house.rows()) == 2


@pytest.mark.parametrize(("text", "answer"), [("yes", "T!"), ("no", "F!")])
def test_both_branches_may_lead_to_one_answer(house, flows, text, answer):
    assert house.run(flows / "router2.json", text, session_id="s").text == answer


def test_two_inputs_are_combined(house, flows):
    assert house.run(flows / "twoin.json", "x", session_id="s").text == "x|x"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ('{"a": 1, "text": "hi"}', '```json\n{\n  "a": 1,\n  "text": "hi"\n}\n```'),
        ("plain text", '```json\n{\n  "payload": "plain text"\n}\n```'),
        (None, "```json\n{}\n```"),
    ],
)
def test_a_webhook_gives_its_body(house, flows, payload, text):
    assert house.run(flows / "webhook.json", "x", payload=payload).text == text


def test_a_tweaked_template_misses_its_new_variable(house, flows):
    tweaks = {"Prompt-ppppp": {"template": "N={question} {fresh}"}}
    with pytest.raises(ComponentFailed, match="Prompt Template.*fresh"):
        house.run(flows / "prompt.json", "q", session_id="s", tweaks=tweaks)


def test_a_number_for_a_variable_is_its_text(house, flows):
    tweaks = {"TextInput-ccccc": {"input_value": 5}, "Prompt-ppppp": {"tone": "the edge wins"}}
    assert house.run(flows / "prompt.json", "q", session_id="s", tweaks=tweaks).text == "Q=q T=5."


def test_a_file_that_is_not_the_owners_is_the_callers_mistake(house, flows):
    with pytest.raises(BadRequest):
        house.run(flows / "echo.json", "q", session_id="s", tweaks={"ChatInput-aaaaa": {"files": ["nope/none.txt"]}})
    assert house.rows() == []


def test_the_three_recorded_components_do_what_is_recorded(house, flows):
    with pytest.raises(ComponentFailed, match="boom: x"):
        house.run(flows / "raise.json", "x", session_id="s")
    # The question got no answer, so no history takes it up.
    assert [row.error for row in house.rows()] == [True, True]
    first = house.run(flows / "frozen.json", "x", session_id="f").text
    assert first.startswith("rnd-") and len(first) == 36
    assert '"token": "tok"' in house.run(flows / "secret.json", "x", session_id="t").text


def test_a_chain_of_conversions(house):
    flow = chain(
        said="ChatInput",
        table=("TypeConverterComponent", {"auto_parse": True}),
        lines=("ParserComponent", {"pattern": "{name} is {age}", "sep": "; "}),
        answer="ChatOutput",
        edges=[
            "said.message -> table.input_data",
            "table.dataframe_output -> lines.input_data",
            "lines.parsed_text -> answer.input_value",
        ],
    )
    assert house.run(flow, "name,age\nAnn,30\nBob,40").text == "Ann is 30; Bob is 40"


def test_a_variable_may_be_called_context(house):
    flow = chain(
        said="ChatInput",
        prompt=("Prompt", {"template": "{context}/{self}/{input_value}", "self": "me"}),
        answer="ChatOutput",
        edges=["said.message -> prompt.context", "said.message -> prompt.input_value", "prompt -> answer"],
    )
    assert house.run(flow, "hi").text == "hi/me/hi"


def test_a_table_of_history_is_shown(house):
    flow = chain(
        said="ChatInput",
        history=("Memory", {"n_messages": 2}),
        rows=("ParseDataFrame", {"template": "{sender}={text}"}),
        answer="ChatOutput",
        prompt=("Prompt", {"template": "{rows} {said}"}),
        edges=["history.messages -> rows.df", "rows -> prompt.rows", "said -> prompt.said", "prompt -> answer"],
    )
    house.run(flow, "one", session_id="s")
    assert house.run(flow, "two", session_id="s").text == "User=one\nMachine= one two"


def test_a_stream_promises_the_id_under_which_the_reply_is_stored(house, flows):
    events = []
    house.run(flows / "echo.json", "hi", session_id="s", streaming=True, emit=events.append)
    added = [e.data["message"] for e in events if e.kind == "message_added"]
    assert all(isinstance(message, Message) for message in added)
    assert [m.id for m in added] == [row.id for row in house.rows()]
