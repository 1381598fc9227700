"""The runner in the site's own views, tasks and commands."""

from __future__ import annotations

import threading

import pytest
from flask import Flask, Response, current_app, g, stream_with_context

from flowrunner import Component, Identity, Input, Message, NotAllowed, Output, SettingsInvalid
from flowrunner.extension import FlowRunner
from flowrunner.site.current import current_runner, get_runner
from tests.embedding.conftest import close_runners
from tests.embedding.sites import by_header, by_session, run_flow, texts

QUIET = {"memory": "in-memory", "run_log": False}
TALE = ["Once", " upon", " a", " time"]


class Tell(Component):
    """Tell a tale, word by word, until the gate is shut."""

    type_name = "SiteTell"
    inputs = (Input("input_value"),)
    outputs = (Output("message"),)
    streams_through = ()
    told: threading.Event
    left: threading.Event

    def run(self, context, /, *, input_value):
        yield from TALE
        if str(getattr(input_value, "text", "")) == "wait":
            context.cancelled.wait(20)
            type(self).left.set()
            context.cancelled.raise_if_set()
        if str(getattr(input_value, "text", "")) == "fail":
            raise ValueError("the tale is lost")
        return {"message": Message(text="".join(TALE))}


class AskSite(Component):
    """Use what a site's own code uses: its app and the context of its request."""

    type_name = "SiteAsk"
    inputs = (Input("input_value"),)
    outputs = (Output("message"),)

    def run(self, context, /, *, input_value):
        g.setdefault("asked", 0)
        return {"message": Message(text=f"{current_app.name} {current_app.config['MOTTO']}")}


class AskSiteSlowly(AskSite):
    """The same on a thread of the pool."""

    type_name = "SiteAskSlowly"
    blocking = True


@pytest.fixture
def app(site: Flask, tmp_path):
    flows = tmp_path / "flows"
    flows.mkdir()
    for name, kind in (("tell", "SiteTell"), ("ask", "SiteAsk"), ("slowly", "SiteAskSlowly")):
        (flows / f"{name}.json").write_text(
            f'{{"name": "{name}", "components": {{"q": {{"type": "ChatInput"}}, "x": {{"type": "{kind}"}},'
            ' "a": {"type": "ChatOutput"}}, "edges": ["q.message -> x.input_value", "x.message -> a.input_value"]}'
        )
    del site.config["FLOWRUNNER_FLOWS_DIR"]
    site.config["MOTTO"] = "per aspera"
    Tell.left = threading.Event()
    FlowRunner(
        site,
        url_prefix="/assistant",
        identity=by_session,
        flows_dir=["flows", str(tmp_path / "flows")],
        plugins=[Tell, AskSite, AskSiteSlowly],
        **QUIET,
    )

    @site.get("/ask/<flow>/<text>")
    def ask(flow, text):
        return current_runner.run(flow, text, session_id="s").text

    @site.get("/tell/<text>")
    def tell(text):
        return Response(current_runner.stream("tell", text, session_id="s"), mimetype="text/plain")

    @site.get("/tell-within/<text>")
    def tell_within(text):
        return Response(stream_with_context(current_runner.stream("tell", text, session_id="s")))

    @site.get("/mine")
    def mine():
        return [message.text for message in current_runner.memory.fetch(session_id="s")]

    @site.errorhandler(NotAllowed)
    def refused(error):
        return error.message, error.status

    return site


@pytest.fixture
def ann(app):
    client = app.test_client()
    client.post("/login/ann")
    return client


class TestInAView:
    def test_a_run_in_the_name_of_whoever_is_logged_in(self, app, ann):
        assert ann.get("/ask/tell/x").text == "".join(TALE)
        assert ann.get("/mine").json == ["x", "".join(TALE)]
        assert texts(ann, "s") == ["x", "".join(TALE)]
        bob = app.test_client()
        bob.post("/login/bob")
        assert bob.get("/mine").json == []

    def test_nobody_is_told_so(self, app):
        answer = app.test_client().get("/ask/tell/x")
        assert (answer.status_code, "Nobody is logged in" in answer.text) == (403, True)

    def test_somebody_named_is_who_acts(self, app, ann):
        with app.test_request_context():
            current_runner.run("tell", "for bob", session_id="s", identity="bob")
            current_runner.acting_as(Identity("bob")).run("tell", "again", session_id="s")
            assert len(current_runner.acting_as("bob").memory.fetch(session_id="s")) == 4
        assert ann.get("/mine").json == []

    def test_a_reader_may_not_run(self, app):
        with app.app_context(), pytest.raises(NotAllowed, match="read-only"):
            current_runner.run("tell", "x", identity=Identity("ann", read_only=True))


