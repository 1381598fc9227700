"""What an agent is asked: its input, the session so far, and the present turn where its input is something else."""

from __future__ import annotations

import pytest

from flowrunner import Component, Input, Output
from flowrunner.testing.model_script import say

BLANK = ("user", "Continue the conversation.")
SYSTEM = ("system", "Be brief.")
AGENT = {"agent_llm": "OpenAI", "add_calculator_tool": False, "add_current_date_tool": False}
#: Instructions behind the chat input, so that the agent is part of what it starts.
RULED = ["in.message -> rules.value", "rules.text -> agent.system_prompt"]
FED = [*RULED, "in.message -> agent.input_value"]


class Rules(Component):
    """Say the same whatever comes in."""

    type_name = "Rules"
    inputs = (Input("value"), Input("said", default="Be brief."))
    outputs = (Output("text"),)

    def run(self, context, value, said):
        return {"text": said}


@pytest.fixture
def house(open_house):
    return open_house(components=(Rules,))


def made(*more, kind="Agent", said="Be brief.", **settings):
    agent = ("agent", kind, {**AGENT, **settings})
    return [("in", "ChatInput"), agent, ("out", "ChatOutput"), ("rules", "Rules", {"said": said}), *more]


def ask(house, model, text, edges, vertices=None, **request):
    model.script(say(f"re {text}"))
    edges = [*edges, "agent.response -> out.input_value"]
    result = house.run(vertices or made(), edges, input_value=text, **{"session_id": "s", **request})
    assert result.text == f"re {text}"
    return house.asked()


@pytest.mark.parametrize("prompt", ["", "   \n"], ids=["empty", "spaces"])
def test_a_blank_input_asks_to_go_on_and_the_users_text_is_in_the_history(house, model, prompt):
    vertices = made(("blank", "Prompt", {"template": prompt}))
    edges = [*RULED, "blank.prompt -> agent.input_value"]
    assert ask(house, model, "one", edges, vertices) == [SYSTEM, ("user", "one"), BLANK]
    second = ask(house, model, "two", edges, vertices)
    assert second == [SYSTEM, ("user", "one"), ("assistant", "re one"), ("user", "two"), BLANK]


def test_an_agent_whose_input_nothing_feeds_reads_the_chat_all_the_same(house, model):
    assert ask(house, model, "tea", RULED) == [SYSTEM, ("user", "tea"), BLANK]
    assert ask(house, model, "and", RULED)[-2:] == [("user", "and"), BLANK]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 1, 3, 2, 0)], ids=["chat input first", "chat input last"])
def test_a_prompt_in_between_leaves_the_users_text_in_the_history(house, model, order):
    vertices = made(("plain", "Prompt", {"template": "Say hello."}))
    edges = [*RULED, "plain.prompt -> agent.input_value"]
    shuffled = [vertices[i] for i in order]
    assert ask(house, model, "hi", edges, shuffled) == [SYSTEM, ("user", "hi"), ("user", "Say hello.")]


def test_an_agent_waits_for_the_chat_input_that_no_edge_brings_it(house, model):
    """The agent stands before what leads to it, and only the answer joins them."""
    both = ("both", "Prompt", {"template": "{x}"})
    vertices = [("agent", "Agent", AGENT), both, ("in", "ChatInput"), ("out", "ChatOutput")]
    model.script(say("re"))
    edges = ["in.message -> both.x", "both.prompt -> agent.system_prompt", "agent.response -> out.input_value"]
    assert house.run(vertices, edges, input_value="hi", session_id="s").text == "re"
    assert house.asked() == [("system", "hi"), ("user", "hi"), BLANK]


def test_fed_by_the_chat_input_its_text_is_there_once(house, model):
    assert ask(house, model, "one", FED) == [SYSTEM, ("user", "one")]
    assert ask(house, model, "two", FED) == [SYSTEM, ("user", "one"), ("assistant", "re one"), ("user", "two")]


def test_an_empty_text_of_the_user_asks_to_go_on(house, model):
    ask(house, model, "one", FED)
    assert ask(house, model, "", FED) == [SYSTEM, ("user", "one"), ("assistant", "re one"), BLANK]


def test_a_window_of_messages_does_not_count_what_the_agent_is_asked(house, model):
    ask(house, model, "one", FED)
    ask(house, model, "two", FED)
    third = ask(house, model, "three", FED, made(n_messages=2))
    assert third == [SYSTEM, ("user", "two"), ("assistant", "re two"), ("user", "three")]


def test_without_a_history_a_blank_input_is_asked_alone(house, model):
    assert ask(house, model, "unseen", RULED, made(n_messages=0)) == [SYSTEM, BLANK]
    assert ask(house, model, "unseen", RULED, made(n_messages=0, said=" ")) == [BLANK]


def test_what_is_not_stored_is_not_in_the_history(house, model):
    vertices = made()
    vertices[0] = ("in", "ChatInput", {"should_store_message": False})
    assert ask(house, model, "unheard", RULED, vertices) == [SYSTEM, BLANK]


def test_the_older_agent_reads_no_session_and_is_asked_all_the_same(house, model):
    assert ask(house, model, "one", RULED, made(kind="ToolCallingAgent")) == [SYSTEM, BLANK]


def test_another_session_is_not_read(house, model):
    ask(house, model, "secret", FED)
    assert ask(house, model, "hello", FED, session_id="other") == [SYSTEM, ("user", "hello")]
