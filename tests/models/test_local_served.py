"""The conversation of the README's quick start, as a client holds it: the pirate on this machine, over HTTP."""

from __future__ import annotations

import time

import pytest
import requests

from tests.models.test_local_model import QUESTIONS, needs_weights
from tests.streaming.reading import lines_of


def ask(server, question):
    """Ask the pirate in a stream of lines; return its events, each with the moment when it came, in seconds."""
    body = {"input_value": question, "session_id": "pirate over http", "tweaks": {"model": {"max_tokens": 12}}}
    with requests.post(f"{server.url}/api/v1/run/pirate?stream=true", json=body, stream=True, timeout=60) as answer:
        assert answer.status_code == 200, answer.text
        return [(time.monotonic(), event) for event in lines_of(answer)]


def read(server, path, **query):
    answer = requests.get(f"{server.url}/api/v1/monitor/{path}", params=query, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.dear
@needs_weights
def test_the_pirates_conversation_over_http(open_server):
    said = []
    for question in QUESTIONS:
        events = ask(open_server, question)
        tokens = [(moment, event["data"]["chunk"]) for moment, event in events if event["event"] == "token"]
        assert tokens[0][0] < tokens[-1][0]
        end = events[-1][1]
        assert end["event"] == "end"
        assert end["data"]["result"]["session_id"] == "pirate over http"
        text = end["data"]["result"]["outputs"][0]["outputs"][0]["results"]["message"]["text"]
        assert text == "".join(chunk for _, chunk in tokens)
        said += [question, text]
    stored = read(open_server, "messages", session_id="pirate over http")
    assert [message["text"] for message in stored] == said
    assert prompts_sent(open_server, stored[0]["flow_id"]) == [prompt_for(said, n) for n in range(len(QUESTIONS))]


def prompts_sent(server, flow_id):
    """Return the prompts that went to the model, oldest first, from the log of its runs."""
    page = read(server, "transactions", flow_id=flow_id, size=100)
    return [t["outputs"]["prompt"]["message"] for t in reversed(page["items"]) if t["vertex_id"] == "prompt"]


def prompt_for(said, number):
    turns = zip(said[: 2 * number : 2], said[1 : 2 * number : 2], strict=True)
    history = "\n".join(line for question, answer in turns for line in (f"User: {question}", f"AI: {answer}"))
    return f"{history}\nUser: {said[2 * number]}\nAI:"
