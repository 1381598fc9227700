"""A site with a runner answers as it did without one, to the last header."""

from __future__ import annotations

import logging

import pytest
from flask import Flask, render_template_string
from itsdangerous import timed

from flowrunner.extension import FlowRunner
from tests.embedding.conftest import close_runners
from tests.embedding.flaskr_client import PEOPLE, log_in, make_blog
from tests.embedding.sites import by_header, make_site, run_flow

#: A visit to the blog: every view, every error page, every verb that it does not take.
VISIT = (
    ("GET", "/", {}),
    ("GET", "/hello", {}),
    ("HEAD", "/hello", {}),
    ("OPTIONS", "/hello", {}),
    ("POST", "/hello", {}),
    ("GET", "/state.json", {}),
    ("GET", "/static/blog.css", {}),
    ("GET", "/static/none.css", {}),
    ("GET", "/nothing", {}),
    ("GET", "/assistantx", {}),
    ("GET", "//hello", {}),
    ("GET", "/hello/", {}),
    ("GET", "/assist", {}),
    ("GET", "/flowrunner/", {}),
    ("GET", "/api/v1/run/basic-chat", {}),
    ("DELETE", "/nothing", {}),
    ("GET", "/broken", {}),
    ("GET", "/auth/register", {}),
    ("POST", "/auth/register", {"data": {"name": "", "password": ""}}),
    ("POST", "/auth/register", {"data": {}}),
    ("POST", "/auth/register", {"data": {"name": "cid", "password": "cherry"}}),
    ("POST", "/auth/login", {"data": {"name": "ann", "password": "wrong"}}),
    ("GET", "/create", {}),
    ("POST", "/auth/login", {"data": {"name": "ann", "password": PEOPLE["ann"]}}),
    ("GET", "/", {}),
    ("GET", "/create", {}),
    ("POST", "/create", {"data": {"title": "", "body": ""}}),
    ("GET", "/1/update", {}),
    ("POST", "/1/update", {"data": {"title": "New title", "body": "é 語"}}),
    ("GET", "/2/update", {}),
    ("PUT", "/1/update", {}),
    ("POST", "/1/delete", {}),
    ("GET", "/", {"headers": {"Cookie": "session=forged", "If-None-Match": '"x"', "Range": "bytes=0-3"}}),
    ("GET", "/static/blog.css", {"headers": {"Range": "bytes=0-3"}}),
    ("GET", "/auth/logout", {}),
    ("GET", "/", {}),
)


@pytest.fixture
def frozen_clock(monkeypatch):
    """Cookies are signed with the time; both visits happen at the same moment."""
    monkeypatch.setattr(timed.TimestampSigner, "get_timestamp", lambda self: 1_750_000_000)


@pytest.fixture
def blogs(tmp_path, frozen_clock):
    """The blog alone, and the blog with a runner that has been used."""
    made = [make_blog(tmp_path / name, mounted=name == "mounted") for name in ("alone", "mounted")]
    for app in made:
        # The error pages are part of the comparison.
        app.config["PROPAGATE_EXCEPTIONS"] = False
    other = made[1].test_client()
    log_in(other, "bob")
    assert run_flow(other, "in between", session_id="s").status_code == 200
    yield made
    close_runners(made[1])


def answer(client, method, path, arguments):
    found = client.open(path, method=method, **arguments)
    headers = [item for item in found.headers if item[0] != "Date"]
    data = found.data
    found.close()
    return found.status, headers, data


def test_every_response_is_the_same_with_its_headers(blogs):
    alone, mounted = (app.test_client() for app in blogs)
    for method, path, arguments in VISIT:
        assert answer(mounted, method, path, arguments) == answer(alone, method, path, arguments), (method, path)


def test_every_view_of_the_blog_is_visited(blogs):
    adapter = blogs[0].url_map.bind("localhost")
    reached = set()
    for method, path, _ in VISIT:
        if adapter.test(path.split("?")[0], method):
            reached.add(adapter.match(path, method)[0])
    assert reached >= set(blogs[0].view_functions)


