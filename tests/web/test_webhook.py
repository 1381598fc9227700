"""What a webhook call hands to the flow."""

import json

import pytest

from tests.waiting import wait_until

FLOW = {
    "name": "hook",
    "components": {
        "hook": {"type": "Webhook"},
        "parse": {"type": "ParserComponent", "settings": {"mode": "Stringify"}},
        "said": {"type": "ChatOutput"},
    },
    "edges": ["hook -> parse.input_data", "parse -> said"],
}


def call(site, body, kind="application/json", expect=202, user="ann"):
    flow = site.flow(user, FLOW)
    path = f"/api/v1/webhook/{flow}"
    answer = site.ask(user, "POST", path, expect, data=body, headers={"Content-Type": kind})
    return flow, answer


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("body", "heard"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"plain", {"payload": "plain"}),
        (b'{"a": NaN}', {"payload": '{"a": NaN}'}),
        (b'{"a": 1e999}', {"payload": '{"a": 1e999}'}),
    ],
)
def test_a_body_reaches_the_flow_as_json_that_can_be_read(site, mark, body, heard):
    flow, _ = call(site, mark + body)
    (said,) = wait_until(lambda: site.texts("ann", f"?flow_id={flow}"))
    assert json.loads(said.removeprefix("```json").removesuffix("```")) == heard


def test_where_no_key_is_asked_only_json_is_taken(make_site):
    """A page of another site can make a browser send a text, and no JSON."""
    site = make_site(auth="none")
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        _, refused = call(site, b'{"a": 1}', kind, 415, user=None)
        assert refused["code"] == "unsupported_body"
    flow, _ = call(site, b'{"a": 1}', user=None)
    assert wait_until(lambda: site.texts(None, f"?flow_id={flow}"))