class TestStreams:
    @pytest.mark.parametrize("path", ["/tell/x", "/tell-within/x"])
    def test_pieces_for_a_response(self, ann, path):
        answer = ann.get(path, buffered=False)
        assert list(answer.response) == [word.encode() for word in TALE]
        assert ann.get("/mine").json == ["x", "".join(TALE)]

    def test_a_flow_that_does_not_stream_gives_its_answer(self, ann, app):
        with app.app_context():
            assert list(current_runner.stream("ask", "x", identity="ann")) == ["site per aspera"]

    def test_who_stops_reading_stops_the_run(self, app):
        with app.app_context():
            pieces = current_runner.stream("tell", "wait", session_id="s", identity="ann")
        assert [next(pieces) for _ in TALE] == TALE
        pieces.close()
        assert Tell.left.wait(10)

    def test_what_stops_a_run_is_raised(self, app):
        with app.app_context():
            pieces = current_runner.stream("tell", "fail", identity="ann")
            assert [next(pieces) for _ in TALE] == TALE
            with pytest.raises(Exception, match="the tale is lost"):
                next(pieces)
            with pytest.raises(Exception, match="not found"):
                current_runner.stream("nothing", "x", identity="ann")


class TestContext:
    @pytest.mark.parametrize("flow", ["ask", "slowly"])
    def test_components_find_the_site(self, app, ann, flow):
        assert ann.get(f"/ask/{flow}/x").text == "site per aspera"
        assert run_flow(ann, flow=flow).status_code == 200
        streamed = ann.post(f"/assistant/api/v1/run/{flow}?stream=true", json={}, headers={"X-Flowrunner": "1"})
        assert "site per aspera" in streamed.text
        assert get_runner(app=app).run(flow, "x", identity="ann").text == "site per aspera"

    def test_a_task_on_another_thread_names_who_acts(self, app):
        seen = []

        def work():
            with app.app_context():
                seen.append(current_runner.run("ask", "x", identity="ann").text)
                with pytest.raises(NotAllowed, match="There is no current request"):
                    current_runner.run("ask", "x")
                with pytest.raises(NotAllowed, match="There is no current request"):
                    _ = current_runner.memory

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(20)
        assert seen == ["site per aspera"]

    def test_without_an_app_it_says_what_to_do(self):
        with pytest.raises(RuntimeError, match=r"with app.app_context\(\)"):
            current_runner.run("ask", "x")

    def test_a_command_of_the_site(self, app):
        @app.cli.command("ask")
        def ask():
            print(current_runner.run("ask", "x", identity="robot").text)

        assert app.test_cli_runner().invoke(args=["ask"]).output == "site per aspera\n"

    def test_an_open_runner_needs_nobody(self, site):
        FlowRunner(site, auth="none", **QUIET)
        with site.app_context():
            assert current_runner.run("basic-chat", "x").text == "x"
            assert current_runner.identity.id == "local"

    def test_without_an_identity_it_says_so(self, site):
        FlowRunner(site, **QUIET)
        with site.test_request_context(), pytest.raises(NotAllowed, match="was made without identity="):
            current_runner.run("basic-chat", "x")


class TestWhich:
    def test_an_app_without_a_runner(self):
        with Flask("bare").app_context(), pytest.raises(SettingsInvalid, match="has no runner: mount one"):
            current_runner.run("x")

    def test_one_of_several(self, site):
        for name in ("one", "two"):
            FlowRunner(site, url_prefix=f"/{name}", name=name, identity=by_header, **QUIET)
        with site.app_context():
            with pytest.raises(SettingsInvalid, match="several runners"):
                current_runner.run("x")
            with pytest.raises(SettingsInvalid, match="no runner named 'three'; it has one, two"):
                get_runner("three")
            assert get_runner("two").runner is site.extensions["flowrunner"]["two"]
        with site.test_request_context("/two/health"):
            assert current_runner.runner is site.extensions["flowrunner"]["two"]

    def test_apps_side_by_side(self, app, tmp_path):
        from tests.embedding.sites import make_site

        other = make_site(tmp_path / "other")
        FlowRunner(other, identity=by_header, **QUIET)
        with app.app_context():
            assert current_runner.runner is get_runner(app=app).runner
            with other.app_context():
                assert current_runner.runner is get_runner(app=other).runner
        close_runners(other)


def test_the_package_offers_both_by_name():
    import flowrunner

    assert flowrunner.FlowRunner is FlowRunner
    assert flowrunner.current_runner is current_runner
    assert flowrunner.get_runner is get_runner
