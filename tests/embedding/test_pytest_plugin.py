"""The fixtures that a site's tests get, and that other tests do not notice them."""

from __future__ import annotations

from tests.embedding.sites import FLOWS
from tests.embedding.test_examples import run_tests

SITE_TESTS = """
import pytest


def test_a_runner_of_its_own(flow_runner):
    assert flow_runner.run("basic-chat", "hi", session_id="s").text == "hi"
    assert [m.text for m in flow_runner.memory.fetch(session_id="s")] == ["hi", "hi"]
    assert flow_runner.identity.id == "tester"


def test_each_test_starts_afresh(flow_runner, flow_memory):
    assert flow_runner.memory.fetch() == []
    assert flow_runner.runner.memory.backend is flow_memory


def test_models_say_what_they_are_told(flow_runner, scripted_model):
    scripted_model.answers("first", ["sec", "ond"])
    assert flow_runner.run("asking", "one").text == "first"
    assert list(flow_runner.stream("asking", "two")) == ["sec", "ond"]
    assert flow_runner.run("asking", "three").text == "second"
    assert scripted_model.asked[0][-1] == ("user", "one")


def test_a_model_may_fail(flow_runner, scripted_model):
    from flowrunner.testing.model_script import Fail

    scripted_model.answers(Fail(429, "too many"))
    with pytest.raises(Exception, match="too many"):
        flow_runner.run("asking", "one")


def test_conversations_are_recorded_once_and_then_replayed(replay_conversation, tmp_path):
    replay_conversation(tmp_path / "c.json", "basic-chat", "hi")
    replay_conversation(tmp_path / "c.json")
    text = (tmp_path / "c.json").read_text()
    (tmp_path / "c.json").write_text(text.replace('"say": "hi"', '"say": "ho"'))
    with pytest.raises(pytest.fail.Exception, match="turn 1 .'ho'., question.message"):
        replay_conversation(tmp_path / "c.json")


class TestSettings:
    @pytest.fixture
    def flow_settings(self):
        return {"session_policy": "require"}

    def test_they_may_be_given(self, flow_runner):
        with pytest.raises(Exception, match="requires a session"):
            flow_runner.run("basic-chat", "hi")


class TestWithAnApp:
    @pytest.fixture
    def app(self, tmp_path):
        from flask import Flask
        from flowrunner import FlowRunner

        app = Flask("site", instance_path=str(tmp_path))
        FlowRunner(app, identity=lambda request: None, memory="in-memory", flows_dir=FLOWS)
        yield app
        app.extensions["flowrunner"]["flowrunner"].close()

    def test_the_sites_own_runner(self, app, flow_runner):
        from flowrunner import current_runner

        assert flow_runner.runner is app.extensions["flowrunner"]["flowrunner"] is current_runner.runner
        assert flow_runner.run("basic-chat", "hi").text == "hi"
"""

#: Warnings are errors; the module behind an editable install is there before pytest.
STRICT = """filterwarnings =
    error
    ignore:Module already imported so cannot be rewritten; _editable_impl:pytest.PytestAssertRewriteWarning
"""

ASKING = """
{"name": "Asking", "components": {"q": {"type": "ChatInput"}, "m": {"type": "LanguageModelComponent"},
 "a": {"type": "ChatOutput"}}, "edges": ["q.message -> m.input_value", "m.text_output -> a.input_value"]}
"""


def test_the_fixtures(tmp_path):
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "basic-chat.json").write_text((FLOWS / "basic-chat.json").read_text())
    (flows / "asking.json").write_text(ASKING)
    (tmp_path / "test_site.py").write_text(f"FLOWS = {str(FLOWS)!r}\n{SITE_TESTS}")
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nflowrunner_flows = flows\n{STRICT}")
    done = run_tests(tmp_path, as_installed=True)
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


def test_tests_that_use_none_of_it_import_nothing_of_it(tmp_path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n\ndef test_it():\n"
        "    heavy = ('flask', 'sqlalchemy', 'hypothesis', 'alembic', 'marshmallow', 'flowrunner_models')\n"
        "    assert [name for name in heavy if name in sys.modules] == []\n"
    )
    done = run_tests(tmp_path)
    assert done.returncode == 0, done.stdout
