"""Memory hooks wrapped by plugins, in runs and over HTTP, on every backend that comes with flowrunner."""

from __future__ import annotations

import pytest

from flowrunner import MemoryFailed, MessageChanges, PluginFailed, hookimpl
from flowrunner.identity import LOCAL_IDENTITY

BACKENDS = ("in-memory", "file-json", "sqlite")


class Audit:
    """Notes which operations were asked for, and of whom."""

    def __init__(self):
        self.seen = []

    @hookimpl(wrapper=True)
    def append_messages(self, messages):
        stored = yield
        self.seen.append(("append", len(stored), stored[0].owner))
        return stored

    @hookimpl(wrapper=True)
    def fetch_messages(self, query):
        found = yield
        self.seen.append(("fetch", len(found), query.owner))
        return found

    @hookimpl(wrapper=True)
    def update_messages(self, query, changes):
        changed = yield
        self.seen.append(("update", len(changed), query.owner))
        return changed

    @hookimpl(wrapper=True)
    def delete_messages(self, query):
        number = yield
        self.seen.append(("delete", number, query.owner))
        return number

    @hookimpl(wrapper=True)
    def list_sessions(self, query):
        found = yield
        self.seen.append(("list", len(found), query.owner))
        return found

    @hookimpl(wrapper=True)
    def close(self):
        closed = yield
        self.seen.append(("close", closed, None))
        return closed


@pytest.mark.parametrize("memory", BACKENDS)
def test_a_wrapper_sees_every_operation_of_every_backend(start, memory):
    audit = Audit()
    runner = start(audit, memory=memory)
    runner.run("echo", "hi", session_id="a/b")
    mine = runner.memory_of(LOCAL_IDENTITY)
    mine.fetch(session_id="a/b")
    mine.update(MessageChanges(session_id="c"), session_id="a/b")
    mine.sessions()
    mine.delete(session_id="c")
    runner.close()
    assert audit.seen == [
        ("append", 2, "local"),
        ("fetch", 2, "local"),
        ("update", 2, "local"),
        ("list", 1, "local"),
        ("delete", 2, "local"),
        ("close", True, None),
    ]


@pytest.mark.parametrize("memory", BACKENDS)
def test_what_a_wrapper_changes_is_what_the_backend_gets(start, memory):
    class Narrow:
        @hookimpl(wrapper=True)
        def append_messages(self, messages):
            messages[:] = [message.replace(category="kept") for message in messages]
            return (yield)

        @hookimpl(wrapper=True)
        def fetch_messages(self, query):
            query.become(limit=1)
            return (yield)

        @hookimpl(wrapper=True)
        def update_messages(self, query, changes):
            changes.become(text=f"[{changes.text}]", edit=True)
            return (yield)

    runner = start(Narrow(), memory=memory)
    runner.run("echo", "hi", session_id="s")
    mine = runner.memory_of(LOCAL_IDENTITY)
    (last,) = mine.fetch(session_id="s", limit=2)
    assert (last.sender, last.category) == ("Machine", "kept")
    changes = MessageChanges(text="new")
    mine.update(changes, ids=(last.id,))
    assert changes == MessageChanges(text="new")
    (last,) = mine.fetch(session_id="s")
    assert (last.text, last.edit) == ("[new]", True)


@pytest.mark.parametrize("hook", ["append_messages", "fetch_messages", "delete_messages", "list_sessions"])
def test_a_wrapper_that_swallows_the_answer_is_an_error(start, hook):
    class Silent:
        @hookimpl(wrapper=True)
        def append_messages(self, messages):
            stored = yield
            return None if hook == "append_messages" else stored

        @hookimpl(wrapper=True)
        def fetch_messages(self, query):
            found = yield
            return None if hook == "fetch_messages" else found

        @hookimpl(wrapper=True)
        def delete_messages(self, query):
            number = yield
            return None if hook == "delete_messages" else number

        @hookimpl(wrapper=True)
        def list_sessions(self, query):
            found = yield
            return None if hook == "list_sessions" else found

    runner = start(Silent())

    def use():
        runner.run("echo", "hi", session_id="s")
        mine = runner.memory_of(LOCAL_IDENTITY)
        mine.fetch()
        mine.sessions()
        mine.delete(session_id="s")

    with pytest.raises(MemoryFailed, match=f"No memory backend answered {hook}"):
        use()


def test_a_wrapper_that_fails_before_the_backend_stores_nothing(start):
    class Refuse:
        @hookimpl(wrapper=True)
        def append_messages(self, messages):
            if any("secret" in message.text for message in messages):
                raise MemoryFailed("The text cannot be kept.")
            return (yield)

    runner = start(Refuse())
    with pytest.raises(MemoryFailed, match="cannot be kept"):
        runner.run("echo", "a secret", session_id="s")
    assert runner.run("echo", "a word", session_id="s").text == "a word"
    assert [m.text for m in runner.memory_of(LOCAL_IDENTITY).fetch(session_id="s")] == ["a word", "a word"]


def test_wrappers_of_several_plugins_lie_around_each_other(start):
    class Quote:
        @hookimpl(wrapper=True, tryfirst=True)
        def append_messages(self, messages):
            messages[:] = [message.replace(text=f'"{message.text}"') for message in messages]
            return (yield)

    class Shout:
        @hookimpl(wrapper=True)
        def append_messages(self, messages):
            messages[:] = [message.replace(text=f"{message.text}!") for message in messages]
            return (yield)

    runner = start(Shout(), Quote())
    runner.run("echo", "hi", session_id="s")
    assert [m.text for m in runner.memory_of(LOCAL_IDENTITY).fetch(session_id="s")] == ['"hi"!', '"hi"!']


def test_a_plugin_that_answers_in_the_backends_place_is_refused_by_name(start):
    class Usurper:
        @hookimpl
        def fetch_messages(self, query):
            return []

    with pytest.raises(PluginFailed, match="Plugin Usurper implements fetch_messages"):
        start(Usurper())
