"""An accepted run that the database keeps from starting starts once that works, in the process that has it."""

import threading

import pytest
from sqlalchemy.exc import OperationalError

from flowrunner.app import create_app, runner_of
from flowrunner.engine.request import RunRequest
from flowrunner.errors import FlowRunnerError, MemoryFailed, StoreFailed
from flowrunner.identity import LOCAL_IDENTITY
from flowrunner.memory.message import new_id
from flowrunner.runs import keeper
from flowrunner.runs.requests import close_request
from flowrunner.store.answers import AnswerStore
from flowrunner.store.outage import FULL, DatabaseFailed
from flowrunner.web.disconnect import Presence
from flowrunner.web.spool import Spool
from tests.waiting import wait_until


@pytest.fixture
def app(tmp_path):
    return create_app(data_dir=tmp_path, auth="none", flows_dir="examples/flows")


@pytest.fixture
def runner(app, monkeypatch):
    # What could not begin is looked for again every five seconds.
    monkeypatch.setattr(keeper, "_SWEEP", 0.1)
    monkeypatch.setattr(keeper, "_LOOK", 0.1)
    made = runner_of(app)
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


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
def test_a_key_that_cannot_be_noted_begins_neither_run_nor_stream(app, runner, monkeypatch, query):
    client = app.test_client()

    def ask():
        body = {"input_value": "hi", "session_id": "s"}
        return client.post(f"/api/v1/run/basic-chat{query}", json=body, headers={"Idempotency-Key": "k"})

    _, mend = failing(monkeypatch, AnswerStore, "begin", ERRORS[1])
    answer = ask()
    assert (answer.status_code, answer.is_json) == (503, True)
    mend()
    answer = ask()
    assert answer.status_code == 200 and answer.data
    assert [m.text for m in runner.memory_of(LOCAL_IDENTITY).fetch(session_id="s")] == ["hi", "hi"]


@pytest.mark.parametrize("query", ["?stream=true", "?stream=sse"])
def test_a_client_that_leaves_while_its_key_is_noted_does_not_end_the_run(app, runner, monkeypatch, query):
    left, looked, whole = threading.Event(), threading.Event(), AnswerStore.begin

    def is_over(presence):
        if left.is_set():
            looked.set()
        return left.is_set()

    def begin(*arguments):
        whole(*arguments)
        left.set()
        assert looked.wait(30)
        left.clear()

    monkeypatch.setattr(Presence, "is_over", is_over)
    monkeypatch.setattr(AnswerStore, "begin", begin)
    body, headers = {"input_value": "hi", "session_id": "s"}, {"Idempotency-Key": "k"}
    answer = app.test_client().post(f"/api/v1/run/basic-chat{query}", json=body, headers=headers)
    assert answer.status_code == 200 and b"cancelled" not in answer.data
    assert [m.text for m in runner.memory_of(LOCAL_IDENTITY).fetch(session_id="s")] == ["hi", "hi"]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["without a key", "with a key"])
def test_a_stream_that_cannot_be_opened_at_first_is_an_error(app, runner, monkeypatch, headers):
    opened, whole = [], Spool.open

    def open_second(*arguments, **options):
        opened.append(arguments)
        if len(opened) == 1:
            raise OSError(28, "No space left on device")
        return whole(*arguments, **options)

    monkeypatch.setattr(Spool, "open", open_second)
    asked = {"path": "/api/v1/run/basic-chat?stream=sse", "json": {"input_value": "hi"}, "headers": headers}
    answer = app.test_client().post(**asked)
    assert (answer.status_code, answer.is_json) == (503, True)
    # Nothing was sent that the next request with that key could get again.
    assert b"event: end" in app.test_client().post(**asked).data


def test_a_run_whose_question_cannot_be_stored_beside_the_database_does_not_stay_open(tmp_path, monkeypatch):
    made = runner_of(create_app(data_dir=tmp_path, auth="none", memory="file-json", flows_dir="examples/flows"))
    made.open()
    run_id, flow = new_id(), made.library.folders.find("basic-chat")
    failing(monkeypatch, made.memory.backend, "append_messages", MemoryFailed("The disk is full."))
    request = RunRequest(input_value="hi", session_id="s", streaming=True)
    with pytest.raises(MemoryFailed):
        made.execute(flow, request, LOCAL_IDENTITY, run_id=run_id)
    assert made.runs.ledger.find(run_id, "local").status == "error"
    made.close()


def test_what_cannot_be_marked_for_one_owner_holds_up_no_other(runner, monkeypatch):
    marked = []

    def mark(memory, run_id, state):
        if memory.owner == "ann":
            raise MemoryFailed("damaged")
        marked.append(run_id)

    monkeypatch.setattr("flowrunner.runs.service.mark_unanswered", mark)
    runner.open()
    runner.runs.registry.unmarked += [("ann", "1", "error"), ("bob", "2", "error")]
    runner.runs.wake()
    assert wait_until(lambda: marked == ["2"], 30)
    runner.runs.registry.unmarked.clear()


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
