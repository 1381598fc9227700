"""Which model, server and key a component means."""

from __future__ import annotations

import json

import pytest
from flowrunner_models import MODEL_TYPES
from flowrunner_models.failures import ModelKeyMissing, ModelNotChosen
from flowrunner_models.model_choice import choose

from flowrunner import ComponentFailed

ROW = {"name": "claude-x", "provider": "Anthropic", "icon": "Anthropic", "metadata": {"context_length": 1}}


@pytest.mark.parametrize(
    ("values", "usual", "wanted"),
    [
        ({"model": [ROW]}, "", ("Anthropic", "claude-x")),
        ({"model": ROW}, "", ("Anthropic", "claude-x")),
        ({"model": json.dumps([ROW])}, "", ("Anthropic", "claude-x")),
        ({"model": [], "agent_llm": "OpenAI", "model_name": "gpt-4o"}, "", ("OpenAI", "gpt-4o")),
        ({"model": [ROW], "provider": "Groq", "model_name": "llama"}, "", ("Groq", "llama")),
        ({"provider": "Google", "model_name": "gemini-x"}, "", ("Google Generative AI", "gemini-x")),
        ({"model": "gemini-1.5-pro"}, "Google Generative AI", ("Google Generative AI", "gemini-1.5-pro")),
        ({"provider": "Deepseek", "model_name": "deepseek/x"}, "OpenRouter", ("OpenRouter", "deepseek/x")),
        ({"model": "", "model_name": "", "provider": ""}, "OpenAI", ("OpenAI", "gpt-4o-mini")),
        ({"model": "gpt-4o"}, "", ("OpenAI", "gpt-4o")),
        ({"agent_llm": "IBM watsonx.ai"}, "", ("IBM watsonx.ai", "watsonx/ibm/granite-3-8b-instruct")),
    ],
)
def test_every_shape_in_which_flows_name_a_model(values, usual, wanted):
    choice = choose(values, usual=usual)
    assert (choice.provider.name, choice.model) == wanted


def test_the_operator_chooses():
    assert choose({}, default="groq:llama").model == "llama"
    assert choose({"provider": "OpenAI"}, default="groq:llama").provider.name == "OpenAI"
    assert choose({"provider": "OpenAI"}, default="local", force=True).provider.name == "local"
    with pytest.raises(ModelNotChosen, match="FLOWRUNNER_MODEL"):
        choose({})
    with pytest.raises(ModelNotChosen, match="Nobody Inc"):
        choose({"provider": "Nobody Inc"})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"provider": "OpenIA"}, "unknown model provider OpenIA; did you mean OpenAI?"),
        ({"provider": "antropic"}, "unknown model provider antropic; did you mean Anthropic?"),
        ({"provider": "LM-Studo"}, "unknown model provider LM-Studo; did you mean LM Studio?"),
        ({"agent_llm": "Mistrall"}, "unknown model provider Mistrall; did you mean Mistral?"),
        ({"provider": "Nobody Inc"}, "unknown model provider Nobody Inc"),
        ({"provider": "x" * 100_000}, f"unknown model provider {'x' * 80}"),
        (
            {"model": "cluade-sonnet-4"},
            "the provider of the model cluade-sonnet-4 is not known: set provider; did you mean claude-sonnet-4?",
        ),
        ({"model": "my-own"}, "the provider of the model my-own is not known: set provider"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_name_that_nobody_has_is_said_with_the_one_that_is_near(values, said):
    with pytest.raises(ModelNotChosen) as refused:
        choose(values)
    assert str(refused.value) == said


@pytest.mark.parametrize("kind", MODEL_TYPES, ids=lambda k: k.type_name)
def test_every_name_of_the_component_answers(house, kind):
    result = house.chat(kind=kind.type_name, settings={"model_name": "m"})
    assert result.text.startswith("Ahoy")


def test_a_missing_key_names_the_variable(open_house):
    house = open_house(model_base_urls=None)
    for settings, named in (({"provider": "Groq"}, "GROQ_API_KEY"), ({"provider": "OpenAI"}, "OPENAI_API_KEY")):
        with pytest.raises(ComponentFailed, match=named) as failed:
            house.chat(settings=settings)
        assert isinstance(failed.value.__cause__, ModelKeyMissing)
    vertex = ("model", "OpenAIModel", {"api_key": "LF_OPENAI_KEY"}, {"variables": frozenset({"api_key"})})
    with pytest.raises(ComponentFailed, match="LF_OPENAI_KEY"):
        house.run(
            [("in", "ChatInput"), vertex, ("out", "ChatOutput")],
            ["in.message -> model.input_value", "model.text_output -> out.input_value"],
        )


def _sent_key(model):
    return model.headers[-1]["authorization"]


def test_keys_by_strength(house, model):
    house.chat(settings={"api_key": "sk-literal"})
    assert _sent_key(model) == "Bearer sk-literal"
    house.variables["OPENAI_API_KEY"] = "sk-stored"
    house.chat(settings={"api_key": ""})
    assert _sent_key(model) == "Bearer sk-stored"
    house.chat(settings={"api_key": "OPENAI_API_KEY"})
    assert _sent_key(model) == "Bearer sk-stored"
    house.chat(settings={"api_key": ""}, variables={"OPENAI_API_KEY": "sk-header"})
    assert _sent_key(model) == "Bearer sk-header"
    house.chat(settings={"api_key": "gone"}, tweaks={"model": {"api_key": "sk-tweak"}})
    assert _sent_key(model) == "Bearer sk-tweak"


def test_a_key_never_shows(house, model):
    from flowrunner.testing.model_script import Fail

    result = house.chat(settings={"api_key": "sk-secret-0123456789"})
    shown = json.dumps([v.to_json() for v in result.vertices])
    assert "sk-secret" not in shown
    model.script(Fail(401, "Incorrect API key provided: sk-secret-0123456789abcdef"))
    with pytest.raises(ComponentFailed) as failed:
        house.chat(settings={"api_key": "sk-secret-0123456789abcdef"})
    assert "0123456789abcdef" not in failed.value.message
