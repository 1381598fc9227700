"""Accepted runs that another process takes over are shared out among callers as before."""

from flowrunner.app import create_app, runner_of
from flowrunner.engine.request import RunRequest
from flowrunner.identity import Identity
from flowrunner.memory.message import new_id
from flowrunner.runs.requests import close_request
from tests.waiting import wait_until


def visitor(number, address):
    return Identity(f"visitor-{number}", nameless=True, address=address)


CALLERS = [visitor(1, "10.0.0.1"), visitor(2, "10.0.0.1"), visitor(3, "10.0.0.2"), Identity("ann")]


def test_visitors_from_one_address_stay_one_caller(tmp_path, monkeypatch):
    runner = runner_of(create_app(data_dir=tmp_path, auth="none", memory="in-memory", flows_dir="examples/flows"))
    flow, taken = runner.library.folders.find("basic-chat"), []
    monkeypatch.setattr(runner.runs.pool, "add", taken.extend)

    def accept(caller, request):
        runner.runs.ledger.accept(
            id=new_id(),
            owner=caller.id,
            flow_id=flow.id,
            session_id=None,
            kind="background",
            process=None,
            lane=None,
            request=request,
        )

    for caller in CALLERS:
        accept(caller, close_request(flow, RunRequest(), caller, runner.runs.box))
    # One whose request cannot be read is its owner's alone, and keeps nobody waiting.
    accept(visitor(4, "10.0.0.1"), "no request")
    runner.runs.wake()
    assert wait_until(lambda: len(taken) == 5)
    groups = [job.group for job in sorted(taken, key=lambda job: job.seq)]
    assert groups == ["visitor-10.0.0.1", "visitor-10.0.0.1", "visitor-10.0.0.2", "ann", "visitor-4"]
    monkeypatch.undo()
    runner.close()
