"""The example sites in a real browser: the chat box at work, and what pages of other sites try in vain."""

from __future__ import annotations

import importlib
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask, make_response, render_template_string, request
from werkzeug.serving import make_server

from tests.embedding.conftest import close_runners

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
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
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not there (Debian: apt install chromium)")
    playwright.expect.set_options(timeout=20_000)
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


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


def log_in(page, place, name="ann"):
    page.goto(f"{place.url}/login")
    page.fill("#name", name)
    page.fill("#password", name)
    page.click("#login")
    page.wait_for_url(f"{place.url}/")


def say(page, text):
    page.fill("flowrunner-chat textarea", text)
    page.press("flowrunner-chat textarea", "Enter")


def shown(page):
    from playwright.sync_api import expect

    return expect(page.locator("flowrunner-chat .message"))


WELCOME = "I repeat what you say, and I remember it."
GREETING = "Which order is it about?"
ANSWER = "Order 10 (a kettle) is being packed."


class TestChatBox:
    def test_it_answers_remembers_and_starts_afresh(self, window, shop):
        log_in(window, shop)
        shown(window).to_have_text([GREETING])
        say(window, "Where is order 10?")
        shown(window).to_have_text([GREETING, "Where is order 10?", ANSWER])
        window.reload()
        shown(window).to_have_text([GREETING, "Where is order 10?", ANSWER])
        window.click("flowrunner-chat button.fresh")
        shown(window).to_have_text([GREETING])
        window.reload()
        shown(window).to_have_text([GREETING])

    def test_the_next_person_at_this_browser_sees_nothing(self, window, shop):
        log_in(window, shop)
        say(window, "My order is 10")
        shown(window).to_have_text([GREETING, "My order is 10", ANSWER])
        kept = window.evaluate("JSON.stringify(localStorage)")
        window.click("#logout")
        window.wait_for_url("**/login*")
        log_in(window, shop, "bob")
        shown(window).to_have_text([GREETING])
        assert window.evaluate("JSON.stringify(localStorage)") == kept
        say(window, "and 10?")
        shown(window).to_have_text([GREETING, "and 10?", "I know no such order of yours."])
        window.click("#logout")
        log_in(window, shop)
        shown(window).to_have_text([GREETING, "My order is 10", ANSWER])

    def test_what_is_said_is_text(self, window, shop):
        log_in(window, shop)
        hostile = "<img src=x onerror=\"console.error('xss')\"><b>10</b>"
        say(window, hostile)
        shown(window).to_have_text([GREETING, hostile, ANSWER])
        assert window.locator("flowrunner-chat .message img").count() == 0

    def test_the_site_gives_it_its_colours(self, window, shop):
        log_in(window, shop)
        button = window.locator("flowrunner-chat button.send")
        assert button.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(138, 47, 95)"

    def test_below_the_strictest_policy(self, window, shop):
        log_in(window, shop)
        window.goto(f"{shop.url}/strict")
        say(window, "10?")
        shown(window).to_have_text(["10?", ANSWER])
        button = window.locator("flowrunner-chat button.send")
        assert button.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(47, 95, 208)"

    def test_a_person_without_a_mouse(self, window, shop):
        log_in(window, shop)
        log = window.get_by_role("log")
        window.get_by_label("Write a message").fill("10?")
        window.keyboard.press("Tab")
        window.keyboard.press("Enter")
        from playwright.sync_api import expect

        expect(log).to_contain_text(ANSWER)

    def test_who_was_logged_out_meanwhile_hears_so(self, window, shop):
        log_in(window, shop)
        shown(window).to_have_text([GREETING])
        window.context.clear_cookies()
        say(window, "10?")
        shown(window).to_have_text([GREETING, "10?", "You are not logged in."])
        window.complaints.clear()


