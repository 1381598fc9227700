"""The spellings of component types: stock types under the names that files have for them."""

import pytest

from flowrunner import Component, Input, Output
from flowrunner.plugins import PluginManager
from flowrunner.registry import Registry


@pytest.fixture(scope="module")
def registry():
    plugins = PluginManager()
    plugins.load_entry_points()
    plugins.collect_components()
    return plugins.registry


@pytest.mark.parametrize(
    ("name", "type_name"),
    [
        ("CalculatorComponent (i4779)", "CalculatorComponent"),
        ("CalculatorComponent (szU1S)", "CalculatorComponent"),
        ("ChatInput-a1B2c", "ChatInput"),
        ("Prompt Template", "Prompt Template"),
        ("Prompt Template (x1)", "Prompt Template"),
        (" ChatOutput ", "ChatOutput"),
        ("ext:openai:OpenAIEmbeddingsComponent@official", "OpenAIEmbeddings"),
        ("ext:openai:OpenAIModelComponent@official", "OpenAIModelComponent"),
        ("ext:openai:OpenAIModelComponent@official-pre-a", "OpenAIModelComponent"),
        ("ext:anthropic:AnthropicModelComponent@official", "AnthropicModel"),
        ("ext:ollama:ChatOllamaComponent@official", "OllamaModel"),
        ("ext:azure:AzureChatOpenAIComponent@official", "AzureOpenAIModel"),
        ("ext:vllm:VllmComponent@official", "vLLMModel"),
        ("ext:google:GoogleGenerativeAIComponent@official", "GoogleGenerativeAIModel"),
        ("ext:ibm:WatsonxAIComponent@official", "WatsonxAIComponent"),
        ("ext:processing:SplitTextComponent@official", "SplitText"),
        ("ext:chroma:ChromaVectorStoreComponent@official", "Chroma"),
        ("ext:OpenAIModel", "OpenAIModel"),
        ("ext:openai:OpenAIModel (ab1)", "OpenAIModel"),
        ("TextInputComponent", "TextInput"),
        ("CSVToDataComponent", "CSVtoData"),
        ("AgentComponent", "Agent"),
    ],
)
def test_a_stock_type_is_known_under_every_spelling(registry, name, type_name):
    found = registry.component(name)
    assert found is not None
    assert found is registry.component(type_name)
    assert registry.plugin_of(name) == registry.plugin_of(type_name) != ""


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "()",
        "ext:",
        "ext:::",
        "ext:x:@official",
        "Component",
        "calculatorcomponent",
        "CalculatorComponent(i4779",
        "CalculatorComponent (a b)",
        "My Calculator",
        "NoSuchComponent",
        "ext:composio:ComposioGmailAPIComponent@official",
        "CalculatorComponent\n(x)y",
        "textinput",
        "OpenAI",
        "CustomComponent",
        "x" * 100_000,
        "ext:" + ":" * 50_000,
        "a" + " " * 50_000 + "(x",
    ],
    ids=lambda name: name[:20] or "empty",
)
def test_what_is_none_stays_unknown(registry, name):
    assert registry.component(name) is None
    assert registry.plugin_of(name) == ""


def test_a_type_that_is_offered_later_is_found_and_an_exact_name_goes_first():
    registry = Registry()

    class Two(Component):
        """One."""

        type_name = "TwoComponent"
        inputs = (Input("value"),)
        outputs = (Output("text"),)

        def run(self, context, value):
            return {}

    assert registry.component("ext:x:TwoComponent@official") is None
    registry.add_component(Two, "p")
    assert registry.component("ext:x:TwoComponent@official").type_name == "TwoComponent"
    registry.add_component(type("Other", (Two,), {"__doc__": "Two.", "type_name": "Two"}), "p")
    assert registry.component("Two").type_name == "Two"
    assert registry.component("TwoComponent").type_name == "TwoComponent"
    assert registry.component("ext:x:TwoComponent@official").type_name == "TwoComponent"
    # Both are meant by it, so neither is.
    assert registry.component("ext:x:two@official") is None
