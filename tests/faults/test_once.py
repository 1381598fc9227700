"""A request with an Idempotency-Key is run once, whichever worker it is sent to and whatever becomes of it."""

import random
import socket
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.faults.site import Site, waiting_flow
from tests.live_server import DEADLINE
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers through /proc")

PLAIN = {
    "components": {"in": {"type": "ChatInput"}, "out": {"type": "ChatOutput"}},
    "edges": ["in.message -> out.input_value"],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    flows = {
        "plain": PLAIN,
        "short": waiting_flow(0.3),
        "slow": waiting_flow(30),
        "hook": waiting_flow(0, source="Webhook"),
        "bad": waiting_flow(0.01),
    }
    flows["bad"]["components"]["wait0"] = {"type": "Fails"}
    flows["mute"] = {
        "components": {"in": {"type": "TextInput"}, "out": {"type": "TextOutput"}},
        "edges": ["in.text -> out.input_value"],
    }
    made = Site(tmp_path_factory.mktemp("once"), flows, WORKERS=2, MAX_ANSWER=40_000)
    yield made.start()
    made.close()


def ask(site, flow, key, query="", **body):
    headers = {} if key is None else {"Idempotency-Key": key}
    options = body.pop("options", {})
    return site.post(f"/api/v1/run/{flow}{query}", {"input_value": "hi", **body}, headers=headers, **options)


def ask_patiently(site, flow, key, query="", **body):
    """Ask as a client does that tries again after 409 and a cut connection."""
    deadline = time.monotonic() + DEADLINE
    while True:
        assert time.monotonic() < deadline
        try:
            answer = ask(site, flow, key, query, **body)
        except requests.ConnectionError:
            time.sleep(0.05)
            continue
        if answer.status_code not in (409, 503):
            return answer
        assert int(answer.headers["Retry-After"]) >= 1
        time.sleep(0.05)


def texts(site, session):
    return [message["text"] for message in site.get(f"/api/v1/monitor/messages?session_id={session}")]


@pytest.mark.parametrize("query", ["", "?envelope=1.0", "?stream=true", "?stream=sse"])
@pytest.mark.parametrize("flow", ["plain", "short", "mute"])
def test_the_same_key_gets_the_same_bytes(site, flow, query):
    key, session = str(uuid.uuid4()), f"s-{uuid.uuid4()}"
    first = ask(site, flow, key, query, session_id=session)
    assert first.status_code == 200, first.text
    again = ask_patiently(site, flow, key, query, session_id=session)
    assert (again.status_code, again.content) == (200, first.content)
    for name in ("Content-Type", "X-Run-Id"):
        assert again.headers[name] == first.headers[name]
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert texts(site, session) == ([] if flow == "mute" else ["hi", "hi"])


def test_a_plain_text_answer_is_replayed_as_text_and_another_shape_is_another_request(site):
    key = str(uuid.uuid4())
    headers = {"Idempotency-Key": key, "Accept": "text/plain"}
    first, again = (site.post("/api/v1/run/plain", {"input_value": "hi"}, headers=headers) for _ in range(2))
    assert (first.text, again.text, again.headers["Content-Type"]) == ("hi", "hi", first.headers["Content-Type"])
    assert ask(site, "plain", key).json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    "change",
    [
        {"input_value": "other"},
        {"session_id": "other"},
        {"tweaks": {"out": {"sender_name": "B"}}},
        {"query": "?stream=true"},
        {"query": "?stream=sse"},
        {"query": "?background=true"},
        {"query": "?envelope=1.0"},
        {"output_type": "any"},
    ],
)
def test_another_request_with_the_same_key_is_refused(site, change):
    key = str(uuid.uuid4())
    assert ask(site, "plain", key).status_code == 200
    refused = ask(site, "plain", key, **change)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


def test_how_the_same_request_is_written_makes_no_difference(site):
    key, url = str(uuid.uuid4()), f"{site.url}/api/v1/run/plain"
    flow_id = site.get("/api/v1/flows/")[0]["id"]
    headers = {"x-api-key": site.key, "Idempotency-Key": key, "Content-Type": "application/json"}
    bodies = (
        b'{"input_value": "hi", "session_id": "w"}',
        b'{"session_id":"w",\n"input_value":"\\u0068i"}',
        b'{"input_value": "hi", "session_id": "w", "tweaks": null, "output_type": "chat"}',
    )
    answers = [requests.post(url, data=body, headers=headers, timeout=DEADLINE) for body in bodies]
    answers.append(requests.post(f"{url}?_=1764", data=bodies[0], headers=headers, timeout=DEADLINE))
    assert [a.status_code for a in answers] == [200] * 4
    assert {a.content for a in answers} == {answers[0].content}
    assert texts(site, "w") == ["hi", "hi"]
    assert flow_id


