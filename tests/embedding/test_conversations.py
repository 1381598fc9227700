"""Recorded conversations: said again to a changed flow, they show what has become different, component by component."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from flowrunner import Component, FlowInvalid, Input, Message, Output
from flowrunner.app import create_app, runner_of
from flowrunner.cli import cli
from flowrunner.testing.conversations import Conversation, Turn, load, record, replay, save
from flowrunner.testing.differences import find_differences
from flowrunner.testing.forms import form_of, shown, value_of
from tests.embedding.sites import FLOWS

CHAT = {
    "name": "Chat",
    "components": {
        "question": {"type": "ChatInput"},
        "prompt": {"type": "Prompt Template", "settings": {"template": "Asked: {question}"}},
        "model": {"type": "Slow"},
        "answer": {"type": "ChatOutput"},
    },
    "edges": ["question.message -> prompt.question", "prompt.prompt -> model.text", "model.text -> answer.input_value"],
}


class Slow(Component):
    """Stands for a model: it waits, and never says the same twice."""

    type_name = "Slow"
    blocking = True
    inputs = (Input("text", required=True),)
    outputs = (Output("text"),)
    calls = 0

    def run(self, context, /, *, text):
        Slow.calls += 1
        return {"text": Message(text=f"answer {Slow.calls}")}


@pytest.fixture
def talk(tmp_path):
    """A function that gives a runner with one flow, changed as wanted."""
    runners = []

    def make(**changes):
        folder = tmp_path / f"flows{len(runners)}"
        folder.mkdir()
        flow = json.loads(json.dumps(CHAT))
        for name, settings in changes.items():
            flow["components"][name] = {**flow["components"].get(name, {}), "settings": settings}
        (folder / "chat.json").write_text(json.dumps(flow))
        app = create_app(
            flows_dir=str(folder),
            data_dir=str(tmp_path / "data"),
            memory="in-memory",
            auth="none",
            run_log=False,
            plugins=[Slow],
        )
        runners.append(runner_of(app))
        return runners[-1]

    yield make
    for runner in runners:
        runner.close()


class TestReplay:
    def test_nothing_changed_is_no_difference_and_models_are_not_asked_again(self, talk):
        recorded = record(talk(), "chat", ["one", "two"])
        asked = Slow.calls
        assert recorded.fixed == ("model",)
        assert find_differences(recorded, replay(talk(), recorded)) == []
        assert Slow.calls == asked

    def test_a_changed_component_is_named_with_what_it_said(self, talk):
        recorded = record(talk(), "chat", ["one", "two"])
        found = find_differences(recorded, replay(talk(prompt={"template": "Q: {question}"}), recorded))
        assert [(d.turn, d.say, d.component, d.output) for d in found] == [
            (1, "one", "prompt", "prompt"),
            (2, "two", "prompt", "prompt"),
        ]
        assert str(found[0]).splitlines() == [
            "  turn 1 ('one'), prompt.prompt:",
            "    - Asked: one",
            "    + Q: one",
        ]

    def test_who_says_it_counts(self, talk):
        recorded = record(talk(), "chat", ["one"])
        (found,) = find_differences(recorded, replay(talk(answer={"sender_name": "Robot"}), recorded))
        assert (found.component, found.now.split(" ")[0]) == ("answer", "Robot")

    def test_what_may_differ_is_passed_over(self, talk):
        recorded = record(talk(), "chat", ["one"])
        recorded = Conversation("chat", recorded.turns, (), ("model", "answer"))
        assert find_differences(recorded, replay(talk(), recorded)) == []

    def test_a_branch_that_is_not_taken_any_more(self):
        before = Conversation("f", (Turn("x", "a", {"p": {"o": "1"}}),))
        now = Conversation("f", (Turn("x", "a", {"q": {"o": "1"}}),))
        told = [(d.component, d.before, d.now) for d in find_differences(before, now)]
        assert told == [("p", "(ran)", "(did not run)"), ("q", "(did not run)", "(ran)")]

    def test_a_failure_is_part_of_the_conversation(self, talk):
        recorded = record(talk(), "chat", [""])
        broken = talk(prompt={"template": "{question"})
        found = find_differences(recorded, replay(broken, recorded))
        assert all(d.turn == 1 for d in found)

    def test_conversations_do_not_see_each_other(self, talk):
        runner = talk()
        record(runner, "chat", ["one"])
        assert record(runner, "chat", ["one"]).turns[0].components["question"] == {
            "message": {"message": "one", "sender": "User", "sender_name": "User"}
        }


class TestFile:
    def test_written_and_read_it_is_the_same(self, talk, tmp_path):
        recorded = record(talk(), "chat", ["é 語", ""], name="c")
        save(recorded, tmp_path / "deep" / "c.json")
        assert load(tmp_path / "deep" / "c.json") == recorded

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "{}",
            '{"format": "other"}',
            '{"format": "flowrunner conversation 1"}',
            "\x00",
            '{"format": "flowrunner conversation 1", "flow": "x", "turns": [{}]}',
        ],
    )
    def test_other_files_are_refused_by_name(self, tmp_path, text):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(FlowInvalid, match=r"x\.json is not a recorded conversation"):
            load(tmp_path / "x.json")

    @pytest.mark.parametrize(
        "value",
        [
            "text",
            1,
            None,
            True,
            [1, "a"],
            Message(text="x"),
            Message(text="x", sender="User", sender_name="Ann"),
            {"a": [1, {"b": None}]},
            [{"text": "x"}],
        ],
    )
    def test_values_come_back_as_they_were_kept(self, value):
        form = form_of(value)
        assert form_of(value_of(json.loads(json.dumps(form)))) == form
        assert isinstance(shown(form), str)

    def test_what_differs_from_run_to_run_is_not_kept(self):
        assert form_of({"text": "x", "id": "1", "timestamp": "t"}) == {"data": {"text": "x"}}
        assert form_of(object()) == {"other": "object"}
        assert value_of({"other": "object"}) is None


class TestCommand:
    def invoke(self, *words):
        return CliRunner().invoke(cli, ["test", *map(str, words)])

    def test_record_replay_and_update(self, tmp_path):
        flows, kept = tmp_path / "flows", tmp_path / "kept"
        flows.mkdir()
        text = (FLOWS / "memory-chat.json").read_text()
        (flows / "memory-chat.json").write_text(text)
        done = self.invoke(flows, kept, "--record", "memory-chat", "--say", "hi", "--say", "again", "--name", "first")
        assert (done.exit_code, done.output) == (0, f"recorded {kept / 'first.json'}\n")
        assert self.invoke(flows, kept).output == "1 conversations, 0 changed\n"

        (flows / "memory-chat.json").write_text(text.replace("So far:", "Until now:"))
        changed = self.invoke(flows, kept)
        assert changed.exit_code == 1
        assert "    - So far:\n    + Until now:" in changed.output
        assert changed.output.endswith("1 conversations, 1 changed\n")
        report = json.loads(self.invoke(flows, kept, "--json").output)
        assert {d["component"] for d in report[0]["differences"]} == {"prompt", "answer", "history"}

        assert self.invoke(flows, kept, "--update").exit_code == 0
        assert self.invoke(flows, kept / "first.json").exit_code == 0

    def test_a_flow_that_is_gone(self, tmp_path):
        flows = tmp_path / "flows"
        flows.mkdir()
        save(Conversation("gone", (Turn("hi", "x"),)), tmp_path / "c.json")
        done = self.invoke(flows, tmp_path / "c.json")
        assert (done.exit_code, "gone not found" in done.output) == (1, True)

    @pytest.mark.parametrize(
        ("words", "told"), [((), "contains no recorded conversation"), (("--record", "x"), "add --say")]
    )
    def test_misuse_is_a_sentence(self, tmp_path, words, told):
        done = self.invoke(FLOWS, tmp_path, *words)
        assert told in str(done.exception)
