"""What fetches: pages, requests, and the addresses that are refused."""

from __future__ import annotations

import base64
import gzip
import http.server
import ipaddress
import json
import socket
import threading

import pytest
from flowrunner_models import fetching
from flowrunner_models.fetching import FetchFailed, Limits, _server, read_headers

import flowrunner.addresses
from flowrunner import AddressRefused, CancelToken, ComponentFailed, Destination, RunCancelled, Word, checked_address
from flowrunner.addresses import is_public

PAGE = """<html><head><title>Sky</title><script>bad()</script></head><body><h1>Blue</h1><p>Why &amp; how</p>
<a href="/two#x">two</a> <a href="http://elsewhere.invalid/">out</a></body></html>"""
SHORT = Limits(seconds=5)
LOCAL = ("127.0.0.1",)


def fetch(url, *, allowed=(), limits=SHORT, **more):
    """Fetch an address that a request named, where some private hosts are allowed."""
    return fetching.fetch(Destination(url, Word.REQUEST, allowed=allowed), limits=limits, **more)


class _Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/page":
            self.reply(PAGE, "text/html; charset=utf-8")
        elif path == "/two":
            self.reply("<p>second</p>", "text/html")
        elif path == "/gzip":
            self.reply(gzip.compress(b"a" * 5_000_000), "text/plain", {"content-encoding": "gzip"})
        elif path == "/to":
            self.reply("", "text/plain", {"location": query}, 302)
        elif path == "/slow":
            self.send_response(200)
            self.end_headers()
            self.server.closing.wait(10)
            self.close_connection = True
        elif path == "/missing":
            self.reply("no", "text/plain", status=404)
        else:
            seen = {"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}
            self.reply(json.dumps(seen), "application/json")

    def do_POST(self):
        if self.path.startswith("/to?"):
            self.rfile.read(int(self.headers["content-length"]))
            self.reply("", "text/plain", {"location": self.path[4:]}, int(self.headers["x-status"]))
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.reply(json.dumps({"body": body, "type": self.headers["content-type"]}), "application/json")

    def reply(self, body, kind, headers=None, status=200):
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture(scope="module")
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    server.daemon_threads = True
    server.closing = threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.closing.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://172.16.0.9/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[fe80::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[fd00::1]/",
        "http://224.0.0.1/",
        "http://user@127.0.0.1/",
        "http://100.64.0.1/",
    ],
)
def test_private_addresses_are_refused(url):
    with pytest.raises(AddressRefused):
        fetch(url, limits=Limits(seconds=1))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "gopher://x/", "http://", "//x", "x"])
def test_only_http(url):
    with pytest.raises(FetchFailed):
        fetch(url, allowed=LOCAL)


