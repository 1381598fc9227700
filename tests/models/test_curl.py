"""Curl commands, as people write and copy them."""

from __future__ import annotations

import base64

import pytest
from flowrunner_models.curl import CurlRequest, read_curl

AT = "https://a.example/x"
BASIC = "Basic " + base64.b64encode(b"me:pw").decode()
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (f"curl {AT} -H 'A: b'", CurlRequest(AT, "GET", {"A": "b"})),
        (f"curl -L --url {AT} --data a=1 -d b=2", CurlRequest(AT, "POST", FORM, b"a=1&b=2", redirects=True)),
        (f"curl -XDELETE {AT}", CurlRequest(AT, "DELETE")),
        (f"curl --request=put {AT}", CurlRequest(AT, "PUT")),
        (f"curl -kL {AT}", CurlRequest(AT, "GET", redirects=True)),
        (f"curl -sSLXPATCH {AT}", CurlRequest(AT, "PATCH", redirects=True)),
        (f'curl --header="X: y: z" {AT}', CurlRequest(AT, "GET", {"X": "y: z"})),
        (f"curl -G {AT} -d a=1 --data-urlencode 'q=x &y'", CurlRequest(f"{AT}?a=1&q=x+%26y", "GET")),
        (f"curl -G {AT}?b=2#c -d a=1", CurlRequest(f"{AT}?b=2&a=1", "GET")),
        (f"curl -u me:pw {AT}", CurlRequest(AT, "GET", {"Authorization": BASIC})),
        (
            f"curl -b 'a=1; b=2' -A me -e there {AT}",
            CurlRequest(AT, "GET", {"Cookie": "a=1; b=2", "User-Agent": "me", "Referer": "there"}),
        ),
        (f"curl -I {AT}", CurlRequest(AT, "HEAD")),
        (f"curl {AT} --json '{{}}'", CurlRequest(AT, "POST", JSON, b"{}")),
        (f"curl {AT} -d '{{\"a\": 1}}'", CurlRequest(AT, "POST", {}, b'{"a": 1}')),
        (f"curl {AT} --data-raw @x", CurlRequest(AT, "POST", FORM, b"@x")),
        (f"curl -s -o /dev/null -m 5 --compressed \\\n {AT}", CurlRequest(AT, "GET")),
    ],
)
def test_what_is_understood(command, wanted):
    assert read_curl(command) == wanted


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("curl 'open", "cannot be parsed"),
        (f"curl -F a=@b {AT}", "the curl option -F is not supported"),
        (f"curl -sF a=b {AT}", "the curl option -F is not supported"),
        (f"curl --proxy x {AT}", "the curl option --proxy is not supported"),
        (f"curl {AT} -H", "the curl option -H has no value"),
        (f"curl {AT} https://b.example", "more than one address"),
        (f"curl {AT} -d @/etc/passwd", "a file from the server"),
        (f"curl {AT} --data-urlencode a@/etc/passwd", "a file from the server"),
        (f"curl -b jar {AT}", "the cookies of a file"),
    ],
)
def test_what_is_not_is_refused(command, said):
    with pytest.raises(ValueError, match=said):
        read_curl(command)
