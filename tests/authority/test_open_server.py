"""A server without keys answers this machine alone, however it was started."""

from pathlib import Path

import pytest
import requests
from flask import Flask

from flowrunner import FlowRunner
from flowrunner.addresses import is_loopback
from flowrunner.app import create_app
from tests.live_server import DEADLINE

ELSEWHERE = ("192.0.2.7", "10.0.0.1", "172.17.0.1", "2001:db8::1", "::ffff:192.0.2.7", "nonsense")
HERE = ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "")


@pytest.fixture
def client(tmp_path):
    app = create_app(data_dir=tmp_path, memory="in-memory", auth="none", flows_dir="examples/flows")
    yield app.test_client()
    app.extensions["flowrunner"]["flowrunner"].close()


def run(client, environ=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(
        "/api/v1/run/basic-chat", json={"input_value": "hi"}, headers=named, environ_overrides=environ or {}
    ).status_code


@pytest.mark.parametrize("address", ELSEWHERE)
def test_who_comes_from_elsewhere_is_refused(client, address):
    assert run(client, {"REMOTE_ADDR": address}) == 403
    assert run(client, X_Forwarded_For=address) == 403
    assert run(client, X_Forwarded_For=f"127.0.0.1, {address}") == 403
    assert run(client, X_Real_IP=address) == 403
    shown = f'"[{address}]:4711"' if ":" in address else address
    assert run(client, Forwarded=f"for=127.0.0.1;proto=https, for={shown};by=127.0.0.1") == 403
    assert client.get("/api/v1/flows/", environ_overrides={"REMOTE_ADDR": address}).status_code == 403


@pytest.mark.parametrize("address", HERE)
def test_who_is_here_is_the_local_user(client, address):
    assert run(client, {"REMOTE_ADDR": address}) == 200
    assert run(client, X_Forwarded_For=address) == 200


@pytest.mark.parametrize("host", ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test", "192.0.2.7"])
def test_a_name_that_is_not_this_machines_is_refused(client, host):
    assert run(client, {"HTTP_HOST": host}) == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1:5000", "[::1]:7860", "localhost."])
def test_a_name_of_this_machine_is_taken(client, host):
    assert run(client, {"HTTP_HOST": host}) == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost", 200),
        ("https://localhost", 403),
        ("http://localhost:3000", 403),
        ("ftp://localhost", 403),
        ("http://evil.test", 403),
        ("null", 403),
        ("localhost", 403),
    ],
)
def test_a_page_of_this_server_may_call_it_and_no_other(client, origin, status):
    assert run(client, Origin=origin) == status


def test_in_a_site_it_is_the_same(tmp_path):
    app = Flask("site", instance_path=str(tmp_path))
    FlowRunner(app, url_prefix="/", auth="none", memory="in-memory", flows_dir=str(Path("examples/flows").absolute()))
    runner = app.extensions["flowrunner"]["flowrunner"]
    try:
        assert run(app.test_client()) == 200
        assert run(app.test_client(), {"REMOTE_ADDR": "192.0.2.7"}) == 403
        assert run(app.test_client(), {"HTTP_HOST": "shop.test"}) == 400
    finally:
        runner.close()


def test_names_that_the_operator_lists_are_taken(tmp_path):
    app = create_app(
        data_dir=tmp_path, memory="in-memory", auth="none", flows_dir="examples/flows", trusted_hosts="box.test"
    )
    try:
        assert run(app.test_client(), {"HTTP_HOST": "box.test"}) == 200
        assert run(app.test_client(), {"HTTP_HOST": "localhost"}) == 400
    finally:
        app.extensions["flowrunner"]["flowrunner"].close()


def test_with_a_key_one_may_come_from_anywhere(client):
    key = client.application.extensions["flowrunner"]["flowrunner"].stores.keys.create("ann")
    assert run(client, {"REMOTE_ADDR": "192.0.2.7"}, x_api_key=key) == 200


def gunicorn(address, *more):
    return ["gunicorn", "-b", address, "-w", "1", *more, "wsgi:app"]


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_gunicorn_does_not_open_it_to_others(start_server, tmp_path, address):
    environment = {"FLOWRUNNER_DATA_DIR": str(tmp_path), "FLOWRUNNER_AUTH": "none"}
    ours = ("-c", "python:flowrunner.serving")
    server = start_server(gunicorn(address, *ours), environment=environment, ready=False, forked=True)
    assert server.wait() != 0
    assert "can be reached from other machines and so requires API keys" in server.output
    assert "Traceback" not in server.output


def test_under_gunicorn_it_is_open_to_this_machine_by_its_own_names(start_server, tmp_path):
    environment = {"FLOWRUNNER_DATA_DIR": str(tmp_path), "FLOWRUNNER_FLOWS_DIR": "examples/flows"}
    environment["FLOWRUNNER_AUTH"] = "none"
    command = gunicorn("127.0.0.1:0", "-c", "python:flowrunner.serving")
    server = start_server(command, environment=environment, forked=True)
    server.run("basic-chat", "hi")
    where = f"{server.url}/api/v1/run/basic-chat"
    for headers, status in (({"Host": "evil.test"}, 400), ({"Origin": server.url.replace("http:", "https:")}, 403)):
        refused = requests.post(where, json={"input_value": "hi"}, headers=headers, timeout=DEADLINE)
        assert refused.status_code == status


@pytest.mark.parametrize("address", ["localhost", *HERE[:-1], "[::1]"])
def test_loopback(address):
    assert is_loopback(address)
    assert not is_loopback(f"{address}.evil.test")