def test_every_address_of_a_name_must_be_public(monkeypatch):
    def both(host, port, **more):
        return [(socket.AF_INET, 1, 6, "", (address, 0)) for address in ("93.184.216.34", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(AddressRefused, match="rebind"):
        checked_address("rebind.example")
    assert checked_address("rebind.example", ["rebind.example"]) == "93.184.216.34"
    assert checked_address("rebind.example", ["127.0.0.0/8"]) == "93.184.216.34"


def test_the_connection_goes_where_the_check_looked(site, monkeypatch):
    """A name that is public when it is checked and private afterwards reaches nothing private."""
    looked = []

    ask = socket.getaddrinfo

    def look(host, port, *args, **more):
        if host != "name.example":
            return ask(host, port, *args, **more)
        looked.append(host)
        address = "127.0.0.1" if len(looked) == 1 else "10.9.9.9"
        return [(socket.AF_INET, 1, 6, "", (address, 0))]

    port = site.rpartition(":")[2]
    create = socket.create_connection
    reached = []

    def connect(address, *args, **more):
        reached.append(address[0])
        return create(("127.0.0.1", address[1]), *args, **more)

    monkeypatch.setattr(flowrunner.addresses.socket, "getaddrinfo", look)
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(flowrunner.addresses, "is_public", lambda address: True)
    answer = fetch(f"http://name.example:{port}/x", limits=Limits(seconds=5))
    assert (looked, reached) == (["name.example"], ["127.0.0.1"])
    assert json.loads(answer.body)["headers"]["host"] == f"name.example:{port}"


def test_each_redirect_is_checked_anew(site):
    assert fetch(f"{site}/to?/two", allowed=LOCAL).url == f"{site}/two"
    with pytest.raises(AddressRefused):
        fetch(f"{site}/to?http://10.0.0.1/", allowed=LOCAL)
    with pytest.raises(FetchFailed, match="only http"):
        fetch(f"{site}/to?file:///etc/passwd", allowed=LOCAL)
    with pytest.raises(FetchFailed, match="redirects more"):
        fetch(f"{site}/to?/to?/to?/to?/to?/to?/to?/to?/x", allowed=LOCAL)
    assert fetch(f"{site}/to?/two", allowed=LOCAL, redirects=False).status == 302


def test_secrets_stay_with_the_first_host(site):
    other = site.replace("127.0.0.1", "localhost")
    allowed = ("127.0.0.1", "localhost")
    secrets = ("Authorization", "Proxy-Authorization", "Cookie", "api-key", "apikey", "X-Api-Key", "X-Auth-Token")
    headers = {**dict.fromkeys(secrets, "secret"), "Accept": "text/html", "User-Agent": "me"}
    seen = json.loads(fetch(f"{site}/to?{other}/see", headers=headers, allowed=allowed).body)["headers"]
    assert "secret" not in seen.values()
    assert (seen["accept"], seen["user-agent"]) == ("text/html", "me")
    seen = json.loads(fetch(f"{site}/to?/see", headers=headers, allowed=allowed).body)["headers"]
    assert list(seen.values()).count("secret") == len(secrets)


@pytest.mark.parametrize("status", [307, 308])
def test_a_body_follows_to_the_same_server_only(site, status):
    answer = fetch(f"{site}/to?/see", method="POST", body=b"secret", headers={"X-Status": str(status)}, allowed=LOCAL)
    assert json.loads(answer.body)["body"] == "secret"
    other = site.replace("127.0.0.1", "localhost")
    with pytest.raises(FetchFailed, match="the body is not sent there"):
        fetch(
            f"{site}/to?{other}/see",
            method="POST",
            body=b"secret",
            headers={"X-Status": str(status)},
            allowed=("127.0.0.1", "localhost"),
        )


def test_a_private_server_of_the_operator_redirects_to_no_other(site):
    with pytest.raises(AddressRefused, match="localhost"):
        fetching.fetch(
            Destination(f"{site}/to?{site.replace('127.0.0.1', 'localhost')}/see", Word.OPERATOR), limits=SHORT
        )
    there = fetching.fetch(Destination(f"{site}/to?/two", Word.OPERATOR), limits=SHORT)
    assert there.url == f"{site}/two"


def test_another_scheme_or_port_is_another_server():
    one = _server("https://a.example/x")
    assert one == _server("https://A.example:443/y?z")
    assert one not in (_server("http://a.example/x"), _server("https://a.example:8443/x"))


def test_a_password_in_the_address_is_sent_and_not_shown(site):
    answer = fetch(site.replace("//", "//me:p%40ss@") + "/see", allowed=LOCAL)
    assert json.loads(answer.body)["headers"]["authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert answer.url == f"{site}/see"
    with pytest.raises(FetchFailed) as failed:
        fetch(site.replace("//", "//me:p%40ss@") + "/to?http://[bad", allowed=LOCAL)
    assert "p%40ss" not in str(failed.value)


def test_limits(site):
    with pytest.raises(FetchFailed, match="larger"):
        fetch(f"{site}/gzip", allowed=("all",), limits=Limits(size=100_000, seconds=5))
    with pytest.raises(FetchFailed, match="did not answer"):
        fetch(f"{site}/slow", allowed=("all",), limits=Limits(seconds=0.2))
    assert len(fetch(f"{site}/gzip", allowed=LOCAL).body) == 5_000_000


def test_a_cancelled_run_ends_the_fetching(site):
    token = CancelToken()
    timer = threading.Timer(0.1, token.cancel)
    timer.start()
    with pytest.raises(RunCancelled):
        fetch(f"{site}/slow", allowed=LOCAL, cancelled=token)
    timer.join()


def test_headers_forge_nothing(site):
    with pytest.raises(FetchFailed, match="line break"):
        fetch(f"{site}/see", headers={"X": "a\r\nHost: evil"}, allowed=LOCAL)
    answer = fetch(f"{site}/see", headers={"Host": "evil", "X-Ok": "1"}, allowed=LOCAL)
    assert json.loads(answer.body)["headers"]["host"] == site.removeprefix("http://")
    rows = [{"key": "A", "value": "1"}, {"key": "B", "value": None}]
    assert read_headers(rows) == {"A": "1"} == read_headers({"A": "1"})


@pytest.fixture
def open_site(open_house):
    return open_house(allow_private_addresses="127.0.0.1")


def fetched(house, kind, settings, output, **more):
    vertices = [("in", "TextInput"), ("f", kind, settings), ("out", "ChatOutput")]
    return house.run(vertices, [f"f.{output} -> out.input_value"], **more).output("f")


def test_the_url_component(open_site, site):
    found = fetched(open_site, "URLComponent", {"urls": [f"{site}/page"]}, "page_results")["page_results"]
    assert found[0]["title"] == "Sky"
    assert found[0]["text"] == "Blue\n\nWhy & how\n\ntwo out"
    deep = fetched(open_site, "URL", {"urls": f"{site}/page", "max_depth": 2, "format": "Markdown"}, "raw_results")
    assert deep["raw_results"].text.startswith("# Blue")
    assert "second" in deep["raw_results"].text
    with pytest.raises(ComponentFailed, match="status 404"):
        fetched(open_site, "URLComponent", {"urls": [f"{site}/missing"]}, "raw_results")


def test_private_addresses_are_the_operators(house, site):
    for kind, field, output in (("URLComponent", "urls", "raw_results"), ("APIRequest", "url_input", "data")):
        assert fetched(house, kind, {field: f"{site}/page"}, output)
        with pytest.raises(ComponentFailed, match="private address"):
            fetched(house, kind, {field: f"{site}/page"}, output, author="ann")
        with pytest.raises(ComponentFailed, match="private address"):
            fetched(house, kind, {field: "http://a.example"}, output, tweaks={"f": {field: f"{site}/page"}})


def test_the_api_request_component(open_site, site):
    settings = {"url_input": f"{site}/see?a=1", "query_params": {"b": "x y"}, "headers": [{"key": "X", "value": "1"}]}
    data = fetched(open_site, "APIRequest", settings, "data")["data"]
    assert (data["status_code"], data["result"]["path"]) == (200, "/see?a=1&b=x+y")
    settings = {"url_input": site, "method": "POST", "body": [{"key": "a", "value": "1"}]}
    data = fetched(open_site, "APIRequest", settings, "data")["data"]
    assert data["result"] == {"body": '{"a": "1"}', "type": "application/json"}
    curl = {"mode": "cURL", "curl_input": f"curl -s -X POST {site}/x -H 'Content-Type: text/plain' -d 'hello'"}
    data = fetched(open_site, "APIRequest", curl, "data")["data"]
    assert data["result"] == {"body": "hello", "type": "text/plain"}
    curl = {"mode": "cURL", "curl_input": f"curl -L {site.replace('//', '//me:pw@')}/to?/see"}
    data = fetched(open_site, "APIRequest", curl, "data")["data"]
    assert (data["source"], data["status_code"]) == (f"{site}/see", 200)
    assert "authorization" in data["result"]["headers"]
    with pytest.raises(ComponentFailed, match="is not valid"):
        fetched(open_site, "APIRequest", {"url_input": "http://[bad", "query_params": {"a": "1"}}, "data")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("::1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::808:808", True),
        ("fec0::1", False),
        ("3fff::1", False),
        ("2001:db8::1", False),
        ("192.88.99.1", False),
        ("192.0.0.8", False),
        ("192.0.0.9", True),
        ("192.0.0.10", True),
        ("192.0.0.171", False),
        ("2002:c000:1::", False),
        ("2001:0:808:808::", False),
        ("2606:4700::1111", True),
    ],
)
def test_public_addresses(address, public):
    assert is_public(ipaddress.ip_address(address)) is public


def test_blocks_are_refused_whatever_this_python_knows_of_them(monkeypatch):
    for kind in (ipaddress.IPv4Address, ipaddress.IPv6Address):
        monkeypatch.setattr(kind, "is_global", True)
        monkeypatch.setattr(kind, "is_reserved", False)
    blocks = ("fec0::1", "3fff::1", "2001:db8::1", "192.88.99.1", "192.0.0.8")
    assert not [address for address in blocks if is_public(ipaddress.ip_address(address))]
