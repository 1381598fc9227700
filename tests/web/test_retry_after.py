"""Whatever is refused for now says when to try again."""

from __future__ import annotations

from pathlib import Path

import pytest
from flowrunner_file_json.session_file import Damaged

from flowrunner.errors import FlowRunnerError, KeyInFlight
from flowrunner.store.outage import AWAY, DatabaseFailed
from tests.project.expected import error_codes

error_codes()


def refusals(kind=FlowRunnerError):
    """Return the classes of errors that refuse for now: busy, too many, out of order, under way."""
    found = [kind] if kind.status in (429, 503) or kind is KeyInFlight else []
    return found + [one for sub in kind.__subclasses__() for one in refusals(sub)]


PATHS = (
    "run/{flow}",
    "run/{flow}?stream=true",
    "run/{flow}?stream=sse",
    "run/{flow}?background=true",
    "webhook/{flow}",
    "responses",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", sorted(refusals(), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_refusal_of_a_run_says_when_to_try_again(site, monkeypatch, kind, path):
    flow = site.flow("ann")

    def refuse(*args, **options):
        given = {DatabaseFailed: (AWAY, "not now"), Damaged: (Path("file"), 1, "not now")}
        raise kind(*given.get(kind, ("not now",)))

    for name in ("execute", "start", "admit"):
        monkeypatch.setattr(type(site.runner), name, refuse)
    body = {"input_value": "hi", "model": flow, "input": "hi"}
    answer = site.call("ann", "POST", f"/api/v1/{path.format(flow=flow)}", json=body)
    assert answer.status_code == kind.status
    assert int(answer.headers["Retry-After"]) >= 1
    assert "not now" in answer.get_data(as_text=True) or kind.status == 503


def test_refusals_of_other_routes_say_it_too(site, monkeypatch):
    from flowrunner.errors import StoreFailed

    def refuse(*args, **options):
        raise StoreFailed("not now")

    monkeypatch.setattr(type(site.runner), "memory_of", refuse)
    for method, path in (("GET", "monitor/messages"), ("GET", "monitor/messages/sessions")):
        answer = site.call("ann", method, f"/api/v1/{path}")
        assert (answer.status_code, int(answer.headers["Retry-After"]) >= 1) == (503, True)
