"""What is stored of requests that carry an Idempotency-Key."""

import hashlib
import threading

import pytest
from sqlalchemy import select

from flowrunner import Component, Input, Output
from flowrunner.runs.service import STOPPING
from flowrunner.store.answers import AnswerStore
from flowrunner.store.engine import reading
from flowrunner.store.secretbox import SecretBox
from flowrunner.store.tables import answers
from tests.web.site import echo_flow, flow_through, open_site


class Stubborn(Component):
    """Goes on when its run is cancelled, and counts how often it ran."""

    type_name = "Stubborn"
    inputs = (Input("input_value"),)
    outputs = (Output("output", "Text"),)
    blocking = True
    begun, goes_on, times = threading.Event(), threading.Event(), 0

    def run(self, context, input_value):
        type(self).times += 1
        self.begun.set()
        assert self.goes_on.wait(30)
        return {"output": "done"}


def test_the_digest_of_a_request_can_be_made_with_the_servers_key_only(tmp_path, monkeypatch):
    shown, real = [], SecretBox.digest
    monkeypatch.setattr(SecretBox, "digest", lambda box, text: shown.append(text) or real(box, text))
    stored = []
    for name, secret in (("a", "first"), ("b", "second"), ("c", "first")):
        with open_site(tmp_path / name, secret_key=secret) as site:
            site.add_user("ann")
            site.flow("ann", echo_flow("one"))
            headers = {"Idempotency-Key": "k", "X-LANGFLOW-GLOBAL-VAR-PIN": "1234"}
            body = {"input_value": "hi", "session_id": "s"}
            site.ask("ann", "POST", "/api/v1/run/one", json=body, headers=headers)
            with reading(site.runner.engine) as connection:
                stored += connection.execute(select(answers.c.request).where(answers.c.request.is_not(None))).scalars()
    assert len(set(shown)) == 1 and "1234" in shown[0]
    assert stored[0] == stored[2] != stored[1]
    assert hashlib.sha256(shown[0].encode()).hexdigest() not in stored


@pytest.mark.parametrize("stream", ["true", "sse"])
def test_a_stream_ends_whatever_keeping_it_does(tmp_path, monkeypatch, stream):
    def fail(*values):
        raise ValueError("no key to seal with")

    monkeypatch.setattr(AnswerStore, "keeping", fail)
    monkeypatch.setattr(threading, "excepthook", lambda failed: None)
    with open_site(tmp_path) as site:
        site.add_user("ann")
        site.flow("ann", echo_flow("one"))
        body = {"input_value": "hi", "session_id": "s"}
        headers = {"Idempotency-Key": "k"}
        told = []

        def read():
            path = f"/api/v1/run/one?stream={stream}"
            told.append(site.call("ann", "POST", path, json=body, headers=headers).get_data(as_text=True))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(30)
        assert told, "the stream has not ended"
        # Lines have the name of their event, and so have the fields of server-sent events.
        last = [line for line in told[0].splitlines() if line][-2:]
        assert last[-1].startswith('{"event":"end"') if stream == "true" else last[0] == "event: end", last


@pytest.mark.parametrize("stream", ["true", "sse"])
def test_a_stream_of_a_run_that_succeeded_while_the_server_stopped_is_kept(tmp_path, stream):
    Stubborn.begun.clear()
    Stubborn.goes_on.clear()
    Stubborn.times = 0
    with open_site(tmp_path, plugins=[Stubborn]) as site:
        site.add_user("ann")
        flow = flow_through("Stubborn", {"input_value": {"value": "", "type": "str"}})
        flow["data"]["edges"].pop()
        site.flow("ann", flow)

        def ask():
            headers = {"x-api-key": site.keys["ann"], "Idempotency-Key": "k"}
            path = f"/api/v1/run/through?stream={stream}"
            return site.app.test_client().post(path, json={"input_value": "hi"}, headers=headers)

        first = ask()
        assert Stubborn.begun.wait(30)
        (entry,) = site.runner.runs.registry.active.values()
        entry.cancelled.cancel(STOPPING)
        Stubborn.goes_on.set()
        text = first.text
        again = ask()
        assert again.headers["Idempotent-Replayed"] == "true" and again.text == text
    assert Stubborn.times == 1