def test_webhooks_and_background_runs_are_accepted_once(site):
    for path, body in (("webhook/hook", {"text": "x"}), ("run/plain?background=true", {"input_value": "x"})):
        key = str(uuid.uuid4())
        answers = [site.post(f"/api/v1/{path}", body, headers={"Idempotency-Key": key}) for _ in range(4)]
        assert [a.status_code for a in answers] == [202] * 4
        assert {a.content for a in answers} == {answers[0].content}
        assert len([i for i in site.states() if i == answers[0].json()["run_id"]]) == 1
        refused = site.post(
            f"/api/v1/{path}", {**body, "text": "y", "input_value": "y"}, headers={"Idempotency-Key": key}
        )
        assert refused.status_code == 422


@pytest.mark.parametrize("stream", [False, True])
def test_responses_are_given_once(site, stream):
    key, body = str(uuid.uuid4()), {"model": "plain", "input": "hi", "stream": stream}
    answers = [site.post("/api/v1/responses", body, headers={"Idempotency-Key": key})]
    assert wait_until(
        lambda: (
            (a := site.post("/api/v1/responses", body, headers={"Idempotency-Key": key})).status_code == 200
            and answers.append(a) is None
        )
    )
    assert answers[0].content == answers[1].content
    refused = site.post("/api/v1/responses", {**body, "input": "ho"}, headers={"Idempotency-Key": key})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\tb"])
def test_what_is_no_key_is_refused_in_a_sentence(site, key):
    refused = site.post("/api/v1/run/plain", {"input_value": "hi"}, headers={"Idempotency-Key": key.encode("latin-1")})
    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_invalid")
    assert "1 to 255 printable ASCII" in refused.json()["detail"]
    assert ask(site, "plain", "x" * 255).status_code == 200


def test_a_key_is_its_owners_and_its_flows(site):
    key, body = str(uuid.uuid4()), {"input_value": "hi"}
    limited = site.make_key("--flow", "plain")
    bob = site.make_key(user="bob")
    asked = [
        requests.post(
            f"{site.url}/api/v1/run/{flow}",
            json=body,
            timeout=DEADLINE,
            headers={"x-api-key": who, "Idempotency-Key": key},
        )
        for who, flow in ((site.key, "plain"), (bob, "plain"), (limited, "plain"), (site.key, "mute"))
    ]
    assert [a.status_code for a in asked] == [200] * 4
    assert len({a.headers["X-Run-Id"] for a in asked}) == 4
    assert not any("Idempotent-Replayed" in a.headers for a in asked)


def test_what_failed_before_it_was_accepted_keeps_no_key(site):
    key = str(uuid.uuid4())
    assert ask(site, "plain", key, session_id=7).status_code == 422
    assert ask(site, "nothing", key).status_code == 404
    assert ask(site, "plain", key, tweaks={"in": {"code": "x"}}).status_code in (200, 422)
    assert ask(site, "plain", str(uuid.uuid4()), "?envelope=9").status_code == 422
    key = str(uuid.uuid4())
    refused = ask(site, "plain", key, tweaks={"ChatInput": {"input_value": "both"}})
    assert refused.status_code == 400
    assert ask(site, "plain", key).status_code == 200


