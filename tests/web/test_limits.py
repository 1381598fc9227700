"""How often runs may be asked for: per key, session, flow and address, whichever way a run is asked for."""

import json

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from flowrunner import FlowRunner, Identity
from flowrunner.app import create_app
from flowrunner.engine.request import RunRequest
from flowrunner.errors import SettingsInvalid
from flowrunner.integrations.identity import visitors
from flowrunner.runs.requests import close_request
from flowrunner.store.counts import HeldPlaces
from flowrunner.store.keys import owner_of_user
from flowrunner.store.tables import places, runs
from tests.project.expected import declared_routes
from tests.waiting import wait_until
from tests.web.site import echo_flow
from tests.web.test_admission import DOORS
from tests.web.test_response_input import URL

ODD = "00000000-0000-4000-8000-00000000000d"
ROUTES = {route.name: route.shown_rule.replace("{flow}", "echo") for route in declared_routes()}


def ask(site, user="ann", session="", door="run", **more):
    name, query, sent = DOORS[door]
    body = sent("hello")
    if session:
        body["json"]["session_id"] = session
    answer = site.call(user, "POST", f"{ROUTES[name]}?{query}", **{**body, **more})
    answer.get_data()
    return answer


@pytest.fixture
def make_limited(make_site):
    def make(users=("ann", "bob"), **settings):
        site = make_site(**settings)
        for user in users:
            site.add_user(user)
            site.flow(user, echo_flow())
        return site

    return make


@pytest.mark.parametrize("door", list(DOORS))
def test_each_way_to_ask_for_a_run_is_counted_and_refused_in_a_sentence(make_limited, door):
    site = make_limited(rate_per_key="2/hour")
    assert [ask(site, door=door).status_code in (200, 202) for _ in range(2)] == [True, True]
    answer = ask(site, door=door)
    assert answer.status_code == 429 and answer.is_json
    assert "You may start 2 runs in 1 hour (FLOWRUNNER_RATE_PER_KEY)" in answer.get_data(as_text=True)
    assert 0 < int(answer.headers["Retry-After"]) <= 7200
    # Nothing of what was refused has begun.
    assert wait_until(lambda: len(site.ask("ann", "GET", "/api/v1/runs?status=success")["items"]) == 2)
    assert len(site.ask("ann", "GET", "/api/v1/runs")["items"]) == 2
    assert ask(site, "bob", door=door).status_code in (200, 202)


def test_what_runs_nothing_is_not_counted(make_limited):
    site = make_limited(rate_per_key="1/hour")
    for _ in range(3):
        assert site.call("ann", "GET", "/api/v1/monitor/messages").status_code == 200
        assert site.call("ann", "POST", "/api/v1/run/nothing", json={}).status_code == 404
        assert site.call("ann", "POST", "/api/v1/run/echo", json={"input_value": 1}).status_code == 422
    assert ask(site).status_code == 200


@pytest.mark.parametrize("door", ["run", "lines", "sse", "background", "webhook", "responses"])
def test_an_answer_that_is_replayed_costs_nothing(make_limited, door):
    site = make_limited(rate_per_key="1/hour", runs_per_key=1)
    first = ask(site, door=door, headers={"Idempotency-Key": "one"})
    assert first.status_code in (200, 202)
    for _ in range(3):
        again = ask(site, door=door, headers={"Idempotency-Key": "one"})
        assert (again.status_code, again.get_data()) == (first.status_code, first.get_data())
    refused = ask(site, door=door, headers={"Idempotency-Key": "two"})
    assert refused.status_code == 429
    # A refusal is no answer that is kept.
    assert ask(site, door=door, headers={"Idempotency-Key": "two"}).headers.get("Idempotent-Replayed") is None


