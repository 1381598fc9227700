"""Agents: tools, limits, steps, structured answers."""

from __future__ import annotations

import threading

import pytest
from flowrunner_models.agent_tools import gather_tools, own_tools
from flowrunner_models.calculator_tool import work_out

from flowrunner import Component, ComponentFailed, Input, Output
from flowrunner.testing.model_script import call, say

CALC = ("calc", "CalculatorComponent")
EDGE = ["calc.component_as_tool -> model.tools"]


def agent(house, text="hi", settings=None, **more):
    return house.chat(text, kind="Agent", settings={"agent_llm": "OpenAI", **(settings or {})}, **more)


def test_tools_are_called_and_their_answers_go_back(house, model):
    model.script(call(("Calculator", {"expression": "6*7"}), ("get_current_date", {})), say("It is", " 42."))
    result = agent(house, "six times seven?", edges=EDGE, more=[CALC])
    assert result.text == "It is 42."
    offered = [tool["function"]["name"] for tool in model.asked[-2]["tools"]]
    assert offered == ["Calculator", "get_current_date", "evaluate_expression"]
    *_, asked, first, second = model.asked[-1]["messages"]
    assert [c["function"]["name"] for c in asked["tool_calls"]] == ["Calculator", "get_current_date"]
    assert (first["role"], first["tool_call_id"], "42" in first["content"]) == ("tool", "call_0", True)
    assert "UTC" in second["content"]
    message = result.reported[0].message
    # Of two calls, added up; the stand-in counts a call for tools like any other.
    assert message.properties["usage"]["total_tokens"] == 30


def test_steps_are_content_blocks(house, model):
    model.script(call(("Calculator", {"expression": "6*7"}), text="Let me see."), say("42"))
    result = agent(house, "six times seven?", edges=EDGE, more=[CALC])
    (block,) = house.messages()[-1].content_blocks
    assert block["title"] == "Agent Steps"
    kinds = [(entry["type"], entry["header"]["title"]) for entry in block["contents"]]
    assert kinds == [
        ("text", "Input"),
        ("text", "Thought"),
        ("tool_use", "Executed **Calculator**"),
        ("text", "Output"),
    ]
    tool = block["contents"][2]
    assert (tool["name"], tool["tool_input"], tool["error"]) == ("Calculator", {"expression": "6*7"}, None)
    assert "42" in tool["output"]
    assert result.text == "42"


def test_a_streamed_agent_shows_its_steps_as_they_come(house, model):
    events = []
    model.script(call(("Calculator", {"expression": "6*7"}), text="Let me see."), say("It is", " 42"))
    result = agent(house, edges=EDGE, more=[CALC], streaming=True, emit=events.append)
    seen = [
        e.data["text"] if e.kind == "token" else len(e.data["message"].content_blocks)
        for e in events
        if e.kind in ("token", "message_added")
    ]
    assert seen == [0, 0, "Let me see.", 1, "It is", " 42", 1]
    assert result.text == "It is 42"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{broken", "not valid JSON"),
        ({"expression": "1/0"}, "rror"),
        ({"wrong": 1}, "wrong"),
        ([1], "not a JSON object"),
    ],
)
def test_bad_arguments_go_back_to_the_model(house, model, arguments, said):
    text = "[1]" if arguments == [1] else arguments
    model.script(call(("Calculator", text)), say("sorry"))
    assert agent(house, edges=EDGE, more=[CALC]).text == "sorry"
    assert said in model.asked[-1]["messages"][-1]["content"]


def test_an_unknown_tool_is_named(house, model):
    model.script(call(("teleport", {})), say("sorry"))
    assert agent(house).text == "sorry"
    assert "there is no tool teleport" in model.asked[-1]["messages"][-1]["content"]


def test_failures_of_tools_may_end_the_run(house, model):
    model.script(call(("teleport", {})))
    with pytest.raises(ComponentFailed, match="teleport"):
        agent(house, settings={"handle_parsing_errors": False})


