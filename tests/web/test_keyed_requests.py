"""What is stored of requests that carry an Idempotency-Key."""

import hashlib

from sqlalchemy import select

from flowrunner.store.engine import reading
from flowrunner.store.secretbox import SecretBox
from flowrunner.store.tables import answers
from tests.web.site import echo_flow, open_site


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
