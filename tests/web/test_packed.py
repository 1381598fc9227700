"""Bodies that come packed, or in another charset than UTF-8."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from tests.waiting import wait_until
from tests.web.test_webhook import FLOW, call

BODY = json.dumps({"input_value": "grüße", "session_id": "s"}).encode()


def run(site, data, encoding, expect=200, kind="application/json"):
    flow = site.flow("ann")
    headers = {"Content-Encoding": encoding, "Content-Type": kind}
    return site.ask("ann", "POST", f"/api/v1/run/{flow}", expect, data=data, headers=headers)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", " gzip "])
def test_a_packed_body_is_unpacked(site, encoding):
    run(site, gzip.compress(BODY), encoding)
    run(site, gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), encoding)
    assert site.texts("ann", "?session_id=s")[-1] == "grüße"


def test_one_that_says_it_is_not_packed_is_none(site):
    run(site, BODY, "identity")
    run(site, BODY, "")


@pytest.mark.parametrize(
    ("data", "encoding", "status", "said"),
    [
        (BODY, "br", 415, "br is not supported; use gzip"),
        (zlib.compress(BODY), "deflate", 415, "deflate is not supported"),
        (gzip.compress(BODY), "gzip, gzip", 415, "gzip, gzip is not supported"),
        (BODY, "gzip", 400, "not valid gzip"),
        (gzip.compress(BODY)[:-9], "gzip", 400, "truncated"),
        (gzip.compress(BODY) + b"more", "gzip", 400, "not valid gzip"),
        (gzip.compress(b"") * 30, "gzip", 400, "more than 16 members"),
        (gzip.compress(b"no json"), "gzip", 422, "JSON"),
    ],
    ids=["br", "deflate", "twice", "not packed", "cut", "more behind", "many pieces", "no json"],
)
def test_one_that_cannot_be_unpacked_is_refused_with_a_sentence(site, data, encoding, status, said):
    assert said in json.dumps(run(site, data, encoding, status))


def test_the_limit_is_that_of_what_comes_out(make_site):
    site = make_site(max_body=100_000)
    site.add_user("ann")
    run(site, gzip.compress(json.dumps({"input_value": "a" * 90_000}).encode()), "gzip")
    refused = run(site, gzip.compress(b" " * 50_000_000), "gzip", 413)
    assert "after decompression" in json.dumps(refused)


def test_a_packed_form_is_refused(site):
    form = b'--x\r\nContent-Disposition: form-data; name="input_value"\r\n\r\nhi\r\n--x--\r\n'
    refused = run(site, gzip.compress(form), "gzip", 415, kind="multipart/form-data; boundary=x")
    assert "must not be compressed" in json.dumps(refused)


@pytest.mark.parametrize(
    ("charset", "kind"),
    [
        ("latin-1", "application/json; charset=ISO-8859-1"),
        ("cp1252", 'application/json; charset="windows-1252"'),
        ("utf-16", "application/json; charset=utf-16"),
        ("utf-8", "application/json; charset=utf8"),
        ("utf-8-sig", "application/json"),
    ],
)
def test_a_webhook_takes_the_charset_that_its_sender_names(site, charset, kind):
    flow, _ = call(site, json.dumps({"a": "Grüße"}, ensure_ascii=False).encode(charset), kind)
    (said,) = wait_until(lambda: site.texts("ann", f"?flow_id={flow}"))
    assert "Grüße" in said


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=no-such",
        "text/plain",
        "application/json; charset=base64",
        "application/json; charset=ascii",
    ],
)
def test_no_letter_of_a_webhook_is_replaced(site, kind):
    flow = site.flow("ann", FLOW)
    body = json.dumps({"a": "Grüße"}, ensure_ascii=False).encode("latin-1")
    refused = site.ask("ann", "POST", f"/api/v1/webhook/{flow}", 400, data=body, headers={"Content-Type": kind})
    assert "declare the charset in the Content-Type header" in json.dumps(refused)