def test_the_iteration_limit(house, model):
    before = len(model.asked)
    model.script(*[call(("get_current_date", {})) for _ in range(3)], say("that much I know"))
    assert agent(house, settings={"max_iterations": 3}).text == "that much I know"
    assert len(model.asked) == before + 4
    assert "tools" not in model.asked[-1]


class Meet(Component):
    """Wait for another call of the same tool."""

    type_name = "Meet"
    inputs = (Input("name", required=True), Input("times", "int", default=1, tool=True), Input("word", tool=True))
    outputs = (Output("text"),)
    barrier = threading.Barrier(2)

    def run(self, context, name, times, word):
        self.barrier.wait(5)
        return {"text": f"{word} {times} {name}"}


def test_calls_run_side_by_side(tmp_path, model):
    from tests.engine.rig import Rig

    rig = Rig(tmp_path, components=(Meet,), model="openai:m", model_base_urls=f"all={model.url}")
    try:
        model.script(call(("Meet", {"word": "a", "times": "2"}), ("Meet", {"word": "b"})), say("done"))
        rig.run(
            [("in", "ChatInput"), ("meet", "Meet", {"name": "x"}), ("a", "Agent"), ("out", "ChatOutput")],
            ["in.message -> a.input_value", "meet.component_as_tool -> a.tools", "a.response -> out.input_value"],
        )
        said = [m["content"] for m in model.asked[-1]["messages"] if m["role"] == "tool"]
        assert said == ["a 2 x", "b 1 x"]
    finally:
        rig.close()


def test_an_agent_as_a_tool_of_an_agent(house, model):
    model.script(call(("Agent", {"input_value": "sub task"})), say("from below"), say("done"))
    inner = ("inner", "Agent", {"agent_llm": "OpenAI", "n_messages": 0})
    result = agent(house, edges=["inner.component_as_tool -> model.tools"], more=[inner])
    assert result.text == "done"
    assert model.asked[-1]["messages"][-1]["content"] == "from below"


def test_a_structured_answer(house, model):
    rows = [{"name": "number", "type": "int", "description": "", "multiple": "False"}]
    model.script(say("It is 42."), say('{"number": 42}'))
    result = house.run(
        [("in", "ChatInput"), ("a", "Agent", {"output_schema": rows}), ("out", "ChatOutput")],
        ["in.message -> a.input_value", "a.structured_response -> out.input_value"],
    )
    assert '"number": 42' in result.text


def test_a_model_over_an_edge(house, model):
    result = house.run(
        [
            ("in", "ChatInput"),
            ("m", "OpenAIModel", {"model_name": "edge-model"}),
            ("a", "Agent", {"agent_llm": "x"}),
            ("out", "ChatOutput"),
        ],
        ["in.message -> a.input_value", "m.model_output -> a.agent_llm", "a.response -> out.input_value"],
    )
    assert result.text
    assert model.asked[-1]["model"] == "edge-model"


def test_a_model_that_is_only_handed_on_is_not_asked(house, model):
    before = len(model.asked)
    house.run(
        [("in", "ChatInput"), ("m", "OpenAIModel"), ("a", "Agent"), ("out", "ChatOutput")],
        ["in.message -> a.input_value", "m.model_output -> a.model", "a.response -> out.input_value"],
    )
    assert len(model.asked) == before + 1


def test_names_of_tools_are_told_apart():
    own = own_tools(current_date=True, calculator=True)
    assert list(gather_tools([own[0]], own)) == ["get_current_date", "get_current_date_2", "evaluate_expression"]


@pytest.mark.parametrize(
    ("expression", "value"), [("2+3*4", "14"), ("(1+1)**10", "1024"), ("7/2", "3.5"), ("-2^2", "-4"), ("1e3", "1000")]
)
def test_sums(expression, value):
    assert work_out(expression) == value


@pytest.mark.parametrize(
    "expression", ["__import__('os')", "a+1", "9**9**9", "1/0", "(" * 300, "'a'*9", "1 if 1 else 2", "10**400"]
)
def test_no_sums(expression):
    with pytest.raises(ValueError):
        work_out(expression)
