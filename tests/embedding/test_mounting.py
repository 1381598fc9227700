"""Where a runner can lie in a site, how many there may be, and what is refused with a sentence."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace

import pytest
from flask import Blueprint, Flask, abort, g, request
from flowrunner_in_memory import InMemory
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from flowrunner import Component, Input, Message, Output, SettingsInvalid
from flowrunner.errors import MemoryFailed
from flowrunner.extension import FlowRunner
from flowrunner.site import closing
from flowrunner.site.current import get_runner
from flowrunner.web.chatbox import flowrunner_chat
from tests.embedding.conftest import close_runners
from tests.embedding.sites import FLOWS, OWN, by_header, by_session, make_site, run_flow, texts
from tests.waiting import wait_until

QUIET = {"memory": "in-memory", "run_log": False}


class Shout(Component):
    """Say it in capitals."""

    type_name = "SiteShout"
    inputs = (Input("input_value", required=True),)
    outputs = (Output("message"),)

    def run(self, context, /, *, input_value):
        return {"message": Message(text=str(getattr(input_value, "text", input_value)).upper())}


class Unclosable:
    """A runner whose backend fails while it is closed."""

    tries = 0

    def close(self):
        self.tries += 1
        raise MemoryFailed("The backend cannot be closed.")


class TestPlaces:
    def test_a_runner_answers_below_its_prefix(self, client):
        client.post("/login/ann")
        answer = run_flow(client, "hello", session_id="s")
        assert answer.status_code == 200
        assert answer.json["session_id"] == "s"
        assert texts(client, "s") == ["hello", "hello"]

    def test_the_usual_prefix(self, site):
        FlowRunner(site, identity=by_header, **QUIET)
        assert run_flow(site.test_client(), prefix="/flowrunner", headers={"X-Checked-User": "a"}).status_code == 200

    def test_a_factory_with_an_object_made_before(self, tmp_path):
        extension = FlowRunner(url_prefix="/assistant", identity=by_header, **QUIET)
        apps = [make_site(tmp_path / name) for name in ("one", "two")]
        for app in apps:
            extension.init_app(app)
        for number, app in enumerate(apps):
            run_flow(app.test_client(), f"to {number}", headers={"X-Checked-User": "a"}, session_id="s")
        seen = [get_runner(app=app).acting_as("a").memory.fetch(session_id="s")[0].text for app in apps]
        assert seen == ["to 0", "to 1"]
        assert not any(isinstance(value, Flask) for value in vars(extension).values())
        for app in apps:
            close_runners(app)

    def test_nested_in_blueprints_of_the_site(self, site):
        area = Blueprint("area", __name__, url_prefix="/area")
        inner = Blueprint("inner", __name__, url_prefix="/inner")

        @area.before_request
        def members_only():
            if not request.headers.get("X-Checked-User"):
                abort(401)
            g.area = "seen"

        FlowRunner(inner, url_prefix="/assistant", identity=by_header, **QUIET)
        area.register_blueprint(inner)
        site.register_blueprint(area)
        client = site.test_client()
        answer = run_flow(client, prefix="/area/inner/assistant", headers={"X-Checked-User": "a"})
        assert answer.status_code == 200
        assert run_flow(client, prefix="/area/inner/assistant").status_code == 401
        nothing = client.get("/area/inner/assistant/nothing", headers={"X-Checked-User": "a"})
        assert (nothing.status_code, nothing.json["code"]) == (404, "not_found")
        assert client.get("/area/inner/nothing", headers={"X-Checked-User": "a"}).text.startswith("<h1>The site")

    def test_one_blueprint_of_the_site_in_two_apps(self, tmp_path):
        area = Blueprint("area", __name__, url_prefix="/area")
        FlowRunner(area, url_prefix="/assistant", identity=by_header, **QUIET)
        for name in ("one", "two"):
            app = make_site(tmp_path / name)
            app.register_blueprint(area)
            answer = run_flow(app.test_client(), prefix="/area/assistant", headers={"X-Checked-User": "a"})
            assert answer.status_code == 200
            close_runners(app)

    @pytest.mark.parametrize("taken", [True, False])
    def test_in_a_blueprint_whose_prefix_has_a_value(self, site, taken):
        """Whether the site takes the value out of the address before its views, or lets them have it."""
        area = Blueprint("area", __name__, url_prefix="/<lang>")
        seen = []
        if taken:

            @area.url_value_preprocessor
            def take(endpoint, values):
                g.lang = values.pop("lang")

            @area.url_defaults
            def add(endpoint, values):
                values.setdefault("lang", g.lang)

        @area.get("/page")
        def page(lang=None):
            return flowrunner_chat("basic-chat")

        def look(request):
            seen.append(g.lang if taken else request.view_args["lang"])

        FlowRunner(area, url_prefix="/assistant", identity=by_header, guard=look, playground=True, **QUIET)
        site.register_blueprint(area)
        client = site.test_client()
        assert client.get("/en/assistant/health").json == {"status": "ok"}
        answer = run_flow(client, "hi", prefix="/en/assistant", headers={"X-Checked-User": "a"}, session_id="s")
        assert answer.status_code == 200, answer.text
        assert client.get("/de/assistant/playground").status_code == 200
        assert client.get("/en/assistant/nothing").json["code"] == "not_found"
        assert client.delete("/en/assistant/health").status_code == 405
        assert seen == ["en", "de", "en", "en"]
        assert 'api="/fr/assistant/api/v1"' in client.get("/fr/page").text

    def test_a_subdomain(self, tmp_path):
        site = Flask("site", instance_path=str(tmp_path), root_path=str(tmp_path), subdomain_matching=True)
        site.config.update(SERVER_NAME="example.test", FLOWRUNNER_FLOWS_DIR=str(FLOWS))
        FlowRunner(site, url_prefix="/", subdomain="chat", identity=by_header, **QUIET)
        client = site.test_client()
        there = {"base_url": "http://chat.example.test", "headers": {"X-Checked-User": "a", **OWN}}
        assert client.post("/api/v1/run/basic-chat", json={}, **there).status_code == 200
        assert client.get("/nothing", **there).json["code"] == "not_found"
        assert client.get("/nothing", base_url="http://example.test").mimetype == "text/html"
        close_runners(site)

    def test_below_a_script_name(self, mounted):
        site = Client(DispatcherMiddleware(Flask("outer"), {"/shop": mounted}))
        site.post("/shop/login/ann")
        assert site.post("/shop/assistant/api/v1/run/basic-chat", json={}, headers=OWN).status_code == 200
        wrong = site.put("/shop/assistant/api/v1/run/basic-chat", headers=OWN)
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, "OPTIONS, POST")
        with mounted.test_request_context("/", base_url="http://localhost/shop"):
            box = flowrunner_chat("basic-chat")
        assert 'api="/shop/assistant/api/v1"' in box

    def test_behind_a_proxy(self, mounted):
        mounted.wsgi_app = ProxyFix(mounted.wsgi_app, x_prefix=1, x_host=1, x_proto=1)
        client = mounted.test_client()
        proxied = {"X-Forwarded-Prefix": "/site", "X-Forwarded-Host": "www.example.test", "X-Forwarded-Proto": "https"}
        client.post("/login/ann", headers=proxied, base_url="https://www.example.test")
        answer = client.post(
            "/assistant/api/v1/run/basic-chat", json={}, headers={**OWN, **proxied}, base_url="https://www.example.test"
        )
        assert answer.status_code == 200

    def test_the_whole_app(self, tmp_path):
        app = Flask("app", instance_path=str(tmp_path), root_path=str(tmp_path), static_folder=None)
        FlowRunner(app, url_prefix="/", identity=by_header, flows_dir=str(FLOWS), **QUIET)
        client = app.test_client()
        assert run_flow(client, prefix="", headers={"X-Checked-User": "a"}).status_code == 200
        assert client.get("/nothing").json["code"] == "not_found"
        close_runners(app)


class TestSeveral:
    def test_two_runners_share_nothing(self, site):
        site.config["STAFF_FLOWRUNNER_SESSION_POLICY"] = "require"
        site.config["STAFF_FLOWRUNNER_FLOWS_DIR"] = str(FLOWS)
        site.testing = False
        FlowRunner(site, url_prefix="/assistant", identity=by_header)
        FlowRunner(site, url_prefix="/staff", name="staff", identity=by_header)
        client, ann = site.test_client(), {"X-Checked-User": "ann"}
        assert run_flow(client, "public", headers=ann, session_id="s").status_code == 200
        assert run_flow(client, "secret", prefix="/staff", headers=ann, session_id="s").status_code == 200
        assert run_flow(client, prefix="/staff", headers=ann).json["code"] == "session_required"
        with site.app_context():
            seen = [
                get_runner(n).acting_as("ann").memory.fetch(session_id="s")[0].text for n in ("flowrunner", "staff")
            ]
        assert seen == ["public", "secret"]
        folder = site.extensions["flowrunner"]["staff"].settings.data_dir
        assert folder.name == "staff_flowrunner"

    def test_runners_in_runners_places(self, site):
        site.config["INNER_FLOWRUNNER_FLOWS_DIR"] = str(FLOWS)
        FlowRunner(site, url_prefix="/a", identity=by_header, **QUIET)
        FlowRunner(site, url_prefix="/a/b", name="inner", identity=by_header, **QUIET)
        client, ann = site.test_client(), {"X-Checked-User": "ann"}
        for prefix in ("/a", "/a/b"):
            assert run_flow(client, headers=ann, prefix=prefix).status_code == 200
            assert client.get(f"{prefix}/nothing", headers=ann).json["code"] == "not_found"


class TestArguments:
    def test_components_of_the_site_need_no_package(self, site, tmp_path):
        flows = tmp_path / "flows"
        flows.mkdir()
        (flows / "shout.json").write_text(
            '{"name": "Shout", "components": {"q": {"type": "ChatInput"}, "s": {"type": "SiteShout"},'
            ' "a": {"type": "ChatOutput"}}, "edges": ["q.message -> s.input_value", "s.message -> a.input_value"]}'
        )
        del site.config["FLOWRUNNER_FLOWS_DIR"]
        FlowRunner(site, identity=by_header, flows_dir="flows", plugins=[Shout], **QUIET)
        with site.app_context():
            assert get_runner().run("shout", "hello", identity="ann").text == "HELLO"

    def test_folders_of_flows_are_relative_to_the_site(self, site, tmp_path):
        del site.config["FLOWRUNNER_FLOWS_DIR"]
        with pytest.raises(SettingsInvalid, match=f"FLOWS_DIR: the folder {tmp_path / 'no'} does not exist"):
            FlowRunner(site, flows_dir="no", **QUIET)

    def test_a_memory_backend_as_it_is(self, site):
        memory = InMemory()
        FlowRunner(site, identity=by_header, memory=memory, run_log=False)
        run_flow(site.test_client(), "x", prefix="/flowrunner", headers={"X-Checked-User": "a"}, session_id="s")
        assert site.extensions["flowrunner"]["flowrunner"].memory.backend is memory
        with site.app_context():
            assert len(get_runner().acting_as("a").memory.fetch(session_id="s")) == 2

    def test_each_answer_has_an_id_of_its_own_also_where_the_site_refuses(self, site):
        site.before_request(lambda: abort(503) if request.headers.get("X-Closed") else None)
        FlowRunner(site, url_prefix="/assistant", **QUIET)
        client = site.test_client()
        answers = [client.get("/assistant/health", headers={"X-Closed": closed}) for closed in ("", "1", "1", "")]
        assert [answer.status_code for answer in answers] == [200, 503, 503, 200]
        assert len({answer.headers["X-Request-Id"] for answer in answers}) == 4

    @pytest.mark.parametrize(
        ("verdict", "status"), [(None, 200), (True, 200), (False, 403), (("no", 418), 418), ("abort", 409)]
    )
    def test_the_guard_sees_every_request_first(self, site, verdict, status):
        def guard(request):
            if verdict == "abort":
                abort(409)
            return verdict

        FlowRunner(site, url_prefix="/assistant", identity=by_header, guard=guard, **QUIET)
        client = site.test_client()
        assert run_flow(client, headers={"X-Checked-User": "a"}).status_code == status
        assert client.get("/assistant/nothing").status_code == (404 if status == 200 else status)
        assert client.get("/assistant/health").status_code == 200
        assert client.get("/").text == "home"

    def test_an_identity_may_be_the_id_alone(self, site):
        FlowRunner(site, url_prefix="/assistant", identity=lambda r: 7, **QUIET)
        client = site.test_client()
        run_flow(client, "x", session_id="s")
        with site.app_context():
            assert get_runner().acting_as("7").memory.fetch(session_id="s")

    @pytest.mark.parametrize("answer", [None, False, ""])
    def test_nobody_may_be_said_in_several_ways(self, site, answer):
        FlowRunner(site, url_prefix="/assistant", identity=lambda r: answer, **QUIET)
        found = run_flow(site.test_client())
        assert (found.status_code, found.json["detail"]) == (403, "You are not logged in.")

    @pytest.mark.parametrize("answer", [True, b"x", 1.5, "x" * 256, "a\0b", object()])
    def test_an_identity_of_another_kind_is_our_error_and_no_user(self, site, answer):
        FlowRunner(site, url_prefix="/assistant", identity=lambda r: answer, **QUIET)
        found = run_flow(site.test_client())
        assert found.status_code == 500
        assert "identity callable returned" in found.json["detail"]


class TestEnd:
    def test_a_runner_goes_with_its_app(self, tmp_path):
        app = make_site(tmp_path)
        runner = FlowRunner(url_prefix="/assistant", identity=by_session).init_app(app)
        client = app.test_client()
        client.post("/login/a")
        assert run_flow(client).status_code == 200
        closed, gone = [], weakref.ref(app)
        runner._opened = replace(runner._opened, close=lambda end=runner._opened.close: closed.append(end()))
        threads = set(threading.enumerate())
        del app, client, runner
        gc.collect()
        for thread in set(threading.enumerate()) - threads:
            thread.join(10)
        gc.collect()
        assert closed == [None]
        assert gone() is None

    def test_who_holds_a_runner_alone_can_still_use_it(self, tmp_path):
        runner = FlowRunner(url_prefix="/assistant", identity=by_session).init_app(make_site(tmp_path))
        threads = set(threading.enumerate())
        gc.collect()
        for thread in set(threading.enumerate()) - threads:
            thread.join(10)
        assert runner.run("basic-chat", "Hi", session_id="s").text == "Hi"
        runner.close()

    def test_a_timer_keeps_no_runner(self, tmp_path):
        runner = FlowRunner(
            url_prefix="/assistant", identity=by_session, memory_retention="newest=5", memory_purge_every=3600
        ).init_app(make_site(tmp_path))
        runner.run("basic-chat", "Hi", session_id="s")
        gone = weakref.ref(runner)
        purging = runner._purging
        del runner
        gc.collect()
        assert purging._stopped.wait(10)
        purging._thread.join(10)
        assert wait_until(lambda: gc.collect() is not None and gone() is None)

    def test_a_runner_that_cannot_be_closed_keeps_no_other_open(self, mounted, monkeypatch):
        runner = get_runner(app=mounted).runner
        runner.open()
        wrong = [Unclosable(), Unclosable()]
        monkeypatch.setattr(closing, "_open", [wrong[0], runner, wrong[1]])
        with pytest.raises(MemoryFailed):
            closing._close_all()
        assert runner._closed and [one.tries for one in wrong] == [1, 1]

    def test_closing_twice_does_no_harm(self, mounted):
        runner = get_runner(app=mounted).runner
        runner.close()
        runner.close()
