"""A client that leaves before its streamed run has begun: nothing is run for nobody."""

import socket

import pytest

from flowrunner import CancelToken


@pytest.mark.parametrize("stream", ["sse", "true"])
def test_a_run_that_waits_for_its_turn_ends_with_its_client(site, stream):
    ours, theirs = socket.socketpair()
    theirs.close()
    turns, owner = site.runner.services.turns, site.add_user("ann")
    with ours, turns.hold(owner, ["s"], cancelled=CancelToken()):
        answer = site.call(
            "ann",
            "POST",
            f"/api/v1/run/{site.flow('ann')}?stream={stream}",
            json={"input_value": "hi", "session_id": "s"},
            environ_overrides={"gunicorn.socket": ours},
        )
    assert answer.get_json()["code"] == "run_cancelled"
    assert site.texts("ann") == []
