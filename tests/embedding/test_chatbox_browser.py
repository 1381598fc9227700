"""The chat box in a real browser: flows that keep nothing, and a session that the page names."""

from __future__ import annotations

import json

import pytest
from flask import Flask, render_template_string

from flowrunner import FlowRunner
from tests.embedding.browser import browser, serve, window
from tests.embedding.conftest import close_runners
from tests.embedding.test_browser import say, shown

__all__ = ["browser", "window"]

_QUESTION = {"type": "ChatInput"}
_FLOWS = {
    "kept": {"question": _QUESTION, "answer": {"type": "ChatOutput"}},
    "silent": {"question": _QUESTION, "answer": {"type": "ChatOutput", "settings": {"should_store_message": False}}},
}


@pytest.fixture
def pages(tmp_path):
    """A site with a page for each flow and session; gives its address."""
    folder = tmp_path / "flows"
    folder.mkdir()
    for name, components in _FLOWS.items():
        flow = {"name": name, "components": components, "edges": ["question.message -> answer.input_value"]}
        (folder / f"{name}.json").write_text(json.dumps(flow))
    app = Flask("site", instance_path=str(tmp_path))
    FlowRunner(app, url_prefix="/assistant", flows_dir=str(folder), identity=lambda request: "ann", memory="in-memory")
    app.add_url_rule("/favicon.ico", view_func=lambda: ("", 204))

    @app.get("/<flow>")
    @app.get("/<flow>/<session>")
    def page(flow, session=None):
        source = "<!doctype html><title>x</title>{{ flowrunner_chat(flow, session_id=session) }}"
        return render_template_string(source, flow=flow, session=session)

    with serve(app) as port:
        yield f"http://127.0.0.1:{port}"
    close_runners(app)


def test_an_answer_that_is_not_kept_is_shown(window, pages):
    window.goto(f"{pages}/silent")
    say(window, "hello")
    shown(window).to_have_text(["hello", "hello"])


def test_an_answer_that_is_kept_is_shown_once(window, pages):
    window.goto(f"{pages}/kept")
    say(window, "hello")
    shown(window).to_have_text(["hello", "hello"])
    say(window, "again")
    shown(window).to_have_text(["hello", "hello", "again", "again"])


def test_no_new_conversation_where_the_page_names_the_session(window, pages):
    window.goto(f"{pages}/kept")
    assert window.get_by_role("button", name="New conversation").count() == 1
    window.goto(f"{pages}/kept/named")
    say(window, "hello")
    shown(window).to_have_text(["hello", "hello"])
    assert window.get_by_role("button", name="New conversation").count() == 0
    window.reload()
    shown(window).to_have_text(["hello", "hello"])


def test_a_lost_connection_asks_once(window, pages):
    lost = []

    def lose(route):
        if len(lost) < 2:
            lost.append(route.request.headers["idempotency-key"])
            route.fetch()
            route.abort("connectionreset")
        else:
            lost.append(route.request.headers["idempotency-key"])
            route.continue_()

    window.route("**/run/kept?stream=true", lose)
    window.goto(f"{pages}/kept/lossy")
    say(window, "hello")
    shown(window).to_have_text(["hello", "hello"])
    assert len(lost) == 3
    assert len(set(lost)) == 1
    assert all("ERR_CONNECTION_RESET" in said for said in window.complaints)
    window.complaints.clear()
    window.unroute("**/run/kept?stream=true")
    window.reload()
    shown(window).to_have_text(["hello", "hello"])
