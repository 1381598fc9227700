"""Many clients in one session, on several workers: every question is followed by its own answer."""

from __future__ import annotations

import pytest

from tests.crash.load import SHARED, Load, check
from tests.crash.site import Site

CLIENTS, TURNS = 8, 10


@pytest.mark.parametrize(("memory", "options"), [("sqlite", []), ("file-json", ["--preload"])])
def test_four_workers_and_eight_clients_break_no_pair(tmp_path, memory, options):
    site = Site(tmp_path, memory, workers=4).start(*options)
    with Load(site, clients=CLIENTS, sessions=(SHARED,), most=TURNS) as load:
        load.join()
    site.close()
    stored = site.read()
    assert sum(len(client.answered) for client in load.clients) == CLIENTS * TURNS
    assert check(load.clients, stored) == 0
    assert [sender for sender, _ in stored[SHARED]] == ["User", "Machine"] * (CLIENTS * TURNS)
