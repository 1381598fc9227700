"""What one caller may have of the server, also where a new cookie makes somebody new of them."""

import io
import json
import threading

import pytest
from flask import Flask

from flowrunner import Component, FlowRunner, Identity, Input, Output
from flowrunner.errors import FlowRunnerError, TooMany
from flowrunner.integrations.identity import first_of, visitors
from flowrunner.shares import Places, Uploads, group_of
from flowrunner.site.callers import as_identity
from tests.waiting import wait_until

OWN = {"X-Flowrunner": "1"}


class Wait(Component):
    """Wait until the test says so."""

    type_name = "Wait"
    inputs = (Input("input_value"),)
    outputs = (Output("message"),)
    gate = threading.Event()
    inside = threading.Semaphore(0)
    one_at_a_time = None

    def run(self, context, /, *, input_value):
        Wait.inside.release()
        if Wait.one_at_a_time is None:
            Wait.gate.wait(20)
        else:
            Wait.one_at_a_time.acquire(timeout=20)
        return {"message": input_value}


def by_header(request):
    name = request.headers.get("X-User")
    return Identity(name) if name else None


@pytest.fixture
def mount(tmp_path):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "wait.json").write_text(
        '{"name": "wait", "components": {"q": {"type": "ChatInput"}, "w": {"type": "Wait"}, "a": {"type":'
        ' "ChatOutput"}}, "edges": ["q.message -> w.input_value", "w.message -> a.input_value"]}'
    )
    made = []

    def do_mount(**settings):
        app = Flask("site", instance_path=str(tmp_path / "instance"), root_path=str(tmp_path))
        app.secret_key = "secret"
        arguments = {"flows_dir": "flows", "plugins": [Wait], "memory": "in-memory", **settings}
        FlowRunner(app, url_prefix="/", identity=first_of(by_header, visitors()), **arguments)
        made.append(app)
        return app

    Wait.gate.clear()
    Wait.one_at_a_time = None
    yield do_mount
    Wait.gate.set()
    for app in made:
        app.extensions["flowrunner"]["flowrunner"].close()


def say(app, results, address="192.0.2.1", **headers):
    """Run the flow that waits as somebody with no cookie, on a thread."""

    def go():
        answer = app.test_client().post(
            "/api/v1/run/wait",
            json={"input_value": "x"},
            headers={**OWN, **headers},
            environ_overrides={"REMOTE_ADDR": address},
        )
        results.append(answer.status_code)

    thread = threading.Thread(target=go)
    thread.start()
    return thread


@pytest.mark.parametrize("who", ["visitors of one address", "one user"])
def test_runs_at_a_time(mount, who):
    app, results = mount(max_runs_per_user=2), []
    headers = {"X-User": "ann"} if who == "one user" else {}
    threads = [say(app, results, **headers) for _ in range(2)]
    for _ in threads:
        assert Wait.inside.acquire(timeout=20)
    threads.append(say(app, results, **headers))
    assert wait_until(lambda: results == [429])
    # Others are not kept out: another user, a visitor from another address.
    threads.append(say(app, results, **{"X-User": "bob"}))
    threads.append(say(app, results, address="192.0.2.2"))
    for _ in range(2):
        assert Wait.inside.acquire(timeout=20)
    Wait.gate.set()
    for thread in threads:
        thread.join(20)
    assert sorted(results) == [200, 200, 200, 200, 429]


def test_a_polite_caller_begins_before_the_rest_of_twenty_runs_of_a_greedy_one(mount):
    app, results = mount(max_runs=1, max_runs_per_user=100), []
    runner = app.extensions["flowrunner"]["flowrunner"]
    Wait.one_at_a_time = threading.Semaphore(0)
    threads = [say(app, results, **{"X-User": "ann"})]
    assert Wait.inside.acquire(timeout=20)
    for number in range(1, 20):
        threads.append(say(app, results, **{"X-User": "ann"}))
        assert wait_until(lambda n=number: runner.places.waiting == n)
    threads.append(say(app, results, **{"X-User": "bob"}))
    assert wait_until(lambda: runner.places.waiting == 20)
    Wait.one_at_a_time.release()
    assert Wait.inside.acquire(timeout=20)
    begun = runner.runs.registry.active.values()
    assert [entry.owner for entry in begun].count("bob") == 1
    Wait.one_at_a_time.release()
    assert Wait.inside.acquire(timeout=20)
    # The second that began was bob's, and it has ended while nineteen of ann's have not.
    assert wait_until(lambda: "bob" not in [entry.owner for entry in begun])
    assert runner.places.waiting == 18
    Wait.gate.set()
    Wait.one_at_a_time.release(20)
    for thread in threads:
        thread.join(20)
    assert results == [200] * 21


