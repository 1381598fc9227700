"""An accepted run that the database keeps from starting starts once that works, in the process that has it."""

import pytest
from sqlalchemy.exc import OperationalError

from flowrunner.app import create_app, runner_of
from flowrunner.engine.request import RunRequest
from flowrunner.errors import FlowRunnerError, StoreFailed
from flowrunner.identity import LOCAL_IDENTITY
from flowrunner.memory.message import new_id
from flowrunner.runs.requests import close_request
from flowrunner.store.outage import FULL, DatabaseFailed
from tests.waiting import wait_until


@pytest.fixture
def runner(tmp_path):
    made = runner_of(create_app(data_dir=tmp_path, auth="none", flows_dir="examples/flows"))
    yield made
    made.close()


def failing(monkeypatch, place, name, error):
    """Have a method fail until the returned function is called; what it was asked for is noted."""
    asked, whole = [], getattr(place, name)

    def fail(*arguments, **options):
        asked.append(arguments)
        raise error

    monkeypatch.setattr(place, name, fail)
    return asked, lambda: monkeypatch.setattr(place, name, whole)


ERRORS = [OperationalError("BEGIN", {}, Exception("disk full")), DatabaseFailed(FULL, "disk full")]


@pytest.mark.parametrize("error", ERRORS, ids=["driver", "store"])
def test_one_that_cannot_be_recorded_as_begun_begins_later(runner, monkeypatch, error):
    flow = runner.library.folders.find("basic-chat")
    asked, mend = failing(monkeypatch, runner.runs.ledger, "begin", error)
    run_id = runner.runs.accept(flow, RunRequest(input_value="hi", session_id="s"), LOCAL_IDENTITY, "background")
    assert wait_until(lambda: asked, 30)
    mend()
    assert wait_until(lambda: runner.runs.ledger.find(run_id, "local").status == "success", 60)
    assert [m.text for m in runner.memory_of(LOCAL_IDENTITY).fetch(session_id="s")] == ["hi", "hi"]


@pytest.mark.parametrize("error", ERRORS, ids=["driver", "store"])
def test_one_that_was_taken_over_and_cannot_be_read_begins_later(runner, monkeypatch, error):
    flow, run_id = runner.library.folders.find("basic-chat"), new_id()
    asked, mend = failing(monkeypatch, runner, "find", error)
    request = RunRequest(input_value="hi", session_id="s")
    runner.runs.ledger.accept(
        id=run_id,
        owner="local",
        flow_id=flow.id,
        session_id=None,
        kind="background",
        process=None,
        lane=None,
        request=close_request(flow, request, LOCAL_IDENTITY, runner.runs.box),
    )
    runner.runs.wake()
    assert wait_until(lambda: asked, 30)
    assert runner.runs.ledger.find(run_id, "local").status == "queued"
    mend()
    assert wait_until(lambda: runner.runs.ledger.find(run_id, "local").status == "success", 60)


@pytest.mark.parametrize(
    "error",
    [StoreFailed("no room"), OSError(28, "No space left on device"), RuntimeError("bug")],
    ids=["store", "disk", "bug"],
)
@pytest.mark.parametrize("kind", ["run_started", "vertex_finished"])
def test_a_run_whose_reader_fails_does_not_stay_open_in_the_run_log(runner, error, kind):
    flow = runner.library.folders.find("basic-chat")

    def read(event):
        if event.kind == kind:
            raise error

    with pytest.raises((FlowRunnerError, type(error))):
        runner.execute(flow, RunRequest(input_value="hi", session_id="s"), LOCAL_IDENTITY, emit=read)
    (found,) = runner.stores.run_log.runs("local")
    assert (found["status"], found["ended_at"] is not None) == ("error", True)
