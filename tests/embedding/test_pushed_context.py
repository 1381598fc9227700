"""A site may leave an app context pushed; then all its requests share one ``flask.g``, and nothing else."""

from __future__ import annotations

import logging

import pytest

from flowrunner import current_runner
from flowrunner.extension import FlowRunner
from flowrunner.integrations.identity import visitors
from tests.embedding.sites import by_header, run_flow, texts

QUIET = {"url_prefix": "/assistant", "memory": "in-memory", "run_log": False}
ANN, BOB = {"X-Checked-User": "ann"}, {"X-Checked-User": "bob"}


@pytest.fixture
def pushed(site):
    """A site whose app context was pushed and never popped, as for ``db.create_all()``."""
    with site.app_context():
        yield site


def test_each_visitor_is_somebody_of_their_own(pushed):
    FlowRunner(pushed, identity=visitors(), **QUIET)
    first, second = pushed.test_client(), pushed.test_client()
    said = run_flow(first, "a secret", session_id="s")
    assert texts(second, "s") == []
    greeted = run_flow(second, "hello", session_id="s")
    # The second had one from its first request already.
    assert "Set-Cookie" in said.headers
    assert "Set-Cookie" not in greeted.headers
    assert texts(first, "s") == ["a secret", "a secret"]
    assert texts(second, "s") == ["hello", "hello"]


def test_a_visitor_is_the_same_to_the_sites_own_code(pushed):
    """The cookie is sent once with an answer, however often one asks who it is."""
    FlowRunner(pushed, identity=visitors(), **QUIET)

    @pushed.get("/who")
    def who():
        return [current_runner.identity.id, current_runner.identity.id]

    first, second = pushed.test_client(), pushed.test_client()
    answers = [client.get("/who") for client in (first, second, first)]
    assert [len(answer.headers.getlist("Set-Cookie")) for answer in answers] == [1, 1, 0]
    (one, again), (other, _), (later, _) = (answer.json for answer in answers)
    assert one == again == later != other


def test_the_access_log_names_nobody_where_nobody_was_asked(pushed, caplog):
    """Neither for an open route, nor for a request that was refused, is the sender of the one before named."""
    caplog.set_level(logging.INFO, logger="flowrunner.access")
    FlowRunner(pushed, identity=by_header, access_log=True, **QUIET)
    client = pushed.test_client()
    run_flow(client, headers=ANN)
    client.get("/assistant/health", headers=BOB)
    run_flow(client)
    run_flow(client, headers=BOB)
    assert [line.owner for line in caplog.records if line.name == "flowrunner.access"] == ["ann", None, None, "bob"]