class TestForgedRequests:
    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
    @pytest.mark.parametrize("where", ["url", "other_site"])
    def test_a_form_of_another_page_does_nothing(self, window, shop, attacker, kind, where):
        log_in(window, shop)
        before = shop.messages()
        window.goto(f"{getattr(attacker, where)}/form?to={shop.url}{RUN}&kind={kind}", wait_until="commit")
        window.wait_for_url(f"{shop.url}{RUN}")
        answer = window.locator("body").inner_text()
        # From the same site (another port of it) the cookie came along, and the check is what refused.
        if where == "url":
            assert '"code":"csrf_missing"' in answer
        assert '"detail"' in answer
        assert shop.messages() == before
        window.complaints.clear()

    @pytest.mark.parametrize("where", ["url", "other_site"])
    def test_a_script_of_another_page_does_nothing(self, window, shop, attacker, where):
        log_in(window, shop)
        before = shop.messages()
        window.goto(f"{getattr(attacker, where)}/empty")
        tried = window.evaluate(
            """async (to) => {
                const body = JSON.stringify({ input_value: "forged", session_id: "forged" });
                const ways = [
                    { mode: "no-cors", headers: { "Content-Type": "text/plain" } },
                    { mode: "no-cors", headers: { "Content-Type": "application/json" } },
                    { headers: { "Content-Type": "application/json" } },
                    { headers: { "Content-Type": "application/json", "X-Flowrunner": "1" } },
                    { headers: { "Content-Type": "application/json", "X-Requested-With": "XMLHttpRequest" } },
                ];
                const seen = [];
                for (const way of ways) {
                    try {
                        const answer = await fetch(to, { method: "POST", credentials: "include", body, ...way });
                        seen.push(answer.type);
                    } catch (error) {
                        seen.push("refused");
                    }
                }
                navigator.sendBeacon(to, new Blob([body], { type: "text/plain" }));
                return seen;
            }""",
            f"{shop.url}{RUN}",
        )
        assert tried == ["opaque", "opaque", "refused", "refused", "refused"]
        read = window.evaluate(
            "(to) => fetch(to, { credentials: 'include' }).then(() => 'read', () => 'refused')",
            f"{shop.url}/assistant/api/v1/monitor/messages",
        )
        assert read == "refused"
        assert shop.messages() == before
        window.complaints.clear()

    @pytest.mark.parametrize(
        ("where", "path"),
        [
            ("url", "/assistant/playground"),
            ("other_site", "/assistant/playground"),
            ("url", "/assistant/api/v1/monitor/messages"),
        ],
    )
    def test_nothing_of_ours_can_be_framed(self, window, shop, attacker, path, where):
        log_in(window, shop)
        window.goto(f"{getattr(attacker, where)}/frame?to={shop.url}{path}")
        framed = window.frames[1]
        framed.wait_for_load_state()
        assert shop.url not in framed.url
        window.complaints.clear()


class TestAddresses:
    def test_no_address_of_ours_leads_elsewhere(self, window, shop):
        log_in(window, shop)
        for path in (
            "/assistant//evil.example/", "/assistant/\\\\evil.example", "/assistant/?next=https://evil.example",
            "/assistant/%2F%2Fevil.example", "/assistant/playground?next=//evil.example", "//assistant//evil.example",
        ):  # fmt: skip
            window.goto(shop.url + path)
            assert window.url.startswith(shop.url + "/"), path
        window.complaints.clear()


class TestCookies:
    def test_the_sites_cookie_is_the_only_one_and_as_the_site_made_it(self, window, shop):
        log_in(window, shop)
        before = window.context.cookies()
        say(window, "10?")
        shown(window).to_have_text([GREETING, "10?", ANSWER])
        after = window.context.cookies()
        assert [cookie["name"] for cookie in after] == ["session"]
        for name in ("httpOnly", "sameSite", "secure", "path", "domain"):
            assert after[0][name] == before[0][name]

    def test_visitors_have_a_cookie_that_scripts_cannot_read(self, browser, tmp_path, monkeypatch):
        monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path))
        with example("site_smallest", "app") as module:
            with serve(module.app) as port:
                seen = []
                for text in ("one", "two"):
                    context = browser.new_context()
                    page = context.new_page()
                    page.goto(f"http://127.0.0.1:{port}/")
                    say(page, text)
                    shown(page).to_have_text([WELCOME, text, f"You said: {text}\nBefore that:\n"])
                    (cookie,) = context.cookies()
                    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (
                        "flowrunner_visitor", True, "Lax",
                    )  # fmt: skip
                    assert page.evaluate("document.cookie") == ""
                    seen.append(cookie["value"])
                    page.reload()
                    shown(page).to_have_text([WELCOME, text, f"You said: {text}\nBefore that:\n"])
                    context.close()
                assert seen[0] != seen[1]
            close_runners(module.app)
