"""Wrong API keys: an address that sends many waits, and nobody with a right key does."""

import pytest
from flask import Flask
from sqlalchemy import event

from flowrunner import FlowRunner, Identity
from flowrunner.errors import SettingsInvalid
from flowrunner.integrations.identity import first_of
from flowrunner.shares import WrongKeys
from tests.web.site import open_site

FAR, NEAR = "192.0.2.1", "192.0.2.2"
PATH = "/api/v1/monitor/messages"


def ask(app, key, *, address=FAR, path=PATH, header="x-api-key", method="GET", **headers):
    sent = {header: f"Bearer {key}" if header == "Authorization" else key, **headers}
    return app.test_client().open(path, method=method, headers=sent, environ_overrides={"REMOTE_ADDR": address})


@pytest.fixture
def make(tmp_path):
    from contextlib import ExitStack

    with ExitStack() as stack:

        def do_make(**settings):
            site = stack.enter_context(open_site(tmp_path, **settings))
            site.add_user("ann")
            return site

        yield do_make


@pytest.mark.parametrize(
    ("header", "path", "method", "before"),
    [
        ("x-api-key", PATH, "GET", 403),
        ("Authorization", PATH, "GET", 401),
        ("x-api-key", "/api/v1/run/x", "POST", 403),
        ("Authorization", "/api/v1/run/x", "POST", 403),
        ("Authorization", "/api/v1/responses", "POST", 403),
        ("x-api-key", "/api/v1/webhook/x", "POST", 403),
        ("x-api-key", "/api/v1/flows/", "DELETE", 403),
    ],
)
def test_an_address_that_sends_many_wrong_keys_is_told_to_wait(make, header, path, method, before):
    app = make(max_wrong_keys=3).app
    answers = [ask(app, f"fr-{n}", header=header, path=path, method=method) for n in range(5)]
    assert [answer.status_code for answer in answers] == [before] * 3 + [429] * 2
    refusal = answers[-1]
    assert 0 < int(refusal.headers["Retry-After"]) <= 20
    assert "FLOWRUNNER_MAX_WRONG_KEYS" in refusal.get_json()["detail"]
    assert refusal.get_json()["code"] == "too_many"
    assert ask(app, "fr-x", address=NEAR, header=header, path=path, method=method).status_code == before


def test_a_right_key_of_the_same_address_is_taken(make):
    site = make(max_wrong_keys=2)
    for _ in range(5):
        ask(site.app, "fr-wrong")
    assert ask(site.app, "fr-wrong").status_code == 429
    # One that this process has not seen yet, one that it has, and one that is made meanwhile.
    for _ in range(2):
        assert ask(site.app, site.keys["ann"]).status_code == 200
    site.add_user("bob")
    assert ask(site.app, site.keys["bob"]).status_code == 200
    assert ask(site.app, "fr-wrong").status_code == 429
    # A revoked one is as wrong as any other.
    site.runner.stores.keys.revoke(site.runner.stores.keys.record_of(site.keys["bob"]).id)
    assert ask(site.app, site.keys["bob"]).status_code == 429


