"""The run calls of clients written for Langflow, unchanged, against a live server."""

from __future__ import annotations

import asyncio

import pytest
import requests

from tests.live_server import DEADLINE

sdk = pytest.importorskip("langflow_sdk")

RUN = """
import { LangflowClient } from "@datastax/langflow-client";
const [baseUrl, apiKey] = process.argv.slice(2);
const client = new LangflowClient({ baseUrl, apiKey });
const flow = client.flow("basic-chat");
const plain = await flow.run("Hello, wörld 🦜");
const named = await flow.run("again", { session_id: "a/b 100%", input_type: "chat", output_type: "any" });
const tweaked = await flow.tweak("answer", { sender_name: "Echo" }).run("tweaked", { session_id: "t" });
const failures = [];
for (const [key, name] of [["wrong", "basic-chat"], [apiKey, "no-such-flow"]]) {
  try { await new LangflowClient({ baseUrl, apiKey: key }).flow(name).run("x"); }
  catch (error) { failures.push([error.constructor.name, error.message, await error.cause.json()]); }
}
console.log(JSON.stringify({
  plain: [plain.chatOutputText(), plain.sessionId, plain.outputs],
  named: [named.chatOutputText(), named.sessionId],
  tweaked: tweaked.outputs[0].outputs[0].messages[0].sender_name,
  failures,
}));
"""


def test_the_javascript_client_runs_flows(keyed_server, javascript_client):
    server, key = keyed_server
    said = javascript_client.run(RUN, server.url, key)
    flow_id = _flow(server, key)["id"]
    assert said["plain"][:2] == ["Hello, wörld 🦜", flow_id]
    assert said["plain"][2][0]["inputs"] == {"input_value": "Hello, wörld 🦜"}
    assert said["named"] == ["again", "a/b 100%"]
    assert said["tweaked"] == "Echo"
    (wrong, foreign) = said["failures"]
    assert wrong[:2] == ["LangflowError", "403 - FORBIDDEN"]
    assert wrong[2]["detail"] == "Invalid or missing API key"
    assert foreign[:2] == ["LangflowError", "404 - NOT FOUND"]
    assert foreign[2]["detail"] == "Flow identifier no-such-flow not found"
    assert _texts(server, key, "a/b 100%") == ["again", "again"]


def test_the_javascript_client_calls_an_open_server_without_a_key(open_server, javascript_client):
    source = """
    import { LangflowClient } from "@datastax/langflow-client";
    const client = new LangflowClient({ baseUrl: process.argv[2] });
    const reply = await client.flow("basic-chat").run("hi", { session_id: "js" });
    console.log(JSON.stringify([reply.chatOutputText(), reply.sessionId]));
    """
    assert javascript_client.run(source, open_server.url) == ["hi", "js"]


def test_the_python_sdk_runs_flows(keyed_server):
    server, key = keyed_server
    with sdk.LangflowClient(server.url, api_key=key) as client:
        answer = client.run("basic-chat", input_value="Hello 🦜")
        assert answer.first_text_output() == "Hello 🦜"
        assert answer.session_id == _flow(server, key)["id"]
        tweaked = client.run("basic-chat", input_value="x", tweaks={"session_id": "from-the-tweak"})
        assert tweaked.session_id == "from-the-tweak"
        request = sdk.RunRequest(input_value="typed", input_type="chat", output_type="any")
        assert client.run_flow(_flow(server, key)["id"], request).first_text_output() == "typed"
    assert _texts(server, key, "from-the-tweak") == ["x", "x"]


def test_the_python_sdk_gets_its_own_errors(keyed_server):
    server, key = keyed_server
    with sdk.LangflowClient(server.url, api_key="wrong") as client, pytest.raises(sdk.LangflowAuthError):
        client.run("basic-chat", input_value="x")
    with sdk.LangflowClient(server.url, api_key=key) as client:
        with pytest.raises(sdk.LangflowNotFoundError):
            client.run("no-such-flow", input_value="x")
        with pytest.raises(sdk.LangflowValidationError):
            client.run("basic-chat", input_value="x", tweaks={"answer": {"code": "import os"}})


def test_the_python_sdk_in_an_event_loop(keyed_server):
    server, key = keyed_server

    async def run_many():
        async with sdk.AsyncLangflowClient(server.url, api_key=key) as client:
            answers = await asyncio.gather(*(client.run("basic-chat", input_value=f"text {n}") for n in range(8)))
            return [answer.first_text_output() for answer in answers]

    assert asyncio.run(run_many()) == [f"text {n}" for n in range(8)]


def test_a_plain_http_call_as_the_users_script_makes_it(keyed_server):
    """Ask, keep the session that the answer names, and go on in it."""
    server, key = keyed_server
    url = f"{server.url}/api/v1/run/basic-chat?stream=false"
    session = "the script's own"
    for question in ("why is the sky blue?", "tell me a joke", "what is the weather?", "thank you"):
        payload = {"input_value": question, "output_type": "chat", "input_type": "chat", "tweaks": {}}
        payload["session_id"] = session
        answer = requests.post(url, json=payload, headers={"x-api-key": key}, timeout=DEADLINE).json()
        session = answer["session_id"]
        assert answer["outputs"][0]["outputs"][0]["results"]["message"]["text"] == question
    assert len(_texts(server, key, session)) == 8


def _flow(server, key):
    headers = {"x-api-key": key}
    flows = requests.get(f"{server.url}/api/v1/flows/", headers=headers, timeout=DEADLINE).json()
    return next(flow for flow in flows if flow["endpoint_name"] == "basic-chat")


def _texts(server, key, session):
    where = f"{server.url}/api/v1/monitor/messages"
    found = requests.get(where, params={"session_id": session}, headers={"x-api-key": key}, timeout=DEADLINE)
    return [row["text"] for row in found.json()]
