"""A real server with two workers, and Debian's Chromium in front of it."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
import requests

from tests.chromium import start_browser
from tests.live_server import ForkedServer, make_key, serve_command
from tests.npm_packages import install_package

HERE = Path(__file__).parent


class Site:
    """A server on a port of its own that can be stopped and started again; ``key`` is ann's API key."""

    def __init__(self, data):
        self.data, self.key = data, make_key(data)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = str(probe.getsockname()[1])
        self.start()

    @property
    def url(self):
        return self.server.url

    def start(self):
        command = serve_command(self.data, "--workers", "2", flows=str(HERE / "flows"))
        command[command.index("--port") + 1] = self.port
        environment = {
            "FLOWRUNNER_PLUGINS_DIR": str(HERE / "plugins"),
            "FLOWRUNNER_MAX_RUNS": "64",
            "FLOWRUNNER_STOP_WAIT": "1",
        }
        self.server = ForkedServer(command, environment=environment).wait_until_ready()

    def stop(self, how=signal.SIGTERM):
        self.server.stop(how)
        self.server.close()


class Visit:
    """A window with the page in it. What the browser complains of is kept."""

    def __init__(self, browser, site, **options):
        self.site = site
        self.context = browser.new_context(**{"viewport": {"width": 1300, "height": 800}, **options})
        self.context.set_default_timeout(15_000)
        self.complaints = []
        self.context.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => console.error('violation', e.violatedDirective))"
        )
        self.page = self.context.new_page()
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def sign_in(self, place=""):
        """Open the page and sign in."""
        self.page.goto(f"{self.site.url}/playground{place}")
        self.page.fill("#dialog-field", self.site.key)
        self.page.click("dialog button.main")
        self.page.wait_for_selector("#flow option", state="attached")
        # The first call was refused, which is how the page learns that a key is wanted.
        self.complaints = [text for text in self.complaints if "403" not in text]
        return self.page

    def say(self, text, *, wait=True):
        """Send a message, and wait until its run is over."""
        self.page.fill("#text", text)
        self.page.press("#text", "Enter")
        if wait:
            self.rest()

    def rest(self):
        """Wait until no run is on its way in the open session."""
        from playwright.sync_api import expect

        expect(self.page.locator(".composer button")).to_have_text("Send")

    def texts(self):
        return self.page.locator("article .body").all_inner_texts()


def run(site, flow, session, times=1, *, key=None):
    """Run a flow so often, with numbered messages and without the page."""
    for number in range(times):
        requests.post(
            f"{site.url}/api/v1/run/{flow}",
            json={"input_value": f"message {number}", "session_id": session},
            headers={"x-api-key": key or site.key},
            timeout=30,
        ).raise_for_status()


@pytest.fixture(scope="package")
def browser():
    with start_browser(seconds=15) as started:
        yield started


@pytest.fixture(scope="package")
def site(tmp_path_factory, browser):
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.stop()


@pytest.fixture
def visit(browser, site):
    """Open windows; at the end none may have complained."""
    opened = []

    def open_one(where=site, **options):
        made = Visit(browser, where, **options)
        opened.append(made)
        return made

    yield open_one
    complaints = [text for one in opened for text in one.complaints]
    for one in opened:
        one.context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def axe(request):
    """Return the script of axe-core, kept between runs of the tests."""
    folder = install_package(request.config, "axe-core", "4")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
