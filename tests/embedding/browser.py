"""A real browser, the shop of the examples in front of it, and a site that means it harm."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask, make_response, render_template_string, request
from werkzeug.serving import make_server

from tests.chromium import start_browser
from tests.embedding.conftest import close_runners

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RUN = "/assistant/api/v1/run/support"
STRICT = "default-src 'none'; connect-src 'self'; script-src 'nonce-abc'; style-src 'nonce-abc'"


@contextmanager
def serve(app: Flask) -> Iterator[int]:
    """Serve an app on a free port of the loopback addresses; give the port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@contextmanager
def example(name: str, module: str) -> Iterator:
    """Import a module of an example site, and forget it afterwards."""
    sys.path.insert(0, str(EXAMPLES / name))
    before = set(sys.modules)
    try:
        yield importlib.import_module(module)
    finally:
        sys.path.remove(str(EXAMPLES / name))
        for added in set(sys.modules) - before:
            if added.split(".")[0] == module:
                del sys.modules[added]


def make_shop(folder: Path, shop) -> Flask:
    """Return the shop with two customers and a page with a strict policy."""
    app = shop.create_app(
        {
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder / 'shop.db'}",
            "FLOWRUNNER_DATA_DIR": str(folder),
            "FLOWRUNNER_PLAYGROUND": True,
        }
    )
    models = importlib.import_module("shop.models")

    app.add_url_rule("/favicon.ico", view_func=lambda: ("", 204))

    @app.get("/strict")
    def strict():
        page = "<!doctype html><title>x</title>{{ flowrunner_chat('support', nonce='abc') }}"
        return make_response(render_template_string(page), 200, {"Content-Security-Policy": STRICT})

    with app.app_context():
        shop.db.create_all()
        for number, name in enumerate(("ann", "bob"), start=1):
            customer = models.Customer(id=number, name=name)
            customer.set_password(name, method="pbkdf2:sha256:1")
            shop.db.session.add_all([customer, models.Order(id=number * 10, customer_id=number, what="a kettle")])
        shop.db.session.commit()
    return app


def make_attacker() -> Flask:
    """Return a site that does what it is told with the address it is given."""
    app = Flask("attacker")
    app.add_url_rule("/favicon.ico", view_func=lambda: ("", 204))

    @app.get("/form")
    def form():
        page = (
            "<form method='post' action='{{ to }}' enctype='{{ kind }}'>"
            '<input name=\'{"input_value": "forged", "session_id": "forged", "x": "\' value=\'"}\'></form>'
            "<script>document.forms[0].submit()</script>"
        )
        return render_template_string(page, to=request.args["to"], kind=request.args["kind"])

    @app.get("/frame")
    def frame():
        return render_template_string("<iframe src='{{ to }}'></iframe>", to=request.args["to"])

    @app.get("/empty")
    def empty():
        return "<!doctype html><title>empty</title>"

    return app


@pytest.fixture(scope="module")
def browser():
    with start_browser(seconds=20) as started:
        yield started


@pytest.fixture(scope="module")
def shop(browser, tmp_path_factory):
    """The shop's address, and its app as ``shop.app``."""
    with example("site_shop", "shop") as module:
        app = make_shop(tmp_path_factory.mktemp("shop"), module)
        with serve(app) as port:
            yield Place(port, app)
        close_runners(app)
        with app.app_context():
            module.db.session.remove()
            for engine in module.db.engines.values():
                engine.dispose()


@pytest.fixture(scope="module")
def attacker(browser):
    with serve(make_attacker()) as port:
        yield Place(port, None)


class Place:
    """A server: by address it is another site than by name, and its ports are other origins of one site."""

    def __init__(self, port, app):
        self.app = app
        self.url = f"http://127.0.0.1:{port}"
        self.other_site = f"http://localhost:{port}"

    def messages(self):
        runner = self.app.extensions["flowrunner"]["flowrunner"]
        return [m.text for name in ("1", "2") for m in runner.memory.for_owner(name).fetch()]


@pytest.fixture
def window(browser):
    """A window of its own; what the page complains of fails the test, unless it was expected."""
    context = browser.new_context()
    context.set_default_timeout(20_000)
    context.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => console.error('violation', e.violatedDirective))"
    )
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda said: said.type == "error" and page.complaints.append(said.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    complaints = list(page.complaints)
    context.close()
    assert complaints == []
