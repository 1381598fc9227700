"""The tokens of models whose replies are no message are counted in the steps and totals of the run, too."""

from __future__ import annotations

import pytest

from flowrunner import Component, ComponentFailed, Output
from flowrunner.app import create_app, runner_of
from flowrunner.testing.model_script import call, say
from tests.models.test_many_and_routes import ROUTES

#: What each answer of the stand-in takes.
TOTAL = 15
SCHEMA = [{"name": "city", "type": "str"}]


def spent(house, *said, vertices, edges=(), fails=False, **request):
    """Run a flow; return the tokens by vertex."""
    house.model.script(*said)
    found = {}

    def note(event):
        if event.kind == "vertex_finished":
            result = event.data["result"]
            found[result.vertex_id] = [(each["model"], each["total_tokens"]) for each in result.spent]

    if fails:
        with pytest.raises(ComponentFailed):
            house.run(vertices, edges, emit=note, **request)
    else:
        house.run(vertices, edges, emit=note, **request)
    return {name: each for name, each in found.items() if each}


def test_a_row_of_batch_run_each(house):
    rows = [{"text": str(n)} for n in range(5)]
    assert spent(house, vertices=[("b", "BatchRunComponent", {"df": rows})], input_value=None) == {
        "b": [("stand-in", TOTAL)] * 5
    }


def test_the_choice_of_a_router(house):
    vertices = [("in", "ChatInput"), ("r", "SmartRouter", {"routes": ROUTES}), ("out", "ChatOutput")]
    edges = ["in.message -> r.input_text", "r.category_1_result -> out.input_value"]
    assert spent(house, say("Praise"), vertices=vertices, edges=edges, input_value="hi") == {"r": [("stand-in", TOTAL)]}
    assert spent(house, say("NONE"), vertices=vertices, edges=edges, input_value="hi") == {"r": [("stand-in", TOTAL)]}


def structured(**settings):
    return [("s", "StructuredOutput", {"input_value": "Rome", "output_schema": SCHEMA, **settings})]


def test_both_questions_of_a_structured_output(house):
    good = say('{"objects": [{"city": "Rome"}]}')
    assert spent(house, good, vertices=structured(), input_value=None) == {"s": [("stand-in", TOTAL)]}
    twice = spent(house, say("no"), good, vertices=structured(), input_value=None)
    assert twice == {"s": [("stand-in", TOTAL)] * 2}


def test_what_a_component_took_that_failed(house):
    failing = spent(house, say("no"), say("neither"), vertices=structured(), fails=True, input_value=None)
    assert failing == {"s": [("stand-in", TOTAL)] * 2}


def test_the_judge_of_an_llm_selector(house):
    models = [("a", "LanguageModelComponent"), ("b", "LanguageModelComponent"), ("judge", "LanguageModelComponent")]
    vertices = [("in", "ChatInput"), *models, ("s", "LLMSelectorComponent"), ("out", "ChatOutput")]
    edges = [
        "a.model_output -> s.models",
        "b.model_output -> s.models",
        "judge.model_output -> s.judge_llm",
        "in.message -> s.input_value",
        "s.output -> out.input_value",
    ]
    assert spent(house, say("2"), vertices=vertices, edges=edges, input_value="hi") == {"s": [("stand-in", TOTAL)]}


def test_a_provider_that_counts_none(house):
    vertices = [("b", "BatchRunComponent", {"df": [{"text": "a"}]})]
    assert spent(house, say("x", usage=False), vertices=vertices, input_value=None) == {}


def test_a_tool_of_an_agent(house):
    vertices = [
        ("in", "ChatInput"),
        ("r", "SmartRouter", {"routes": ROUTES}),
        ("a", "Agent", {"agent_llm": "OpenAI"}),
        ("out", "ChatOutput"),
    ]
    edges = ["in.message -> a.input_value", "r.component_as_tool -> a.tools", "a.response -> out.input_value"]
    said = (call(("Smart_Router", {"input_text": "nice"})), say("Praise"), say("done"))
    assert spent(house, *said, vertices=vertices, edges=edges, input_value="hi") == {"a": [("stand-in", TOTAL)]}


def test_they_are_in_the_steps_and_the_total_of_a_run(tmp_path, model):
    app = create_app(data_dir=tmp_path, auth="none", model="openai:stand-in", model_base_urls=f"all={model.url}")
    client = app.test_client()
    components = {
        "in": {"type": "ChatInput"},
        "r": {"type": "SmartRouter", "settings": {"routes": ROUTES}},
        "b": {"type": "BatchRunComponent"},
        "m": {"type": "LanguageModelComponent"},
        "out": {"type": "ChatOutput"},
    }
    edges = [
        "in.message -> r.input_text",
        "r.category_1_result -> m.input_value",
        "m.text_output -> out.input_value",
        "m.text_output -> b.df",
    ]
    model.script(say("Praise"))
    made = client.post("/api/v1/flows/", json={"name": "m", "data": {"components": components, "edges": edges}})
    body = {"input_value": "hi", "session_id": "s"}
    answer = client.post(f"/api/v1/run/{made.json['id']}", json=body)
    assert answer.status_code == 200
    run_id = answer.headers["X-Run-Id"]
    (trace,) = client.get("/api/v1/monitor/traces").json["traces"]
    assert trace["totalTokens"] == 3 * TOTAL
    steps = client.get(f"/api/v1/runs/{run_id}/steps").json["steps"]
    usage = {step["vertex_id"]: step["usage"] for step in steps if step["usage"]}
    assert {name: (each["model"], each["total_tokens"]) for name, each in usage.items()} == {
        "r": ("stand-in", TOTAL),
        "b": ("stand-in", TOTAL),
        "m": ("stand-in", TOTAL),
    }
    spans = client.get(f"/api/v1/monitor/traces/{trace['id']}").json["spans"]
    assert sum(span["tokenUsage"]["totalTokens"] for span in spans if span["tokenUsage"]) == 3 * TOTAL
    runner_of(app).close()


class Counts(Component):
    """Counts many calls of two models, beside an output that is too large for the run log."""

    type_name = "Counts"
    outputs = (Output("out", "Data"),)

    def run(self, context):
        for number in range(1500):
            context.count_tokens(f"model {number % 2}", {"input_tokens": 1, "output_tokens": 2})
        return {"out": [[[number]] * 100 for number in range(900)]}


def test_as_many_calls_as_there_are_count_beside_whatever_is_cut(tmp_path):
    app = create_app(data_dir=tmp_path, auth="none", plugins=[Counts])
    client = app.test_client()
    graph = {"components": {"c": {"type": "Counts"}}, "edges": []}
    made = client.post("/api/v1/flows/", json={"name": "c", "data": graph})
    answer = client.post(f"/api/v1/run/{made.json['id']}", json={"input_value": "hi"})
    assert answer.status_code == 200
    found = client.get(f"/api/v1/runs/{answer.headers['X-Run-Id']}/steps").json
    (step,) = found["steps"]
    assert step["usage"] == {"model": "model 0", "input_tokens": 1500, "output_tokens": 3000, "total_tokens": 4500}
    runner_of(app).close()
