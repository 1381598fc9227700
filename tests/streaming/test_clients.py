"""Real clients, unchanged."""

from __future__ import annotations

import threading

import pytest

from flowrunner.testing.model_script import Fail, say

REPLY = "Ahoy matey, the sky is blue."


@pytest.fixture
def openai_client(server):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{server.url}/api/v1", api_key=server.key, max_retries=0) as client:
        yield client


def test_openai_plain(openai_client, model):
    first = openai_client.responses.create(model="chat", input="Why is the sky blue?")
    assert first.output_text == REPLY
    assert first.status == "completed"
    assert (first.usage.input_tokens, first.usage.output_tokens, first.usage.total_tokens) == (7, 8, 15)
    second = openai_client.responses.create(model="chat", input="Thank you!", previous_response_id=first.id)
    assert second.previous_response_id == first.id


def test_openai_conversation_is_one_session(openai_client, server):
    first = openai_client.responses.create(model="echo", input="one")
    openai_client.responses.create(model="echo", input="two", previous_response_id=first.id)
    assert [m["text"] for m in server.messages(first.id)] == ["one", "one", "two", "two"]


def test_openai_streamed(openai_client):
    events = list(openai_client.responses.create(model="chat", input="Why is the sky blue?", stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) == 7
    assert "".join(deltas) == REPLY
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[-1].response.output_text == REPLY
    assert events[-1].response.usage.total_tokens == 15
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_openai_stream_helper(openai_client):
    with openai_client.responses.stream(model="echo", input="hello") as stream:
        said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert said == final.output_text == "hello"


def test_openai_errors_have_their_status(openai_client, model):
    import openai

    with pytest.raises(openai.NotFoundError) as missing:
        openai_client.responses.create(model="nothing", input="x")
    assert missing.value.body["code"] == "flow_not_found"
    with pytest.raises(openai.BadRequestError):
        openai_client.responses.create(model="chat", input="x", tools=[{"type": "web_search"}])
    model.script(Fail(400, "the stand-in refuses"))
    with pytest.raises(openai.InternalServerError) as failed:
        openai_client.responses.create(model="chat", input="x")
    assert "the stand-in refuses" in failed.value.body["message"]


def test_openai_says_what_is_wrong_with_a_key_or_a_body(openai_client):
    import openai

    with pytest.raises(openai.PermissionDeniedError) as refused:
        openai_client.with_options(api_key="sk-unknown").responses.create(model="chat", input="x")
    assert (refused.value.code, refused.value.body["message"]) == ("not_allowed", "Invalid or missing API key")
    with pytest.raises(openai.UnprocessableEntityError) as broken:
        openai_client.post(
            "/responses", content=b"{", options={"headers": {"content-type": "application/json"}}, cast_to=object
        )
    assert "not valid JSON" in broken.value.body["message"]


def test_openai_with_any_key_where_none_is_asked(open_server):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{open_server.url}/api/v1", api_key="none needed", max_retries=0) as client:
        assert client.responses.create(model="basic-chat", input="hello").output_text == "hello"


def test_openai_stream_that_a_prompt_words_anew(openai_client):
    plain = openai_client.responses.create(model="wrapped", input="x").output_text
    with openai_client.responses.stream(model="wrapped", input="x") as stream:
        list(stream)
        final = stream.get_final_response()
    assert final.output_text == plain == f"Answer: {REPLY} -- end"


def test_openai_stream_that_fails(openai_client, model):
    model.script(Fail(400, "the stand-in refuses"))
    events = list(openai_client.responses.create(model="chat", input="x", stream=True))
    assert events[-1].type == "response.failed"
    assert "the stand-in refuses" in events[-1].response.error.message


def test_langflow_sdk(server, model):
    sdk = pytest.importorskip("langflow_sdk")
    with sdk.LangflowClient(server.url, api_key=server.key) as client:
        assert client.run("chat", input_value="hi").first_text_output() == REPLY
        gate = threading.Event()
        model.script(say("Ahoy", " there", gate=gate))
        odd = "a\u2028b\u2029c\x85d"
        assert list(client.stream("echo", input_value=odd))[-1].final_response().first_text_output() == odd
        said = []
        for chunk in client.stream("chat", input_value="hi"):
            if chunk.is_token:
                said.append(chunk.text)
                gate.set()
            last = chunk
    assert said == ["Ahoy", " there"]
    assert last.is_end
    assert last.final_response().first_text_output() == "Ahoy there"


def test_a_body_that_merely_carries_stream_gets_a_plain_answer(server):
    import requests

    body, headers = {"input_value": "x", "stream": True}, {"x-api-key": server.key}
    answer = requests.post(f"{server.url}/api/v1/run/echo", json=body, headers=headers, timeout=10)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", ["X-LANGFLOW-GLOBAL-VAR-OPENAI_API_KEY", "x-langflow-global-var-openai-api-key"])
def test_a_key_that_comes_with_the_request(server, model, name):
    import requests

    headers = {"x-api-key": server.key, name: "sk-of-the-request"}
    answer = requests.post(f"{server.url}/api/v1/run/chat", json={"input_value": "x"}, headers=headers, timeout=10)
    assert answer.status_code == 200
    assert model.headers[-1]["authorization"] == "Bearer sk-of-the-request"
    assert "sk-of-the-request" not in answer.text


JS = """
import { LangflowClient } from "@datastax/langflow-client";
const client = new LangflowClient({ baseUrl: process.argv[2], apiKey: process.argv[3] });
const reply = await client.flow("chat").run("hi");
const events = [];
for await (const event of await client.flow("chat").stream("hi", { session_id: "js" })) events.push(event);
console.log(JSON.stringify({ text: reply.chatOutputText(), events }));
"""


def test_the_javascript_client(server, javascript_client):
    said = javascript_client.run(JS, server.url, server.key)
    assert said["text"] == REPLY
    kinds = [event["event"] for event in said["events"]]
    assert kinds == ["add_message", "add_message", *["token"] * 7, "add_message", "end"]
    assert "".join(e["data"]["chunk"] for e in said["events"] if e["event"] == "token") == REPLY