def inner_life(app: Flask) -> dict:
    """Everything by which an app decides how it answers."""
    return {
        "before": [f.__qualname__ for f in app.before_request_funcs.get(None, ())],
        "after": [f.__qualname__ for f in app.after_request_funcs.get(None, ())],
        "teardown": [f.__qualname__ for f in app.teardown_request_funcs.get(None, ())],
        "teardown of the app": [f.__qualname__ for f in app.teardown_appcontext_funcs],
        "values": [f.__qualname__ for f in app.url_value_preprocessors.get(None, ())],
        "defaults": [f.__qualname__ for f in app.url_default_functions.get(None, ())],
        "context": [f.__qualname__ for f in app.template_context_processors[None]],
        "errors": {
            code: {kind.__name__: f.__qualname__ for kind, f in found.items()}
            for code, found in app.error_handler_spec[None].items()
        },
        "shell": list(app.shell_context_processors),
        "json": type(app.json),
        "session": type(app.session_interface),
        "request": app.request_class,
        "response": app.response_class,
        "rule": app.url_rule_class,
        "commands": sorted(app.cli.commands),
        "config": {k: v for k, v in app.config.items() if k not in ("DATABASE", "FLOWRUNNER_DATA_DIR")},
        "rules": sorted(
            (r.rule, r.endpoint) for r in app.url_map.iter_rules() if not r.endpoint.startswith("flowrunner.")
        ),
        "filters": sorted(app.jinja_env.filters),
        "globals": sorted(set(app.jinja_env.globals) - {"flowrunner_chat"}),
        "wsgi": app.wsgi_app.__func__,
        "slashes": (app.url_map.strict_slashes, app.url_map.merge_slashes),
        "build errors": list(app.url_build_error_handlers),
    }


def test_the_app_itself_is_as_it_was(blogs):
    for app in blogs:
        app.test_client().get("/")
    alone, mounted = map(inner_life, blogs)
    for what in alone:
        assert mounted[what] == alone[what], what


def test_loggers_are_left_alone(tmp_path):
    def loggers():
        found = [
            logging.getLogger(),
            *map(logging.getLogger, ("werkzeug", "sqlalchemy", "flask", "tests", "flowrunner")),
        ]
        return [(log.name, log.level, list(log.handlers), log.propagate, log.disabled) for log in found]

    before = loggers()
    app = make_blog(tmp_path, mounted=True)
    run_flow(app.test_client())
    assert loggers() == before
    close_runners(app)


def test_options_for_templates_that_are_set_later_still_count(tmp_path):
    """Making the app's template environment would fix its options before the site has set them."""
    site = make_site(tmp_path)
    FlowRunner(site, identity=by_header, memory="in-memory", run_log=False)
    site.jinja_options = {"extensions": ["jinja2.ext.do"]}
    assert "jinja2.ext.ExprStmtExtension" in site.jinja_env.extensions
    with site.test_request_context():
        assert "<flowrunner-chat" in render_template_string("{% do [] %}{{ flowrunner_chat('basic-chat') }}")
        assert "flowrunner_chat" in site.jinja_env.globals
    close_runners(site)


@pytest.mark.parametrize(
    ("method", "path", "status", "ours"),
    [
        ("GET", "/assistant", 404, True),
        ("GET", "/assistant/", 404, True),
        ("GET", "/assistant/nothing/at/all", 404, True),
        ("PUT", "/assistant/nothing", 404, True),
        ("GET", "/assistant/api/v1/run/basic-chat", 405, True),
        ("DELETE", "/assistant/health", 405, True),
        ("TRACE", "/assistant/health", 405, True),
        ("TRACE", "/assistant/nothing", 404, True),
        ("PROPFIND", "/assistant/", 404, True),
        ("GET", "/nothing", 404, False),
        ("GET", "/assistantx", 404, False),
        ("POST", "/json", 405, False),
        ("DELETE", "/", 405, False),
    ],
)
def test_what_is_not_there_is_answered_in_the_way_of_its_place(client, method, path, status, ours):
    found = client.open(path, method=method, headers={"X-Flowrunner": "1"})
    assert found.status_code == status
    assert (found.mimetype == "application/json") is ours
    assert found.text.startswith("<h1>The site") is not ours
    if status == 405 and ours:
        assert found.headers["Allow"]


def test_a_page_of_the_site_below_our_prefix_stays_the_sites(site):
    @site.get("/assistant/help")
    def help_page():
        return "the site's own"

    FlowRunner(site, url_prefix="/assistant", identity=by_header, memory="in-memory", run_log=False)
    assert site.test_client().get("/assistant/help").text == "the site's own"


@pytest.mark.parametrize("path", ["/assistant/help", "/assistant/pages/", "/assistant/"])
def test_what_it_says_to_options_stays_the_sites(site, path):
    site.add_url_rule(path, "page", lambda: "the site's own")
    FlowRunner(site, url_prefix="/assistant", identity=by_header, memory="in-memory", run_log=False)
    answer = site.test_client().options(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_our_own_routes_allow_what_they_take(client):
    answer = client.options("/assistant/health")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
