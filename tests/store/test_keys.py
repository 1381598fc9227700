"""API keys: shown once, known by their hash, refused at once when revoked."""

import hashlib
import time
import uuid

import pytest
from sqlalchemy import select, text

from flowrunner.errors import BadRequest, NotFound
from flowrunner.identity import Identity
from flowrunner.store.engine import reading, writing
from flowrunner.store.keys import KeyStore, owner_of_user
from flowrunner.store.tables import api_keys
from tests.waiting import wait_until


@pytest.fixture
def keys(engine, tmp_path):
    store = KeyStore(engine, tmp_path)
    yield store
    store.close()


def test_a_key_is_its_owners_identity(keys):
    key = keys.create("Ann", name="laptop", read_only=True, flows=["chat", "a"])
    assert key.startswith("fr-") and len(key) > 40
    expected = Identity(owner_of_user("Ann"), read_only=True, flows=frozenset({"a", "chat"}), name="Ann")
    assert keys.identify(key) == expected
    assert keys.identify(key) == expected


def test_no_key_is_an_admins_and_limited_to_flows(keys):
    for flows in (["chat"], []):
        with pytest.raises(BadRequest, match="cannot be limited to flows"):
            keys.create("Ann", admin=True, flows=flows)
    assert keys.list() == []
    admin = keys.identify(keys.create("Ann", admin=True, read_only=True))
    assert admin == Identity(owner_of_user("Ann"), admin=True, read_only=True, name="Ann", author=True)


def test_all_keys_of_a_name_are_one_owner_whose_id_is_a_uuid(keys):
    one, two, other = keys.create("Ann"), keys.create(" Ann "), keys.create("ann")
    assert keys.identify(one).id == keys.identify(two).id != keys.identify(other).id
    assert str(uuid.UUID(keys.identify(one).id)) == keys.identify(one).id
    assert keys.identify(keys.create("local")).id == "local"


@pytest.mark.parametrize("wrong", ["", "fr-", "fr-" + "x" * 43, "\ud800", "a\0b", "' OR 1=1 --"])
def test_other_texts_are_nobody(keys, wrong):
    keys.create("Ann")
    assert keys.identify(wrong) is None


def test_a_user_needs_a_name(keys):
    with pytest.raises(BadRequest):
        keys.create("  ")


@pytest.mark.parametrize("odd", ["x\x1b[31mred", "two\nlines", "\u202eback"])
def test_names_that_cannot_be_shown_are_refused(keys, odd):
    for given in ((odd, ""), ("ann", odd)):
        with pytest.raises(BadRequest, match="control characters"):
            keys.create(given[0], name=given[1])
    assert keys.list() == []


def test_the_key_itself_is_kept_nowhere(keys, engine, tmp_path):
    key = keys.create("Ann")
    with reading(engine) as connection:
        row = connection.execute(select(api_keys)).one()
    assert row.digest == hashlib.sha256(key.encode()).hexdigest()
    assert key not in str(tuple(row))
    assert all(key.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_list_shows_beginnings_only(keys):
    key = keys.create("Ann", name="laptop", flows=["a"])
    (record,) = keys.list()
    shown = record.to_json()
    assert shown["api_key"] == key[:8] + "*" * 38
    assert (shown["name"], shown["user"], shown["flows"], shown["last_used_at"]) == ("laptop", "Ann", ["a"], None)
    assert key not in str(shown)


def test_a_revoked_key_is_refused_at_once_in_every_process_of_the_machine(keys, engine, tmp_path):
    key, elsewhere = keys.create("Ann"), KeyStore(engine, tmp_path)
    for _ in range(20):
        other = keys.create("Bob")
        assert elsewhere.identify(other) and elsewhere.identify(key)
        keys.revoke(keys.list()[-1].id)
        assert elsewhere.identify(other) is None
    keys.revoke(keys.list()[0].id)
    assert elsewhere.identify(key) is None
    elsewhere.close()
    with pytest.raises(NotFound):
        keys.revoke("nothing")


def test_a_rotated_key_keeps_what_it_may(keys):
    old = keys.create("Ann", admin=True)
    new = keys.rotate(keys.list()[0].id)
    assert keys.identify(old) is None
    assert keys.identify(new).admin
    assert len(keys.list()) == 1
    with pytest.raises(NotFound):
        keys.rotate("nothing")


def test_a_key_revoked_on_another_machine_is_refused_within_half_a_minute(keys, engine, monkeypatch):
    key = keys.create("Ann")
    assert keys.identify(key)
    with writing(engine) as connection:
        connection.execute(text("DELETE FROM flowrunner_api_keys"))
    now = time.monotonic()
    monkeypatch.setattr("flowrunner.store.keys.time.monotonic", lambda: now + 31)
    assert keys.identify(key) is None


def test_the_last_use_is_noted_once_a_minute(keys, engine, monkeypatch):
    key = keys.create("Ann")
    keys.identify(key)
    assert wait_until(lambda: keys.list()[0].last_used_at is not None)
    with writing(engine) as connection:
        connection.execute(text("UPDATE flowrunner_api_keys SET last_used_at = NULL"))
    keys.identify(key)
    keys.close()
    assert keys.list()[0].last_used_at is None
    now = time.monotonic()
    monkeypatch.setattr("flowrunner.store.keys.time.monotonic", lambda: now + 61)
    keys.identify(key)
    assert wait_until(lambda: keys.list()[0].last_used_at is not None)