def test_two_keys_of_one_owner_are_two_and_an_admin_in_anothers_name_is_the_admin(make_limited):
    site = make_limited(rate_per_key="1/hour")
    site.add_user("ann", name="ann's second")
    site.add_user("root", admin=True)
    as_ann = {"X-Flowrunner-Owner": site.ask("ann", "GET", "/api/v1/flows/")[0]["user_id"]}
    assert ask(site).status_code == 200
    assert ask(site, "ann's second").status_code == 200
    assert ask(site, "root", headers=as_ann).status_code == 200
    assert [ask(site).status_code, ask(site, "ann's second").status_code] == [429, 429]
    assert ask(site, "root", headers=as_ann).status_code == 429


def test_a_session_is_its_owners_and_only_one_that_is_named(make_limited):
    site = make_limited(rate_per_session="1/hour")
    assert [ask(site, session="s").status_code, ask(site, session="t").status_code] == [200, 200]
    answer = ask(site, session="s")
    assert answer.status_code == 429 and "FLOWRUNNER_RATE_PER_SESSION" in answer.get_json()["detail"]
    assert ask(site, "bob", session="s").status_code == 200
    assert [ask(site).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize(
    "tweaks",
    [
        {"ChatInput-a": {"session_id": "s"}},
        {"ChatInput-a": {"session_id": {"value": "s"}}},
        {"session_id": "s"},
        {"ChatInput-a": {"session_id": "another"}, "ChatOutput-b": {"session_id": "s"}},
    ],
    ids=["a field", "a field with more", "all fields", "two"],
)
def test_a_session_that_a_tweak_names_is_named(make_limited, tweaks):
    site = make_limited(rate_per_session="1/hour", runs_per_session=5)
    assert ask(site, session="s").status_code == 200
    run = ROUTES["run"]
    assert site.call("ann", "POST", run, json={"tweaks": tweaks}).status_code == 429
    assert site.call("ann", "POST", run, json={"tweaks": {"ChatInput-a": {"session_id": " "}}}).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_stays_of_what_a_refused_request_brought(make_limited, stream):
    site = make_limited(rate_per_key="1/hour")
    flow = site.ask("ann", "GET", "/api/v1/flows/")[0]["id"]
    turns = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    last = {"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": URL}]}
    body = {"model": "echo", "input": [*turns, last], "stream": stream}

    def kept():
        return len(site.messages("ann")), len(site.ask("ann", "GET", f"/api/v1/files/list/{flow}")["files"])

    first = site.call("ann", "POST", ROUTES["responses"], json=body)
    assert first.status_code == 200 and first.get_data()
    before = kept()
    assert before == (4, 1)
    assert site.call("ann", "POST", ROUTES["responses"], json=body).status_code == 429
    assert kept() == before


def test_a_flow_is_one_for_all_who_run_it(make_site, tmp_path):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "shared.json").write_text('{"components": {"a": {"type": "ChatInput"}}, "edges": []}')
    site = make_site(rate_per_flow="2/hour", flows_dir=str(tmp_path / "flows"))
    site.add_user("ann")
    site.add_user("bob")
    site.flow("ann", echo_flow())
    run = "/api/v1/run/shared"
    assert [site.call(who, "POST", run, json={}).status_code for who in ("ann", "bob", "ann")] == [200, 200, 429]
    assert ask(site).status_code == 200


def test_an_address_is_what_trusted_proxies_say_and_nobody_else(make_site):
    site = make_site(rate_per_address="1/hour", trusted_proxies=1)
    site.add_user("ann")
    site.flow("ann", echo_flow())

    def come(forwarded):
        return ask(site, headers={"X-Forwarded-For": forwarded}).status_code

    assert [come("192.0.2.1"), come("192.0.2.2"), come("192.0.2.1")] == [200, 200, 429]
    # What the client itself puts before the proxy's word changes nothing; a network of IPv6 is one.
    assert come("203.0.113.9, 192.0.2.1") == 429
    assert [come("2001:db8::1"), come("2001:db8::2"), come("2001:db8:0:1::1")] == [200, 429, 200]