def test_the_database_is_not_asked_about_the_keys_of_one_who_waits(make):
    site = make(max_wrong_keys=1)
    for _ in range(3):
        ask(site.app, "fr-wrong")
    asked = []
    event.listen(site.runner.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    answers = {ask(site.app, f"fr-{n}").status_code for n in range(200)}
    assert answers == {429}
    # The list of keys may have been read anew once or twice meanwhile.
    assert len(asked) < 20


def test_no_key_and_another_owners_key_are_no_wrong_keys(make):
    site = make(max_wrong_keys=1)
    for _ in range(5):
        answer = site.app.test_client().get(PATH, environ_overrides={"REMOTE_ADDR": FAR})
        assert answer.status_code == 403
        assert (
            ask(site.app, site.keys["ann"], path="/api/v1/flows/6f1a4d0e-59a3-5a0c-9f57-3b6c1f6d2a11").status_code
            == 404
        )
    assert ask(site.app, "fr-wrong").status_code == 403


def test_zero_counts_none(make):
    app = make(max_wrong_keys=0).app
    assert {ask(app, "fr-wrong").status_code for _ in range(50)} == {403}


def test_an_open_server_asks_for_no_key_and_counts_none(make):
    site = make(max_wrong_keys=1, auth="none")
    flow = site.ask(None, "POST", "/api/v1/flows/", 201, json={"name": "a", "data": {"nodes": [], "edges": []}})["id"]
    for _ in range(4):
        assert ask(site.app, "fr-wrong", address="127.0.0.1").status_code == 403
    answer = site.app.test_client().post(f"/api/v1/run/{flow}", json={}, headers={"Authorization": "Bearer any"})
    assert answer.status_code == 200, answer.text


def test_behind_proxies_clients_are_told_apart_by_what_the_last_ones_say(make):
    app = make(max_wrong_keys=2, trusted_proxies=1).app
    for _ in range(3):
        last = ask(app, "fr-wrong", address="127.0.0.1", **{"X-Forwarded-For": f"203.0.113.5, {FAR}"})
    assert last.status_code == 429
    # What a client wrote by itself is not believed, nor does it help.
    for claim in ("203.0.113.6", NEAR):
        answer = ask(app, "fr-wrong", address="127.0.0.1", **{"X-Forwarded-For": f"{claim}, {FAR}"})
        assert answer.status_code == 429
    assert ask(app, "fr-wrong", address="127.0.0.1", **{"X-Forwarded-For": NEAR}).status_code == 403


def test_a_site_says_by_itself_who_its_proxies_are(tmp_path):
    app = Flask("site", instance_path=str(tmp_path))
    with pytest.raises(SettingsInvalid, match="ProxyFix"):
        FlowRunner(app, memory="in-memory", trusted_proxies=1)


def test_without_a_word_on_proxies_no_header_names_the_client(make):
    app = make(max_wrong_keys=2).app
    answers = [ask(app, "fr-wrong", **{"X-Forwarded-For": f"203.0.113.{n}"}).status_code for n in range(4)]
    assert answers == [403, 403, 429, 429]


def test_a_network_of_ipv6_counts_as_one(make):
    app = make(max_wrong_keys=2).app
    answers = [ask(app, "fr-wrong", address=f"2001:db8:1:2::{n}").status_code for n in range(4)]
    assert answers == [403, 403, 429, 429]
    assert ask(app, "fr-wrong", address="2001:db8:1:3::1").status_code == 403


def test_who_is_logged_in_to_a_site_is_known_without_a_key(tmp_path):
    app = Flask("site", instance_path=str(tmp_path))
    by_header = lambda request: Identity("ann") if request.headers.get("X-User") else None  # noqa: E731
    FlowRunner(app, url_prefix="/", identity=first_of(by_header), memory="in-memory", max_wrong_keys=1)
    try:
        answers = [ask(app, "fr-wrong").status_code for _ in range(3)]
        assert answers == [403, 429, 429]
        assert ask(app, "fr-wrong", **{"X-User": "ann"}).status_code == 200
    finally:
        app.extensions["flowrunner"]["flowrunner"].close()


def test_patience_is_rewarded_bit_by_bit():
    now = [0.0]
    counted = WrongKeys(4, clock=lambda: now[0])
    for _ in range(4):
        assert counted.wait("a") == 0
        counted.note("a")
    assert counted.wait("a") == 15
    now[0] = 15.0
    assert counted.wait("a") == 0
    counted.note("a")
    assert counted.wait("a") == 15
    now[0] = 90.0
    for _ in range(4):
        assert counted.wait("a") == 0
        counted.note("a")
    assert counted.wait("a") == 15


def test_what_is_remembered_is_bounded():
    now = [0.0]
    counted = WrongKeys(2, clock=lambda: now[0])
    for number in range(25_000):
        counted.note(str(number))
    assert len(counted._paid_at) <= 10_000
    # Whoever goes on is remembered, and the quiet ones are forgotten.
    for number in range(20_000):
        counted.note("busy")
        counted.note(f"other {number}")
    assert counted.wait("busy") > 0
    now[0] = 10_000_000.0
    for _ in range(10_000):
        counted.note("one")
    assert len(counted._paid_at) == 1
