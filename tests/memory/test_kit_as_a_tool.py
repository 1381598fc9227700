"""The kit as a tool: versions, limits, clearing up, quotes, and the report of a call and of a command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from hypothesis.internal.conjecture import engine

from flowrunner.cli.validate import validate_command
from flowrunner.errors import BadRequest
from flowrunner.testing import KIT_VERSION, validate
from tests.live_server import ROOT, clean_environment
from tests.memory.plain import PlainMemory, SharedFile

#: Tests of an author, to be run by pytest in a process of their own.
MINE = """
import threading
from flowrunner.testing.memory.order import OrderTests, WindowTests
from flowrunner.testing.memory.threads import ThreadTests
from tests.memory.plain import PlainMemory

cleared = []

class Waiting(PlainMemory):
    def fetch_messages(self, query):
        if query.limit == 2:
            threading.Event().wait()
        return super().fetch_messages(query)

class Locking(PlainMemory):
    def append_messages(self, messages):
        if len(self.rows) > 40:
            self.lock.acquire()
        return super().append_messages(messages)

class Failing(PlainMemory):
    def fetch_messages(self, query):
        raise ZeroDivisionError

class TestWaiting(WindowTests):
    time_limit = 1
    def open_backend(self, folder):
        return Waiting()

class TestLocking(ThreadTests):
    time_limit = 1
    def open_backend(self, folder):
        return Locking()

class TestFailing(OrderTests):
    def open_backend(self, folder):
        return Failing()
    def clear_store(self, folder):
        cleared.append(folder.is_dir())

class TestUnopened(TestFailing):
    def open_backend(self, folder):
        raise RuntimeError("no server")

class TestNothing(TestFailing):
    def open_backend(self, folder):
        return None

def test_all_were_cleared():
    assert cleared == [True, True, True]