def test_without_trusted_proxies_a_header_makes_nobody_another(make_limited):
    site = make_limited(rate_per_address="1/hour")
    claims = {"ann": "192.0.2.1", "bob": "192.0.2.2"}
    statuses = [ask(site, who, headers={"X-Forwarded-For": claim}).status_code for who, claim in claims.items()]
    assert statuses == [200, 429]


def test_the_local_user_of_an_open_server_stays_that_and_has_one_address(tmp_path):
    app = create_app(
        data_dir=tmp_path, memory="in-memory", auth="none", flows_dir="examples/flows", rate_per_address="1/hour"
    )
    client = app.test_client()

    def come(path, body, address="127.0.0.1", **headers):
        return client.post(path, json=body, headers=headers, environ_overrides={"REMOTE_ADDR": address}).status_code

    try:
        preview = ("/api/v1/memory/purge/preview", {"rules": "age=1d"})
        assert [come(*preview), come(*preview, **{"X-Flowrunner-Owner": "local"})] == [200, 200]
        run = ("/api/v1/run/basic-chat", {"input_value": "x"})
        assert [come(*run), come(*run, "::1"), come(*run, "127.0.0.2")] == [200, 429, 429]
    finally:
        app.extensions["flowrunner"]["flowrunner"].close()


def test_a_place_that_cannot_be_given_back_at_once_is_given_back_though_nobody_comes(make_limited, monkeypatch):
    site = make_limited(runs_per_key=1)
    give_back, failed = HeldPlaces.give_back, []

    def fail_once(held, run_ids):
        if not failed:
            failed.append(run_ids)
            raise OperationalError("DELETE", {}, Exception("away"))
        give_back(held, run_ids)

    monkeypatch.setattr(HeldPlaces, "give_back", fail_once)
    assert ask(site).status_code == 200 and failed
    assert wait_until(lambda: count_held(site) == 0)


def count_held(site):
    with site.runner.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(places)).scalar_one()


def test_a_worker_that_comes_too_late_for_a_run_leaves_the_places_of_who_has_it(make_limited, monkeypatch):
    site = make_limited(runs_per_flow=1)
    service, flow = site.runner.runs, site.ask("ann", "GET", "/api/v1/flows/")[0]["id"]
    identity = Identity(owner_of_user("ann"), author=True)
    asked = close_request(site.runner.find(flow, identity), RunRequest(), identity, service.box)
    service.ledger.accept(
        id=ODD, owner=identity.id, flow_id=flow, kind="background", engine="one", process=None, request=asked
    )
    has_place = service._has_place

    def begin_elsewhere(run_id, asked):
        assert service.ledger.begin_sent(run_id, service.registry.process_id)
        return has_place(run_id, asked)

    monkeypatch.setattr(service, "_has_place", begin_elsewhere)
    assert service.carry_out(ODD) == "running"
    assert count_held(site) == 1


def test_a_run_that_nobody_can_read_keeps_no_other_waiting(make_limited):
    site = make_limited(runs_per_key=1)
    service = site.runner.runs
    request = service.box.close(json.dumps({"request": {}, "identity": {"id": "x", "flows": None, "from_afar": 1}}))
    owner = owner_of_user("ann")
    service.ledger.accept(
        id=ODD, owner=owner, flow_id=ODD, kind="background", process=service.registry.process_id, request=request
    )
    with site.runner.engine.connect() as connection:
        row = connection.execute(select(runs).where(runs.c.id == ODD)).one()
    service._adopt([row])
    assert wait_until(lambda: service.find(ODD, owner).is_open is False)
    assert ask(site, door="background").status_code == 202
    assert wait_until(lambda: len(site.ask("ann", "GET", "/api/v1/runs?status=success")["items"]) == 1)


def test_what_one_limit_refuses_is_not_counted_by_the_others(make_limited):
    site = make_limited(rate_per_key="3/hour", rate_per_session="1/hour")
    assert [ask(site, session="s").status_code for _ in range(5)] == [200, 429, 429, 429, 429]
    assert [ask(site, session=s).status_code for s in ("t", "u", "v")] == [200, 200, 429]


