"""Models of ``llm`` plugins; what a plugin cannot do is noticed, not lost."""

from __future__ import annotations

import importlib

import pytest

llm = pytest.importorskip("llm")

from flowrunner_models import llm_model  # noqa: E402
from flowrunner_models.failures import ModelNotInstalled, ModelRefused  # noqa: E402
from flowrunner_models.llm_model import LlmModel, reads_turns  # noqa: E402
from flowrunner_models.protocol import Options, Reply, ToolCall, Turn  # noqa: E402

from flowrunner import Tool  # noqa: E402

TURNS = [Turn("system", "be brief"), Turn("user", "one"), Turn("assistant", "1"), Turn("user", "two")]


class Old(llm.Model):
    """As plugins were: looks at the prompt's text only."""

    model_id = "old"
    can_stream = True

    def execute(self, prompt, stream, response, conversation):
        self.seen = (prompt.system, prompt.prompt)
        yield from ("a", "b")


class New(llm.Model):
    """As plugins are: reads the turns."""

    model_id = "new"
    can_stream = True
    supports_tools = True

    class Options(llm.Options):
        temperature: float | None = None

    def execute(self, prompt, stream, response, conversation):
        self.seen = [(m.role, "".join(getattr(p, "text", "") for p in m.parts)) for m in prompt.messages]
        self.temperature = prompt.options.temperature
        if prompt.tools:
            response.add_tool_call(llm.ToolCall(name="look", arguments={"at": "sky"}, tool_call_id="c1"))
        response.set_usage(input=3, output=2)
        yield from ("a", "b")


@pytest.fixture
def installed(monkeypatch):
    """Only these models are there: what other plugins do at import is not for this test."""
    models = {"new": New(), "old": Old()}

    def find(name):
        if name not in models:
            raise llm.UnknownModelError(name)
        return models[name]

    monkeypatch.setattr(llm, "get_model", find)
    return models


def test_a_plugin_that_reads_turns_gets_them(installed):
    parts = list(LlmModel("new", Options(temperature=0.5, max_tokens=9)).stream(TURNS))
    assert parts[:2] == ["a", "b"]
    assert parts[-1].text == "ab"
    assert parts[-1].usage.to_json() == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    assert installed["new"].seen == [("system", "be brief"), ("user", "one"), ("assistant", "1"), ("user", "two")]
    assert installed["new"].temperature == 0.5


def test_one_that_does_not_gets_a_transcript(installed):
    parts = list(LlmModel("old", Options(temperature=0.5)).stream(TURNS))
    assert parts[-1] == Reply("ab")
    assert installed["old"].seen == ("be brief", "User: one\n\nAssistant: 1\n\nUser: two")


def test_tools_go_there_and_back(installed):
    tool = Tool("look", "Look.", {"type": "object", "properties": {}}, lambda arguments: "blue")
    reply = list(LlmModel("new", Options()).stream(TURNS, tools=[tool]))[-1]
    assert reply.calls == (ToolCall("c1", "look", '{"at": "sky"}'),)
    after = [*TURNS, Turn("assistant", "", reply.calls), Turn("tool", "blue", call_id="c1")]
    list(LlmModel("new", Options()).stream(after))
    assert [role for role, _ in installed["new"].seen][-2:] == ["assistant", "tool"]
    with pytest.raises(ModelRefused, match="does not support tools"):
        list(LlmModel("old", Options()).stream(TURNS, tools=[tool]))
    with pytest.raises(ModelRefused, match="cannot read"):
        list(LlmModel("old", Options()).stream(after))


class Base(llm.Model):
    """What plugins do with a prompt, in parts."""

    model_id = "base"

    def build_messages(self, prompt, conversation):
        return [message.role for message in prompt.messages]

    @staticmethod
    def read(given):
        return list(given.messages)


class ByMethod(Base):
    def execute(self, prompt, stream, response, conversation):
        yield str(self.build_messages(prompt, conversation))


class ByKeyword(Base):
    def execute(self, prompt, stream, response, conversation, key=None):
        yield str(self.build_messages(conversation=conversation, prompt=prompt))


class ByStaticMethod(Base):
    def execute(self, prompt, stream, response, conversation):
        yield str(self.read(prompt))


class ByFunction(Base):
    def execute(self, prompt, stream, response, conversation):
        yield str(turns_in(prompt))


class BySuper(ByMethod):
    def execute(self, prompt, stream, response, conversation):
        yield from super().execute(prompt, stream, response, conversation)


class ByAnotherName(Base):
    def execute(self, asked, stream, response, conversation):
        question = asked
        yield str(getattr(question, "messages", ()))


def turns_in(prompt):
    return prompt.messages


