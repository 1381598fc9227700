"""Servers that trickle, break off or write nonsense: a failed fetch, in time, and nothing worse."""

from __future__ import annotations

import contextlib
import gzip
import socketserver
import threading
import time

import pytest
from flowrunner_models import fetching
from flowrunner_models.fetching import Fetched, FetchFailed, Limits
from flowrunner_models.pages import Page

from flowrunner import CancelToken, Destination, RunCancelled, Word

SHORT = Limits(seconds=5)


def fetch(url, *, limits=SHORT, **more):
    """Fetch an address that a request named, where this machine is allowed."""
    return fetching.fetch(Destination(url, Word.REQUEST, allowed=("127.0.0.1",)), limits=limits, **more)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"
TRICKLES = {
    "/trickle-header": (OK + b"X: ", b"a"),
    "/trickle-continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "/trickle-extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n5;", b"a"),
    "/trickle-body": (OK + b"\r\n", b"a"),
}
ODD_ANSWERS = {
    "/no-gzip": OK + b"Content-Encoding: gzip\r\n\r\nplain",
    "/cut-gzip": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"a" * 999)[:-12],
    "/cut": OK + b"Content-Length: 50\r\n\r\nshort",
    "/cut-chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    "/bad-chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nnone\r\nabcde\r\n",
    "/to-nowhere": b"HTTP/1.1 302 Found\r\nLocation: http://[bad\r\nConnection: close\r\n\r\n",
    "/no-http": b"220 ready\r\n",
}
PAGES = {
    "/links": OK + b'\r\n<a href="http://[bad">bad</a> <a href="/ok">good</a>',
    "/ok": OK + b"\r\n<p>ok",
}


class _Odd(socketserver.StreamRequestHandler):
    """A server that writes bytes as no sound one does."""

    def handle(self):
        path = self.rfile.readline().split()[1].decode()
        while self.rfile.readline().strip():
            pass
        with contextlib.suppress(OSError):
            if path in TRICKLES:
                first, again = TRICKLES[path]
                self.wfile.write(first)
                while not self.server.closing.wait(0.02):
                    self.wfile.write(again)
            else:
                self.wfile.write(ODD_ANSWERS.get(path) or PAGES[path])


@pytest.fixture(scope="module")
def odd():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Odd) as server:
        server.daemon_threads = True
        server.closing = threading.Event()
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.closing.set()
        server.shutdown()


@pytest.mark.parametrize("way", ["header", "continue", "extension", "body"])
def test_the_limit_holds_against_a_server_that_trickles(odd, way):
    at = time.monotonic()
    with pytest.raises(FetchFailed, match="did not answer within 0.3 seconds"):
        fetch(f"{odd}/trickle-{way}", limits=Limits(seconds=0.3))
    assert time.monotonic() - at < 3


def test_a_cancelled_run_ends_a_trickle(odd):
    token = CancelToken()
    timer = threading.Timer(0.1, token.cancel)
    timer.start()
    with pytest.raises(RunCancelled):
        fetch(f"{odd}/trickle-body", cancelled=token)
    timer.join()


@pytest.mark.parametrize("path", list(ODD_ANSWERS))
def test_a_page_that_is_no_good_is_a_failed_fetch(odd, path):
    with pytest.raises(FetchFailed):
        fetch(f"{odd}{path}")


@pytest.mark.parametrize("url", ["http://[::1", "http://[bad/", "http://a:b:c/", "http://a:99999/"])
def test_an_address_that_cannot_be_read_is_a_failed_fetch(url):
    with pytest.raises(FetchFailed):
        fetch(url)


def test_a_charset_that_is_none():
    for charset in ("a\0b", "no-such", "base64", "undefined"):
        kind = {"content-type": f'text/plain; charset="{charset}"'}
        assert Fetched("http://a", 200, kind, "ü".encode()).text == "ü"


def test_one_bad_page_or_link_does_not_fail_the_others(open_house, odd):
    bad = [f"{odd}{path}" for path in ODD_ANSWERS] + ["http://[::1"]
    pages = ("f", "URLComponent", {"urls": [*bad, f"{odd}/links"], "max_depth": 2})
    house = open_house(allow_private_addresses="127.0.0.1")
    result = house.run([pages, ("out", "ChatOutput")], ["f.page_results -> out.input_value"])
    assert [row["text"] for row in result.output("f")["page_results"]] == ["bad good", "ok"]


def test_a_page_whose_head_has_no_end():
    page = Page("<html><head><title>T</title><style>x</style><meta charset=utf-8><body><p>shown</p>")
    assert (page.title, page.text()) == ("T", "shown")


@pytest.mark.parametrize(
    "piece", ["<a ", "<![", "<!--", "<div>", "</a>", "<a href=", "&amp", "<svg><title>", "<![CDATA[", "\0"]
)
def test_a_page_of_nothing_but_beginnings_is_read(piece):
    """The standard library's parser takes time that grows with the square of some of these, and fails on others."""
    page = Page(piece * 200_000)
    assert len(page.text()) + len(page.title) <= len(piece) * 200_000


def test_what_a_page_shows_is_its_text():
    html = "<TITLE> A &amp; B </TITLE><meta name=Description content='of it'><svg><title>no</title></svg><h2>Head</h2>"
    html += (
        "<p>caf&eacute; \U0001f600<script>if (a<b) x('</p>')</script> on<br>line<noscript>no</noscript><a HREF=/x>y</a>"
    )
    page = Page(html, markdown=True)
    assert (page.title, page.description, page.links) == ("A & B", "of it", ["/x"])
    assert page.text() == "## Head\n\ncaf\u00e9 \U0001f600 on\nliney"