def test_several_rates_hold_together(make_limited):
    site = make_limited(rate_per_key="100/hour; 2/day")
    statuses = [ask(site) for _ in range(3)]
    assert [answer.status_code for answer in statuses] == [200, 200, 429]
    assert "2 runs in 1 day" in statuses[-1].get_json()["detail"]


def test_visitors_of_one_address_are_one_and_users_of_a_site_are_each_their_own(tmp_path):
    app = Flask("site", instance_path=str(tmp_path / "instance"), root_path=str(tmp_path))
    app.secret_key = "secret"
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "echo.json").write_text(app.json.dumps(echo_flow()))

    def by_header(request):
        name = request.headers.get("X-User")
        return Identity(name) if name else visitors()(request)

    FlowRunner(app, url_prefix="/", identity=by_header, memory="in-memory", flows_dir="flows", rate_per_key="1/hour")

    def come(address, user=None):
        headers = {"X-Flowrunner": "1", **({"X-User": user} if user else {})}
        return (
            app.test_client()
            .post(
                "/api/v1/run/echo",
                json={"input_value": "x"},
                headers=headers,
                environ_overrides={"REMOTE_ADDR": address},
            )
            .status_code
        )

    try:
        # Without a cookie each is somebody new.
        assert [come("192.0.2.1"), come("192.0.2.1"), come("192.0.2.2")] == [200, 429, 200]
        assert [come("192.0.2.1", "ann"), come("192.0.2.1", "bob"), come("192.0.2.9", "ann")] == [200, 200, 429]
    finally:
        app.extensions["flowrunner"]["flowrunner"].close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rate_per_key": "lots"}, "RATE_PER_KEY"),
        ({"rate_per_flow": "0/minute"}, "RATE_PER_FLOW"),
        ({"rate_per_session": "5/fortnight"}, "RATE_PER_SESSION"),
        ({"rate_per_key": "5/0 minutes"}, "RATE_PER_KEY"),
        ({"rate_per_key": "5/99999999999 years"}, "RATE_PER_KEY"),
        ({"rate_per_key": "99999999999/second"}, "RATE_PER_KEY"),
        ({"rate_per_address": "-1/hour"}, "RATE_PER_ADDRESS"),
        ({"limits_store": "nowhere"}, "LIMITS_STORE"),
        ({"limits_store": "memcached://x"}, "LIMITS_STORE"),
        ({"runs_per_key": -1}, "RUNS_PER_KEY"),
    ],
    ids=lambda value: next(iter(value)) + str(next(iter(value.values()))) if isinstance(value, dict) else "",
)
def test_a_limit_that_is_none_is_refused_by_name(tmp_path, settings, said):
    with pytest.raises(SettingsInvalid, match=said):
        create_app(None, data_dir=tmp_path, memory="in-memory", **settings)


def test_without_the_extra_a_rate_is_refused_and_runs_at_a_time_are_not(tmp_path, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == "limits" else find(name, *more))
    with pytest.raises(SettingsInvalid, match=r"RATE_PER_KEY needs limits: pip install flask-flowrunner\[limits\]"):
        create_app(None, data_dir=tmp_path, memory="in-memory", rate_per_key="1/hour")
    create_app(None, data_dir=tmp_path, memory="in-memory", runs_per_key=3).extensions["flowrunner"][
        "flowrunner"
    ].close()


def test_a_redis_server_that_does_not_answer_is_refused_without_its_password(tmp_path):
    store = "redis://:hunter2@127.0.0.1:1/0"
    app = create_app(None, data_dir=tmp_path, memory="in-memory", rate_per_key="1/hour", limits_store=store)
    with pytest.raises(SettingsInvalid, match="LIMITS_STORE") as refused:
        app.extensions["flowrunner"]["flowrunner"].open()
    assert "hunter2" not in str(refused.value)