def test_a_run_that_failed_is_not_run_again(site):
    key, session = str(uuid.uuid4()), str(uuid.uuid4())
    first, again = (ask(site, "bad", key, session_id=session) for _ in range(2))
    assert (first.status_code, first.content) == (500, again.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert texts(site, session).count("hi") == 1


def test_an_answer_that_is_too_large_is_not_kept_and_not_made_again(site):
    for query in ("", "?stream=true", "?stream=sse"):
        key, session = str(uuid.uuid4()), str(uuid.uuid4())
        body = {"input_value": "long " * 10_000, "session_id": session}
        assert ask(site, "plain", key, query, **body).status_code == 200
        gone = ask_patiently(site, "plain", key, query, **body)
        assert (gone.status_code, gone.json()["code"]) == (410, "answer_gone")
        assert len(texts(site, session)) == 2


def test_a_retry_is_told_to_wait_while_the_first_is_under_way(site):
    key, answers = str(uuid.uuid4()), []
    thread = threading.Thread(target=lambda: answers.append(ask(site, "slow", key)))
    thread.start()
    run_id = wait_until(lambda: [i for i in site.open_runs() if site.states()[i] == "running"])[0]
    for _ in range(4):
        busy = ask(site, "slow", key)
        assert (busy.status_code, busy.json()["code"], busy.headers["Retry-After"]) == (
            409,
            "idempotency_in_flight",
            "1",
        )
    assert site.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
    thread.join()
    again = ask(site, "slow", key)
    assert (answers[0].status_code, again.status_code, again.content) == (499, 499, answers[0].content)


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
def test_a_client_that_lost_its_connection_gets_the_answer_of_the_run_that_went_on(site, query):
    key, session = str(uuid.uuid4()), str(uuid.uuid4())
    host, port = site.url.removeprefix("http://").split(":")
    body = b'{"input_value": "hi", "session_id": "%s"}' % session.encode()
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(
            b"POST /api/v1/run/short%s HTTP/1.1\r\nHost: x\r\nx-api-key: %s\r\nIdempotency-Key: %s\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (query.encode(), site.key.encode(), key.encode(), len(body), body)
        )
        assert wait_until(lambda: site.rows("SELECT 1 FROM flowrunner_answers WHERE begun AND state = 'open'"))
    answer = ask_patiently(site, "short", key, query, session_id=session)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert texts(site, session) == ["hi", "hi"]


def test_500_requests_with_50_keys_by_20_clients_are_50_turns(site):
    keys = [str(uuid.uuid4()) for _ in range(50)]
    session = str(uuid.uuid4())
    wanted = [key for key in keys for _ in range(10)]
    random.Random(7).shuffle(wanted)
    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda key: ask_patiently(site, "plain", key, session_id=session, input_value=key), wanted)
        )
    assert {a.status_code for a in answers} == {200}
    assert len({a.headers["X-Run-Id"] for a in answers}) == 50
    for key in keys:
        assert len({a.content for a, k in zip(answers, wanted, strict=True) if k == key}) == 1
    said = [m["text"] for m in site.get(f"/api/v1/monitor/messages?session_id={session}&limit=200")]
    assert sorted(said) == sorted(keys * 2)


def test_a_request_without_a_key_leaves_nothing(site):
    before = site.rows("SELECT count(*) FROM flowrunner_answers")
    assert ask(site, "plain", None).status_code == 200
    assert site.rows("SELECT count(*) FROM flowrunner_answers") == before


def test_what_is_kept_is_encrypted(site):
    word = f"word{uuid.uuid4().hex}"
    assert ask(site, "plain", str(uuid.uuid4()), input_value=word).status_code == 200
    assert not [row for row in site.rows("SELECT answer FROM flowrunner_answers") if word in str(row)]


def test_after_a_kill_a_key_whose_run_had_not_begun_is_free_and_a_lost_one_says_so(make_site):
    flow = waiting_flow(30)
    site = make_site({"slow": flow}, WORKERS=1, TURN_WAIT=60).start()
    results = {}

    def send(key):
        with pytest.raises(requests.ConnectionError):
            ask(site, "slow", key, session_id="one", input_value=key)
        results[key] = "cut"

    threads = [threading.Thread(target=send, args=(key,)) for key in ("begun", "waits")]
    threads[0].start()
    assert wait_until(lambda: site.rows("SELECT 1 FROM flowrunner_answers WHERE begun"))
    threads[1].start()
    assert wait_until(lambda: site.rows("SELECT count(*) FROM flowrunner_answers") == [(2,)])
    site.kill_all()
    for thread in threads:
        thread.join()
    site.settings["COMPONENT_TIMEOUT"] = 0.2
    site.start()
    lost = ask_patiently(site, "slow", "begun", session_id="one", input_value="begun")
    assert (lost.status_code, lost.json()["code"]) == (500, "run_lost")
    assert "another Idempotency-Key" in lost.json()["detail"]
    fresh = ask_patiently(site, "slow", "waits", session_id="one", input_value="waits")
    assert fresh.json()["code"] == "run_timeout"
    assert [text for text in texts(site, "one") if text in ("begun", "waits")] == ["begun", "waits"]


def test_a_stop_of_the_server_gives_the_key_back(make_site):
    site = make_site({"slow": waiting_flow(20)}, STOP_WAIT=0.1).start()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask(site, "slow", "k")))
    thread.start()
    assert wait_until(lambda: site.rows("SELECT 1 FROM flowrunner_answers WHERE begun"))
    site.stop()
    thread.join()
    assert (answers[0].status_code, answers[0].json()["code"]) == (503, "server_stops")
    assert site.rows("SELECT * FROM flowrunner_answers") == []


def test_keys_are_forgotten_after_their_time_and_not_looked_at_where_the_time_is_none(make_site):
    site = make_site({"plain": PLAIN}, IDEMPOTENCY_SECONDS=0.5).start()
    first = ask(site, "plain", "k")
    assert wait_until(lambda: ask(site, "plain", "k").headers["X-Run-Id"] != first.headers["X-Run-Id"])
    site.stop()
    site.settings["IDEMPOTENCY_SECONDS"] = 0
    site.start()
    assert len({ask(site, "plain", "k" * 500).headers["X-Run-Id"] for _ in range(2)}) == 2
