"""LLM Selector: one model judges which of several answers."""

from __future__ import annotations

import pytest
from flowrunner_models.llm_selector import _place

from flowrunner import ComponentFailed
from flowrunner.testing.model_script import say

NAMES = ("small-1", "large-2", "thinker")


def flow(kind="LLMSelectorComponent", models=NAMES, judge="judge-model", **settings):
    vertices = [("in", "ChatInput"), ("pick", kind, settings), ("out", "ChatOutput")]
    edges = ["in.message -> pick.input_value", "pick.output -> out.input_value"]
    for name in (*models, *([judge] if judge else ())):
        vertices.append((name, "OpenAIModel", {"model_name": name}))
        edges.append(f"{name}.model_output -> pick.{'judge_llm' if name == judge else 'models'}")
    return vertices, edges


def run(house, model, *said, **more):
    model.script(*(say(text) for text in said))
    return house.run(*flow(**more), input_value="why is the sky blue", output_type="debug")


def asked(model, count):
    return [body["model"] for body in model.asked[-count:]]


@pytest.mark.parametrize("kind", ["LLMSelectorComponent", "LLMRouterComponent"])
def test_the_chosen_model_answers(house, model, kind):
    result = run(house, model, "2", "Because.", kind=kind)
    assert asked(model, 2) == ["judge-model", "large-2"]
    found = result.output("pick")
    assert found["output"].text == "Because."
    assert found["output"].properties["source"]["source"] == "large-2"
    assert found["selected_model_info"] == {"index": 1, "model": "large-2", "provider": "OpenAI"}
    assert "large-2" in found["routing_decision"]
    judged = [m["content"] for m in model.asked[-2]["messages"]]
    assert all(name in judged[0] for name in NAMES)
    assert judged[1] == "why is the sky blue"
    assert house.asked() == [("user", "why is the sky blue")]


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("1", 0),
        ("Model 3.", 2),
        ("large-2", 1),
        ("<think>1 or 2</think>3", 2),
        ("I choose 2: it is best", 1),
        ("SMALL-1 it is", 0),
        ("9", None),
        ("1 or 2", None),
        ("none", None),
        ("", None),
        ("2.5", None),
        ("0", None),
    ],
)
def test_what_a_judge_says(said, place):
    from flowrunner_models.reasoning import set_apart, without_thoughts

    class Named:
        def __init__(self, name):
            self.name = name

    assert _place(set_apart(said)[0] or without_thoughts(said), [Named(name) for name in NAMES]) == place


def test_a_judge_that_names_none_leaves_it_to_the_first_unless_that_is_switched_off(house, model):
    assert run(house, model, "whatever", "Answer").output("pick")["selected_model_info"]["model"] == "small-1"
    with pytest.raises(ComponentFailed, match="judge-model named none of the models: whatever"):
        run(house, model, "whatever", fallback_to_first=False)


def test_one_model_needs_no_judge(house, model):
    assert run(house, model, "Answer", models=("small-1",), judge=None).output("pick")["output"].text == "Answer"
    assert asked(model, 1) == ["small-1"]


def test_what_is_missing_is_named(house, model):
    with pytest.raises(ComponentFailed, match="no models are connected"):
        run(house, model, models=())
    with pytest.raises(ComponentFailed, match="no model is connected as the judge"):
        run(house, model, judge=None)


@pytest.mark.parametrize("aim", ["quality", "speed", "cost", "balanced", "nonsense"])
def test_the_judge_is_told_what_to_look_for(house, model, aim):
    run(house, model, "1", "Answer", optimization=aim)
    told = model.asked[-2]["messages"][0]["content"]
    assert {"quality": "answer best", "speed": "fastest", "cost": "cheapest"}.get(aim, "balance") in told
