"""Credentials in stored flows are encrypted, and come back as they were."""

import json

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from flowrunner.errors import RequestInvalid
from flowrunner.store.flows import FlowStore
from flowrunner.store.sealing import SEAL, seal, unseal
from flowrunner.store.secretbox import SecretBox, open_secret_box

KEY = b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
OTHER = b"MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="


@pytest.fixture
def box():
    return SecretBox(KEY)


def test_credentials_are_encrypted_and_the_rest_is_not(box):
    data = {
        "template": {
            "api_key": {"value": "plain-secret-1", "type": "str"},
            "phrase": {"value": "plain-secret-2", "password": True},
            "url": {"value": "postgresql://me:plain-secret-3@host/db"},
            "headers": {"value": [{"Authorization": "plain-secret-4"}]},
            "rows": {"value": [{"key": "X-Api-Key", "value": "plain-secret-6"}, ["Authorization", "plain-secret-7"]]},
            "note": {"value": "use sk-abcdefghijklmnopqrstu5"},
            "token": 12345678,
            "password": True,
            "text": {"value": "hello", "password": False},
        }
    }
    kept = json.dumps(seal(data, box))
    for secret in ("secret-1", "secret-2", "secret-3", "secret-4", "rstu5", "secret-6", "secret-7", "12345678"):
        assert secret not in kept
    assert '"hello"' in kept and '"password": true' in kept
    assert unseal(json.loads(kept), box) == data


names = st.sampled_from(["api_key", "value", "password", "x", "token", "headers"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=30)
    | st.just(SEAL + "x")
    | st.just("api_key=abcdefgh1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@given(values)
def test_everything_comes_back_as_it_was(value):
    box = SecretBox(KEY)
    assert unseal(json.loads(json.dumps(seal(value, box))), box) == value


def test_what_another_key_sealed_stays_as_it_is_and_the_flow_is_still_there(box, caplog):
    sealed = seal({"api_key": "secret", "name": "flow", "headers": [["token", "t0ken-1234"]]}, box)
    other = SecretBox(OTHER)
    shown = unseal(sealed, other)
    assert shown == sealed
    assert "another key" in caplog.text
    # Whoever sends it back has not changed it, and whoever has the key opens it still.
    assert unseal(seal(shown, other), box) == unseal(sealed, box)


def test_a_flow_is_stored_without_its_credentials(engine, settings):
    store = FlowStore(engine, settings.data_dir, box=open_secret_box(None, settings.data_dir))
    data = {"nodes": [{"id": "a", "data": {"node": {"template": {"api_key": {"value": "hidden-value"}}}}}], "edges": []}
    made = store.create("ann", {"name": "one", "data": data})
    assert made.data == store.get(made.id, "ann").data == store.list("ann")[0].data == data
    changed = store.update(made.id, "ann", {"data": {**data, "edges": [], "viewport": {"token": "hidden-value"}}})
    assert changed.data["viewport"] == {"token": "hidden-value"}
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT data FROM flowrunner_flows")).scalar_one()
    assert "hidden-value" not in kept


def test_a_flow_in_the_native_form_is_stored_without_its_credentials(engine, settings):
    store = FlowStore(engine, settings.data_dir, box=open_secret_box(None, settings.data_dir))
    component = {
        "type": "ChatInput",
        "settings": {"phrase": "hidden-value-1", "api_key": "hidden-value-2", "seed": [1, "hidden-value-3"], "n": 3},
        "hidden": {"old": "hidden-value-4"},
        "secrets": ["phrase", "api_key", "seed", "old", "gone"],
    }
    data = {"components": {"in": component, "token": component}}
    made = store.create("ann", {"name": "one", **data})
    assert made.data == store.get(made.id, "ann").data == data
    assert store.find(made.id, "ann").vertices[0].secrets == set(component["secrets"])
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT data FROM flowrunner_flows")).scalar_one()
    assert "hidden-value" not in kept


def test_a_flow_that_is_nested_too_deeply_is_refused(engine, settings):
    store = FlowStore(engine, settings.data_dir, box=open_secret_box(None, settings.data_dir))
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(RequestInvalid, match="too deeply"):
        store.create("ann", {"name": "deep", "data": {"nodes": deep, "edges": []}})


@pytest.mark.parametrize(
    "key",
    [b"", b"no key", KEY[:-4], KEY[:-1], b"A" + KEY, KEY + b"AAAA", KEY + b"\n", KEY.replace(b"M", b"*"), b"\xff" * 44],
    ids=range(9),
)
def test_a_key_is_refused_at_once_where_the_cipher_refuses_it_later(key):
    try:
        Fernet(key)
    except ValueError:
        with pytest.raises(ValueError):
            SecretBox(key)
    else:
        box = SecretBox(key)
        assert box.open(box.close("text")) == "text"
