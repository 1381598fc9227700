"""Stores of two owners, on every backend."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from flowrunner import Message
from flowrunner.memory import Memory
from flowrunner.testing.memory.samples import AWKWARD_JSON, AWKWARD_TEXTS, NOON, make_full_message, make_message
from tests.conversations.conftest import BACKENDS, open_backend

DAYS = (datetime.min, datetime(999, 12, 31, 23, 59, 59, 999999), datetime.max)


@pytest.fixture
def open_store(tmp_path):
    """Open stores by the name of a backend, each on a folder of its own."""
    opened = []

    def open_store(name):
        folder = tmp_path / f"store{len(opened)}"
        folder.mkdir()
        backend = open_backend(name, folder)
        opened.append(backend)
        return Memory(backend, backend=backend, name=name)

    yield open_store
    for backend in opened:
        backend.close()


@pytest.fixture(params=BACKENDS)
def store(request, open_store):
    return open_store(request.param)


def said(number, session_id="s1", days=0, **fields):
    """A message that is so many days older than noon."""
    fields = {"sender": "User", "sender_name": "User", **fields}
    return Message(text=str(number), session_id=session_id, timestamp=NOON - timedelta(days=days), **fields)


def fill(store):
    """Fill a store with what is hard to carry, in sessions that take turns."""
    ann, bob = store.for_owner("ann"), store.for_owner("bob")
    for number, text in enumerate(AWKWARD_TEXTS.values()):
        owner = (ann, bob)[number % 2]
        session = list(AWKWARD_TEXTS.values())[:9][number % 9]
        owner.append([make_message(text, session, owner=owner.owner), make_full_message(session_id=session)])
    ann.append([make_message(f"{day}", "moments", timestamp=day.replace(tzinfo=timezone.utc)) for day in DAYS])
    ann.append([make_message("", "plain", properties={}, content_blocks=(), context_id=None)])
    bob.append([make_message("", "plain", owner="bob", properties=AWKWARD_JSON, duration=2.0)])