"""
CHOSEN = "limit_keeps_the_newest or limit_beyond or no_message_is_lost or come_back_oldest_first or were_cleared"


def open_shared(folder):
    return SharedFile(folder / "messages.json")


class LimitKeepsOldest(PlainMemory):
    def select(self, query):
        return super().select(query.replace(limit=None))[: query.limit]


def open_oldest(folder):
    return LimitKeepsOldest()


def refused(*arguments: str) -> str:
    """Return the sentence by which the command refuses its arguments."""
    result = CliRunner().invoke(validate_command, arguments)
    assert isinstance(result.exception, BadRequest)
    return result.exception.message


def test_hanging_tests_are_named_and_stores_are_cleared_however_a_test_ended(tmp_path):
    file = tmp_path / "test_mine.py"
    file.write_text(MINE)
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "-p", "no:cacheprovider", str(file), "-k", CHOSEN]
    environment = clean_environment(PYTHONPATH=str(ROOT), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "test_limit_keeps_the_newest was not done after 1 s" in ran.stdout
    assert "test_no_message_is_lost_doubled_or_out_of_order was not done after 1 s" in ran.stdout
    assert re.search("3 failed, 2 passed, .*2 errors", ran.stdout)
    assert "ZeroDivisionError" in ran.stdout
    assert "RuntimeError: no server" in ran.stdout
    assert "open_backend returned NoneType, which is not a flowrunner.MemoryBackend" in ran.stdout
    assert "test_all_were_cleared" not in ran.stdout.partition("short test summary")[2]


def test_a_class_pins_the_version_of_the_kit():
    only = ("windows and cursors",)
    report = validate(lambda folder: PlainMemory(), only=only, kit_version=1)
    assert report.passed
    assert report.missing == ("windows and cursors: the test was added in version 2 of the kit (6 tests)",)
    report = validate(lambda folder: PlainMemory(), only=only, kit_version=99)
    assert f"is 99; this kit has the versions 1 to {KIT_VERSION}" in report.failures[0].text


def test_looking_for_a_shorter_history_ends_in_time():
    before, seen = engine.MAX_SHRINKING_SECONDS, []

    class Oldest(LimitKeepsOldest):
        def select(self, query):
            seen.append(engine.MAX_SHRINKING_SECONDS)
            return super().select(query)

    report = validate(lambda folder: Oldest(), only=("random histories",), shortening=1)
    assert [failure.test for failure in report.failures] == ["test_random_histories_agree_with_a_plain_list"]
    assert set(seen) == {1}
    assert before == engine.MAX_SHRINKING_SECONDS


def test_a_call_reports_levels_times_and_what_is_missing():
    report = validate(open_shared, only=("order", "processes", "crashes", "session locks"), kills=1)
    assert report.passed, report.text()
    assert report.kit_version == KIT_VERSION
    assert report.levels["contract"] == report.levels["shared"] == "kept"
    assert report.levels["durable"].startswith("kept in part: the test class does not define crash_store")
    assert report.levels["session_lock"] == "not tried: it offers no session_lock"
    assert [group.name for group in report.groups] == ["order", "session locks", "processes", "crashes"]
    assert report.groups[0].passed == 7
    assert report.groups[0].seconds > 0
    assert any("offers no session_lock" in sentence for sentence in report.missing)
    assert json.loads(json.dumps(report.to_record()))["passed"] is True


def test_a_call_reports_failures_with_the_sentence_and_the_values():
    report = validate(open_oldest, only=("windows and cursors",), kit_version=1)
    assert not report.passed
    assert report.kit_version == 1
    assert report.levels["contract"].startswith("broken: ")
    failure = report.failures[0]
    assert (failure.test, failure.group) == ("test_limit_keeps_the_newest", "windows and cursors")
    assert failure.sentence.startswith("``limit`` keeps the newest N (after ``offset``)")
    assert "['a', 'b'] == ['d', 'e']" in failure.text
    assert f'The contract of flowrunner.MemoryBackend says: "{failure.sentence}"' in failure.text
    assert "FAILED test_limit_keeps_the_newest (windows and cursors)" in report.text()


def test_a_call_takes_functions_and_refuses_mistakes():
    cleared = []
    report = validate(lambda folder: PlainMemory(), only=("order", "processes"), clear_store=cleared.append)
    assert report.passed
    assert len(cleared) == sum(group.passed + group.left_out for group in report.groups)
    with pytest.raises(TypeError, match="no attribute lock_leese"):
        validate(open_shared, lock_leese=1)
    with pytest.raises(ValueError, match="no group ordre; it has order, "):
        validate(open_shared, only=("ordre",))


def test_a_function_that_other_processes_cannot_find_is_said():
    report = validate(lambda folder: SharedFile(folder / "m"), only=("processes",))
    assert any("define it at the top level of a file" in sentence for sentence in report.missing)


def test_a_backend_that_cannot_be_opened_fails_in_its_own_words():
    report = validate(lambda folder: 1 / 0, only=("order",))
    assert not report.passed
    assert "division by zero" in report.text()


def test_the_command_tries_a_function_and_exits_with_its_verdict():
    result = CliRunner().invoke(validate_command, [f"{__file__}:open_shared", "--only", "order", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["levels"]["contract"] == "kept"
    result = CliRunner().invoke(validate_command, [f"{__file__}:open_oldest", "--only", "windows and cursors"])
    assert result.exit_code == 1
    assert "contract        broken" in result.stdout


def test_the_command_tries_a_file_of_tests(tmp_path):
    file = tmp_path / "test_backend_of_mine.py"
    file.write_text(
        "from flowrunner.testing.memory.order import OrderTests\n"
        "from tests.memory.broken_backends import SortsByTime\n"
        "class TestMine(OrderTests):\n    def open_backend(self, folder):\n        return SortsByTime()\n"
    )
    result = CliRunner().invoke(validate_command, [f"{file}::TestMine"])
    assert result.exit_code == 1, result.output
    assert "FAILED test_the_clock_does_not_decide_order (order)" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere.py",), "There is no file nowhere.py"),
        (("nowhere:open_backend",), "nowhere cannot be imported"),
        (("tests.memory.plain:open_nothing",), "tests.memory.plain has no function open_nothing"),
        (("tests.memory.plain:PlainMemory", "--only", "ordre"), "The kit has no group ordre"),
        (("tests/memory/test_plain.py", "--only", "order"), "--only works with MODULE:FUNCTION"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_the_command_refuses_what_it_cannot_try(arguments, sentence, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert sentence in refused(*arguments)
