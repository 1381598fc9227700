"""How a plugin comes by its settings, and keeps the things of one app apart from those of another."""

from __future__ import annotations

import pytest

from flowrunner import MessageQuery, PluginFailed, Setting, SettingsInvalid, hookimpl
from flowrunner.identity import LOCAL_IDENTITY


class Suffix:
    """Adds the operator's word to every text that is stored."""

    def __init__(self):
        self.word = "nobody told"

    @hookimpl
    def register_settings(self, register):
        register(Setting("SUFFIX", "!", "what is added"))

    @hookimpl
    def use_settings(self, settings):
        if settings.suffix == "boom":
            raise RuntimeError("no such word")
        if settings.suffix == "wrong":
            raise SettingsInvalid("FLOWRUNNER_SUFFIX cannot be wrong.")
        self.word = settings.suffix

    @hookimpl(wrapper=True)
    def append_messages(self, messages):
        messages[:] = [message.replace(text=message.text + self.word) for message in messages]
        return (yield)


def stored_texts(runner):
    runner.run("echo", "hi", session_id="s")
    return [message.text for message in runner.memory_of(LOCAL_IDENTITY).fetch(session_id="s")]


def test_hook_use_settings(start):
    plugin = Suffix()
    runner = start(plugin, config={"FLOWRUNNER_SUFFIX": "?"})
    assert plugin.word == "?"
    assert stored_texts(runner) == ["hi?", "hi?"]


def test_an_object_of_a_class_is_made_for_each_app(start, tmp_path):
    first = start(Suffix, config={"FLOWRUNNER_SUFFIX": "1"})
    second = start(Suffix, config={"FLOWRUNNER_SUFFIX": "2"}, data_dir=tmp_path / "second")
    assert stored_texts(first) == ["hi1", "hi1"]
    assert stored_texts(second) == ["hi2", "hi2"]


def test_a_plugin_that_cannot_work_with_its_settings_is_named(start):
    with pytest.raises(PluginFailed, match="Plugin Suffix failed in use_settings: no such word"):
        start(Suffix, config={"FLOWRUNNER_SUFFIX": "boom"})
    with pytest.raises(SettingsInvalid, match="SUFFIX cannot be wrong"):
        start(Suffix, config={"FLOWRUNNER_SUFFIX": "wrong"})


def test_a_query_that_is_changed_on_its_way_keeps_its_rules():
    query = MessageQuery(owner="ann", limit=3)
    query.become(limit=None, session_id="s")
    assert query == MessageQuery(owner="ann", session_id="s")
    with pytest.raises(TypeError):
        query.become(colour="red")
    assert query == MessageQuery(owner="ann", session_id="s")