def upload(app, size=10, address="192.0.2.1", **headers):
    flow = app.extensions["flowrunner"]["flowrunner"].library.folders.flows()[0].id
    return (
        app.test_client()
        .post(
            f"/api/v1/files/upload/{flow}",
            data={"file": (io.BytesIO(b"x" * size), "a.txt")},
            headers={**OWN, **headers},
            content_type="multipart/form-data",
            environ_overrides={"REMOTE_ADDR": address},
        )
        .status_code
    )


def test_a_new_cookie_gives_a_visitor_no_more_files(mount):
    app = mount(max_visitor_files=30, max_visitor_files_size=10_000)
    assert [upload(app) for _ in range(4)] == [201, 201, 201, 429]
    assert upload(app, size=1001, address="192.0.2.2") == 429
    assert upload(app, address="192.0.2.3") == 201
    assert upload(app, **{"X-User": "ann"}) == 201


def test_what_a_flow_saves_for_a_visitor_counts_as_their_upload(mount, tmp_path):
    for name, kind, output in (("saves", "SaveToFile", "message"), ("outer", "RunFlow", "flow_outputs_message")):
        components = {
            "q": {"type": "ChatInput"},
            "w": {"type": kind, "settings": {"flow_name": "saves"} if kind == "RunFlow" else {"file_name": "a.txt"}},
            "a": {"type": "ChatOutput"},
        }
        edges = [f"q.message -> w.{'input' if name == 'saves' else 'input_value'}", f"w.{output} -> a.input_value"]
        flow = {"name": name, "components": components, "edges": edges}
        (tmp_path / "flows" / f"{name}.json").write_text(json.dumps(flow))
    app = mount(max_visitor_files=30)

    def run(flow, number, **headers):
        tweaks = {"w": {"file_name": f"{number}.txt"}} if flow == "saves" else {}
        sent = {"json": {"input_value": "x", "tweaks": tweaks}, "headers": {**OWN, **headers}}
        environ = {"REMOTE_ADDR": "192.0.2.1"}
        return app.test_client().post(f"/api/v1/run/{flow}", environ_overrides=environ, **sent).status_code

    assert [run("saves", 1), run("outer", 2), run("saves", 3)] == [200, 200, 200]
    assert [run("saves", 4), run("outer", 5), upload(app)] == [429, 429, 429]
    assert run("saves", 6, **{"X-User": "ann"}) == 200


def test_all_visitors_together_have_a_bound(mount):
    app = mount(max_visitor_files=4, max_visitor_files_size=100)
    assert [upload(app, address=f"192.0.2.{n}") for n in range(5)] == [201, 201, 201, 201, 400]
    assert upload(app, **{"X-User": "ann"}) == 201


def test_one_user_has_a_bound_of_bytes(mount):
    app, ann = mount(max_files=3, max_files_size=100), {"X-User": "ann"}
    assert upload(app, size=90, **ann) == 201
    assert upload(app, size=11, **ann) == 413
    assert upload(app, size=10, **ann) == 201
    assert upload(app, size=1, **{"X-User": "bob"}) == 201


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
def test_visitors_of_one_address_or_network_share(one, other, same):
    app, recipe = Flask("x"), visitors()
    app.secret_key = "secret"
    groups = []
    for address in (one, other):
        with app.test_request_context(environ_overrides={"REMOTE_ADDR": address}):
            from flask import request

            groups.append(group_of(recipe(request)))
    assert (groups[0] == groups[1]) is same


def test_an_hour_later_there_is_room_again():
    now = [0.0]
    uploads, visitor = Uploads(1, 100, clock=lambda: now[0]), Identity("visitor-1", nameless=True, address="a")
    uploads.note(visitor, 1)
    with pytest.raises(TooMany):
        uploads.note(Identity("visitor-2", nameless=True, address="a"), 1)
    now[0] = 3601.0
    uploads.note(visitor, 1)


def test_what_is_counted_does_not_grow_with_addresses():
    now = [0.0]
    uploads = Uploads(1, 100, clock=lambda: now[0])
    for number in range(25_000):
        uploads.note(Identity("visitor-1", nameless=True, address=str(number)), 1)
    assert len(uploads._recent) <= 10_000
    places, visitor = Places(1, 1), Identity("visitor-1", nameless=True, address="a")
    for _ in range(3):
        with places.of(visitor):
            pass
    assert not places._taken


def test_keys_have_as_many_places_as_there_are_unless_a_setting_says_otherwise():
    ann = Identity("ann")
    with Places(None, 1).of(ann), Places(None, 1).of(ann):
        pass
    places = Places(1, 1)
    with places.of(ann), pytest.raises(TooMany, match="MAX_RUNS_PER_USER"), places.of(ann):
        pass


def test_somebody_nameless_is_called_as_limits_count_them():
    with pytest.raises(FlowRunnerError, match="visitor-"):
        as_identity(Identity("guest-1", nameless=True))
    assert as_identity(Identity("visitor-1", nameless=True)).nameless