class OwnList(Base):
    """As llm-anthropic 0.17: the word is everywhere in it, but never of the prompt."""

    def build_messages(self, prompt, conversation):
        messages = []
        if conversation:
            messages += [response.prompt.prompt for response in conversation.responses]
        messages.append(prompt.prompt)
        return messages

    def execute(self, prompt, stream, response, conversation):
        client = self.client()
        yield client.messages.create(self.build_messages(prompt, conversation), system=prompt.system)

    def client(self):
        class Client:
            @property
            def messages(self):
                return self

            def create(self, messages, system):
                return f"{system}|{messages}"

        return Client()


@pytest.mark.parametrize("kind", [New, ByMethod, ByKeyword, ByStaticMethod, ByFunction, BySuper, ByAnotherName])
def test_a_model_is_asked_by_its_own_method_whether_it_reads_turns(kind):
    assert reads_turns(kind())


def test_the_word_elsewhere_in_its_module_says_nothing():
    from llm.default_plugins.openai_models import Chat

    class Nothing:
        pass

    assert reads_turns(Chat("gpt-x"))
    assert not any(reads_turns(model) for model in (Old(), OwnList(), Nothing()))


@pytest.mark.parametrize("guess", [True, False])
def test_a_question_never_vanishes(installed, monkeypatch, guess):
    monkeypatch.setattr(llm_model, "reads_turns", lambda model: guess)
    installed["own"] = OwnList()
    said = list(LlmModel("own", Options()).stream(TURNS))[-1].text
    assert said.startswith("be brief|")
    assert "two" in said
    list(LlmModel("new", Options()).stream(TURNS))
    assert installed["new"].seen == [("system", "be brief"), ("user", "one"), ("assistant", "1"), ("user", "two")]


def test_what_a_plugin_kept_with_a_call_goes_back(installed):
    class Signing(New):
        def execute(self, prompt, stream, response, conversation):
            self.seen = [part for message in prompt.messages for part in message.parts]
            self.keeps = [part.provider_metadata for part in self.seen if part.provider_metadata]
            response.add_tool_call(llm.ToolCall(name="look", arguments={}, tool_call_id="c1"))
            return iter(())

    installed["signing"] = Signing()
    tool = Tool("look", "Look.", {"type": "object", "properties": {}}, lambda arguments: "blue")
    reply = list(LlmModel("signing", Options()).stream(TURNS, tools=[tool]))[-1]
    (message,) = reply.extra["llm"]
    after = [*TURNS, Turn("assistant", "", reply.calls, extra=reply.extra), Turn("tool", "blue", call_id="c1")]
    list(LlmModel("signing", Options()).stream(after, tools=[tool]))
    assert message.parts[-1] in installed["signing"].seen


def test_thoughts_aloud_are_set_apart(installed, monkeypatch):
    monkeypatch.setattr(Old, "execute", lambda self, prompt, **more: iter(["<th", "ink>Hm</think>", " yes"]))
    reply = list(LlmModel("old", Options()).stream(TURNS))[-1]
    assert (reply.text, reply.thoughts) == ("yes", "Hm")


def test_a_model_that_no_plugin_has(installed):
    with pytest.raises(ModelNotInstalled, match="no installed llm plugin"):
        list(LlmModel("nobody/nothing", Options()).stream(TURNS))


def test_the_name_that_is_near_is_said(installed, monkeypatch):
    monkeypatch.setattr(llm, "get_model_aliases", lambda: {"gpt-4o-mini": None, "orca-mini-3b": None})
    with pytest.raises(ModelNotInstalled, match=r"offers the model orca-mni-3b; did you mean orca-mini-3b\?$"):
        list(LlmModel("orca-mni-3b", Options()).stream(TURNS))


def test_a_plugin_whose_dependencies_are_missing_hides_no_other(monkeypatch):
    import pluggy

    class Broken:
        @llm.hookimpl
        def register_models(self, register):
            import no_such_module  # noqa: F401

    class Sound:
        @llm.hookimpl
        def register_models(self, register):
            register(New())

    manager = pluggy.PluginManager("llm")
    manager.add_hookspecs(importlib.import_module("llm.hookspecs"))
    manager.register(Broken())
    manager.register(Sound())
    llm_model._set_aside_broken(manager)
    assert [type(plugin) for plugin in manager.get_plugins()] == [Sound]


def test_plugins_that_can_be_loaded_are(monkeypatch):
    import pluggy

    class Entry:
        def __init__(self, name):
            self.name = name

        def load(self):
            if self.name == "broken":
                raise ModuleNotFoundError("No module named 'x'", name="x")
            return object()

    manager = pluggy.PluginManager("llm")
    monkeypatch.setattr(llm_model.importlib.metadata, "entry_points", lambda group: [Entry("broken"), Entry("sound")])
    llm_model._load_sound(manager, ("json",))
    assert sorted(name for name, _ in manager.list_name_plugin()) == ["json", "sound"]
