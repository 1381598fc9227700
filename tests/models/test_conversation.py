"""Histories become turns where a model takes them, and text where a prompt does; no turn comes twice."""

from __future__ import annotations

import pytest
from flowrunner_models.protocol import Turn
from flowrunner_models.turns import count_tokens, fit, newest, turns_of

from flowrunner import Message
from flowrunner.testing.model_script import say

MEMORY = ("history", "Memory", {})


def talk(house, model, *, edges, more, kind="LanguageModelComponent", settings=None, turns=3):
    for number in range(turns):
        model.script(say(f"answer {number}"))
        house.chat(f"question {number}", kind=kind, settings=settings, edges=edges, more=more, session_id="s")
    return house.asked()


FOUR = [("user", "question 0"), ("assistant", "answer 0"), ("user", "question 1"), ("assistant", "answer 1")]


@pytest.mark.parametrize("edge", ["history.dataframe -> model.history", "history.dataframe -> model.chat_history"])
def test_rows_of_a_history_become_turns(house, model, edge):
    asked = talk(house, model, edges=[edge], more=[MEMORY], settings={"system_message": "be brief"})
    assert asked == [("system", "be brief"), *FOUR, ("user", "question 2")]


def test_a_text_of_a_history_stays_text(house, model):
    prompt = ("prompt", "Prompt Template", {"template": "{history}\n{question}"})
    for number in range(2):
        model.script(say(f"answer {number}"))
        house.run(
            [("in", "ChatInput"), MEMORY, prompt, ("model", "LanguageModelComponent"), ("out", "ChatOutput")],
            [
                "in.message -> prompt.question",
                "history.messages_text -> prompt.history",
                "prompt.prompt -> model.input_value",
                "model.text_output -> out.input_value",
            ],
            input_value=f"question {number}",
            session_id="s",
        )
    assert house.asked() == [("user", "User: question 0\nAI: answer 0\nquestion 1")]


def test_an_agent_has_its_sessions_history(house, model):
    asked = talk(house, model, kind="Agent", edges=(), more=(), settings={"system_prompt": "help"})
    assert asked == [("system", "help"), *FOUR, ("user", "question 2")]
    asked = talk(house, model, kind="Agent", edges=(), more=(), settings={"n_messages": 0, "system_prompt": "help"})
    assert asked == [("system", "help"), ("user", "question 2")]


def test_an_agents_history_over_an_edge_comes_once(house, model):
    edges = ["history.dataframe -> model.chat_history"]
    asked = talk(house, model, kind="Agent", edges=edges, more=[MEMORY], settings={"system_prompt": "help"})
    assert asked == [("system", "help"), *FOUR, ("user", "question 2")]


def test_windows():
    turns = [Turn("user" if n % 2 == 0 else "assistant", f"{n}" * 40) for n in range(6)]
    assert newest(turns, count=4) == turns[2:]
    assert newest(turns, count=0) == []
    # An answer whose question fell out of the window goes with it.
    assert newest(turns, count=3) == turns[4:]
    assert newest(turns, count=1) == []
    greeting = [Turn("assistant", "Hello!"), *turns]
    assert newest(greeting, count=7) == greeting
    assert newest(greeting, count=6) == turns
    room = 2 * count_tokens(turns[0].text)
    assert newest(turns, count=100, tokens=room) == turns[4:]
    system = Turn("system", "short")
    assert fit([system, *turns], count_tokens("short") + room) == [system, *turns[4:]]
    assert fit([system, turns[0]], 1) == [system, turns[0]]


@pytest.mark.parametrize(("count", "wanted"), [(1, []), (2, FOUR[2:]), (3, FOUR[2:]), (4, FOUR), (5, FOUR)])
def test_windows_of_an_agent_begin_with_a_question(house, model, count, wanted):
    settings = {"system_prompt": "help", "n_messages": count}
    asked = talk(house, model, kind="Agent", edges=(), more=(), settings=settings)
    assert asked == [("system", "help"), *wanted, ("user", "question 2")]


def test_windows_of_a_history_begin_with_a_question(house, model):
    history = ("history", "Memory", {"n_messages": 3})
    asked = talk(house, model, edges=["history.dataframe -> model.history"], more=[history])
    assert asked == [*FOUR[2:], ("user", "question 2")]


def test_what_a_history_may_be():
    assert turns_of(None) == turns_of("") == turns_of([]) == []
    assert turns_of([{"text": "a", "sender": "User"}, {"text": "b", "sender": "Machine"}]) == [
        Turn("user", "a"),
        Turn("assistant", "b"),
    ]
    assert turns_of([Message(text="a", sender="User"), Message(text="b", sender="Machine")]) == [
        Turn("user", "a"),
        Turn("assistant", "b"),
    ]
    assert turns_of([{"role": "assistant", "content": "b"}]) == [Turn("assistant", "b")]
    assert turns_of("User: a")[0].role == "system"


def test_nothing_to_ask(house):
    with pytest.raises(Exception, match="empty"):
        house.chat("")
