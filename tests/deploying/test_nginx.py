"""The nginx files of the examples, run by Debian's nginx: a host of its own, and below a path."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest
import requests

from tests.deploying.nginx import NGINX, Nginx, make_certificate
from tests.live_server import DEADLINE, ForkedServer, make_key, serve_command

HERE = Path(__file__).parent
#: Each example with the path that it puts before those of flowrunner.
SITES = {"nginx.conf": "", "nginx-prefix.conf": "/flows"}
#: Sessions that a proxy which spells paths its own way would make others of.
SESSIONS = ("a/b", "a%2Fb", "//x//", "a/../b", "ü 💥", "100%", "x?y#z", "+ +", ";a=b", "💥" * 2000)

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


class Site:
    """What clients see of a deployment; ``root`` is its address with the prefix."""

    def __init__(self, nginx, prefix, key):
        self.nginx, self.prefix, self.root = nginx, prefix, nginx.url + prefix
        self.session = requests.Session()
        # What the environment says of certificates beats what a session says.
        self.session.trust_env = False
        self.session.verify, self.session.headers["x-api-key"] = nginx.certificate, key
        self.key = key

    def call(self, method, path, **given):
        return self.session.request(method, self.root + path, timeout=DEADLINE, **given)

    def run(self, flow, text, **given):
        headers = given.pop("headers", {})
        return self.call("POST", f"/api/v1/run/{flow}", json={"input_value": text, **given}, headers=headers)

    def raw(self, path, headers=()):
        """Ask for a path as it is spelled, following nothing."""
        trusted = ssl.create_default_context(cafile=self.nginx.certificate)
        place = urlsplit(self.nginx.url)
        connection = http.client.HTTPSConnection(place.hostname, place.port, context=trusted, timeout=DEADLINE)
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    key = make_key(data)
    # The settings of the example, but for its folders.
    settings = dict(
        line.split("=", 1)
        for line in (HERE.parents[1] / "examples/deploy/flowrunner.env").read_text().splitlines()
        if "=" in line and not line.startswith("#") and not re.search("_DIR=|_BIND=|_WORKERS=", line)
    )
    settings |= {"FLOWRUNNER_PLUGINS_DIR": str(HERE / "plugins"), "FLOWRUNNER_PLAYGROUND": "true"}
    started = ForkedServer(serve_command(data, flows=str(HERE / "flows")), environment=settings)
    yield started.wait_until_ready(), key
    started.close()


@pytest.fixture(scope="module", params=SITES, ids=SITES.get)
def site(request, server, tmp_path_factory):
    folder, certificates = tmp_path_factory.mktemp("nginx"), tmp_path_factory.mktemp("tls")
    make_certificate(certificates)
    nginx = Nginx(folder, request.param, server[0].url, certificates)
    yield Site(nginx, SITES[request.param], server[1])
    nginx.stop()


@pytest.mark.parametrize("session", SESSIONS, ids=range(len(SESSIONS)))
def test_every_session_is_reached_as_it_is_called(site, session):
    assert site.run("echo", "hi", session_id=session).json()["session_id"] == session
    where = f"/api/v1/monitor/messages/session/{quote(session, safe='')}"
    moved = site.call("PATCH", f"{where}?new_session_id=moved")
    assert [row["session_id"] for row in moved.json()] == ["moved", "moved"]
    assert site.call("DELETE", "/api/v1/monitor/messages/session/moved").status_code == 204


def test_variables_come_in_headers_with_underscores(site):
    site.run("echo", "hi", session_id="named", headers={"X-LANGFLOW-GLOBAL-VAR-NAME": "dashes"})
    given = {"sender_name": {"value": "MY_NAME", "load_from_db": True}}
    answer = site.run(
        "echo", "hi", session_id="named", tweaks={"answer": given}, headers={"X-LANGFLOW-GLOBAL-VAR-MY_NAME": "brought"}
    )
    assert "brought" in answer.text, answer.text
    site.call("DELETE", "/api/v1/monitor/messages/session/named")


@pytest.mark.parametrize("how", ["true", "sse"])
def test_a_stream_comes_as_it_is_said(site, how, tmp_path):
    go = tmp_path / "go"
    body = {"input_value": str(go), "session_id": "words"}
    with site.session.post(
        f"{site.root}/api/v1/run/words?stream={how}", json=body, stream=True, timeout=DEADLINE
    ) as answer:
        came = ""
        for piece in answer.iter_content(None):
            came += piece.decode()
            if "first" in came and not go.exists():
                # The second word is said only now, so the first has come through before.
                go.touch()
    assert go.exists() and "second" in came
    assert "end" in came or "run_finished" in came


def test_a_large_upload_goes_through_and_a_larger_one_is_refused_by_its_size(site):
    flows = site.call("GET", "/api/v1/flows/").json()
    [flow] = [one["id"] for one in flows if one["endpoint_name"] == "echo"]
    content = b"x" * (3 << 20)
    kept = site.call("POST", f"/api/v2/files/?flow_id={flow}", files={"file": ("large.txt", content)})
    assert kept.status_code == 201, kept.text
    back = site.call("GET", f"/api/v2/files/{kept.json()['id']}")
    assert back.content == content
    status, _, _ = site.raw(f"{site.prefix}/api/v2/files/", {"Content-Length": str(1 << 30), "x-api-key": site.key})
    assert status == 413


def test_the_description_names_the_address_that_clients_use(site):
    assert site.call("GET", "/openapi.json").json()["servers"] == [{"url": site.prefix or "/"}]
    assert site.run("echo", "x" * 10).status_code == 200


def test_what_a_client_claims_is_replaced(site):
    claims = {"X-Forwarded-Prefix": "/elsewhere", "X-Forwarded-Proto": "ftp", "X-Forwarded-For": "203.0.113.9"}
    claims |= {"Forwarded": "for=203.0.113.9", "SCRIPT_NAME": "/elsewhere", "Script-Name": "/elsewhere"}
    described = site.call("GET", "/openapi.json", headers=claims)
    assert described.json()["servers"] == [{"url": site.prefix or "/"}]
    assert "elsewhere" not in described.text and "203.0.113.9" not in described.text


def test_everything_that_the_page_names_lies_below_the_prefix(site):
    page = site.call("GET", "/playground")
    found = re.findall(r'(?:href|src)="([^"#]+)"', page.text)
    assert len(found) >= 3
    for name in found:
        address = urljoin(page.url, name)
        assert address.startswith(f"{site.root}/"), address
        answer = site.session.get(address, timeout=DEADLINE)
        assert answer.status_code == 200 and answer.content
        for module in re.findall(r'from "(\./[^"]+)"', answer.text):
            assert site.session.get(urljoin(address, module), timeout=DEADLINE).status_code == 200


@pytest.mark.parametrize("path", ["", "/", "/playground/", "/flows", "/docs"])
def test_no_redirect_leaves_the_prefix(site, path):
    where = site.prefix + path
    for _ in range(5):
        status, headers, _ = site.raw(where or "/")
        if status not in (301, 302, 303, 307, 308):
            break
        where = urlsplit(urljoin(site.nginx.url + where, headers["Location"])).path
        assert where.startswith(f"{site.prefix}/"), headers["Location"]
    assert status in (200, 403, 404)


def test_health_is_told_and_plain_http_leads_to_https(site):
    for path in ("/health", "/ready", "/health_check"):
        assert site.call("GET", path).json()["status"] in ("ok", "ready"), path
    if not site.prefix:
        answer = requests.get(f"{site.nginx.plain}/health?x=1", allow_redirects=False, timeout=DEADLINE)
        assert (answer.status_code, answer.headers["Location"]) == (308, "https://127.0.0.1/health?x=1")


def test_what_is_no_path_of_the_prefix_is_not_handed_on(site):
    if site.prefix:
        assert site.raw("/health")[0] in (403, 404)
        assert site.raw("/api/v1/run/echo")[0] in (403, 404)
        assert site.raw("/x/../flows/health")[0] == 400
        assert site.raw("/flows/../health")[0] in (403, 404)
        assert site.raw("/flowsome/health")[0] in (403, 404)


def test_errors_keep_their_form(site):
    answer = site.call("GET", "/api/v1/flows/no-such-flow-anywhere")
    assert answer.status_code in (404, 422) and json.loads(answer.text)["detail"]
    assert (
        requests.get(f"{site.root}/api/v1/flows/", verify=site.nginx.certificate, timeout=DEADLINE).status_code == 403
    )
