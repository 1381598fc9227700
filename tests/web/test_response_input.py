"""The input of /responses as a list of items: the last turn of the user, with the history that the client brings."""

from __future__ import annotations

import base64

import pytest

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
URL = "data:image/png;base64," + base64.b64encode(PICTURE).decode()


def history_flow():
    """Return a flow that says what it finds of earlier turns, and what it is asked."""
    components = {
        "in": {"type": "ChatInput"},
        "memory": {"type": "Memory", "settings": {"template": "{sender}: {text}"}},
        "prompt": {"type": "Prompt", "settings": {"template": "{history}|{asked}"}},
        "out": {"type": "ChatOutput"},
    }
    edges = ["in.message -> prompt.asked", "memory.messages_text -> prompt.history", "prompt.prompt -> out.input_value"]
    return {"name": "history", "data": {"components": components, "edges": edges}}


@pytest.fixture
def ask(site):
    flow = site.ask("ann", "POST", "/api/v1/flows/", 201, json=history_flow())["id"]

    def ask(given, expect=200, **more):
        return site.ask("ann", "POST", "/api/v1/responses", expect, json={"model": flow, "input": given, **more})

    ask.site, ask.flow = site, flow
    return ask


def said(answer):
    return answer["output"][0]["content"][0]["text"]


def user(content, **more):
    return {"role": "user", "content": content, **more}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


TEXT = [{"type": "input_text", "text": "hi"}]


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([user("hi")], "|hi"),
        ([user("hi", type="message")], "|hi"),
        ([user(TEXT)], "|hi"),
        ([user([*TEXT, {"type": "input_text", "text": "there"}])], "|hi\nthere"),
        ([user("one"), assistant("two"), user("hi")], "User: one\nMachine: two|hi"),
        (
            [
                user("one"),
                assistant([{"type": "output_text", "text": "two", "annotations": []}], id="msg_1"),
                user(TEXT),
            ],
            "User: one\nMachine: two|hi",
        ),
        ([{"role": "system", "content": "be brief"}, user("hi")], "|hi"),
        ([{"role": "developer", "content": TEXT}, user("one"), user("hi")], "User: one|hi"),
        (
            [
                user("one"),
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "3"},
                assistant("two"),
                user("hi"),
            ],
            "User: one\nMachine: two|hi",
        ),
        ([{"type": "reasoning", "id": "r", "summary": []}, {"type": "item_reference", "id": "x"}, user("hi")], "|hi"),
        ([{"type": "web_search_call", "id": "w"}, {"type": "mcp_list_tools", "id": "m"}, user("hi")], "|hi"),
        ([user("hi"), assistant("an answer that was begun")], "|hi"),
        ([user("one"), assistant([{"type": "refusal", "refusal": "no"}]), user("hi")], "User: one\nMachine: no|hi"),
        ([user("one"), assistant(""), user("")], "User: one|"),
        ("hi", "|hi"),
    ],
)
def test_the_last_turn_of_the_user_is_asked_with_what_stands_before_it(ask, items, text):
    answer = ask(items)
    assert said(answer) == text
    assert answer["id"] in ask.site.sessions("ann")


def test_an_earlier_response_brings_its_own_history(ask):
    first = ask([user("one")])
    second = ask([user("ignored"), assistant("too"), user("two")], previous_response_id=first["id"])
    assert said(second) == "User: one\nMachine: |one|two"
    assert second["id"] == first["id"]
    third = ask("three", previous_response_id=first["id"])
    assert said(third).endswith("User: two\nMachine: User: one\nMachine: |one|two|three")


def test_two_requests_with_the_same_history_do_not_mix(ask):
    items = [user("one"), assistant("two"), user("hi")]
    assert said(ask(items)) == said(ask(items)) == "User: one\nMachine: two|hi"
    ask.site.flow("bob")
    assert ask.site.sessions("bob") == []


def test_a_picture_is_kept_with_the_message(ask):
    part = {"type": "input_image", "image_url": URL, "detail": "auto"}
    assert said(ask([user([*TEXT, part])])) == "|hi"
    (message,) = [m for m in ask.site.messages("ann") if m["sender"] == "User"]
    assert '"' + ask.flow in message["files"] and "picture" in message["files"]
    (kept,) = ask.site.ask("ann", "GET", f"/api/v1/files/list/{ask.flow}")["files"]
    answer = ask.site.call("ann", "GET", f"/api/v1/files/download/{ask.flow}/{kept}")
    assert answer.data == PICTURE
    answer.close()


def test_a_stream_has_the_same_history(ask):
    body = {"model": ask.flow, "input": [user("one"), assistant("two"), user("hi")], "stream": True}
    answer = ask.site.call("ann", "POST", "/api/v1/responses?events=openai", json=body)
    assert "User: one" in answer.get_data(as_text=True)


def picture(content=PICTURE, kind="png"):
    url = f"data:image/{kind};base64," + base64.b64encode(content).decode()
    return user([*TEXT, {"type": "input_image", "image_url": url}])


BEFORE = [user("one"), assistant("two")]


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ([*BEFORE, user("hi")], [user("ONE"), assistant("two"), user("hi")]),
        ([*BEFORE, user("hi")], [assistant("one"), user("two"), user("hi")]),
        ([*BEFORE, user("hi")], [*BEFORE, *BEFORE, user("hi")]),
        ([*BEFORE, user("hi")], [user("hi")]),
        ([user("hi")], [*BEFORE, user("hi")]),
        ([picture()], [picture(PICTURE + b"0")]),
        ([picture()], [picture(kind="jpeg")]),
        ([picture()], [user("hi")]),
    ],
    ids=range(8),
)
def test_a_key_stands_for_all_that_a_request_brings(ask, first, other):
    def send(given):
        body = {"model": ask.flow, "input": given}
        return ask.site.call("ann", "POST", "/api/v1/responses", json=body, headers={"Idempotency-Key": "k"})

    answer = send(first)
    again = send(first)
    assert answer.status_code == again.status_code == 200
    assert again.headers["Idempotent-Replayed"] == "true" and again.data == answer.data
    refused = send(other)
    assert refused.status_code == 422 and "different request" in refused.get_data(as_text=True)


@pytest.mark.parametrize(
    "given",
    [
        3,
        None,
        {},
        [],
        [3],
        [None],
        [{}],
        [{"role": "user"}],
        [user(3)],
        [user(None)],
        [user([3])],
        [user([{}])],
        [user([{"type": "input_text"}])],
        [user([{"type": "input_audio", "data": "x"}])],
        [user([{"type": "input_image", "image_url": "https://example.com/x.png"}])],
        [user([{"type": "input_image", "image_url": "data:image/png;base64,@@@"}])],
        [user([{"type": "input_image", "file_id": "f"}])],
        [{"role": "robot", "content": "x"}],
        [{"type": "nonsense", "role": "user", "content": "x"}],
        [assistant("alone")],
        [{"type": "function_call_output", "output": "3"}],
        [user("x")] * 2001,
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_input_is_refused_and_nothing_is_kept(ask, given):
    answer = ask(given, 422)
    assert ask.site.messages("ann") == []
    assert ask.site.ask("ann", "GET", f"/api/v1/files/list/{ask.flow}")["files"] == []
    assert answer
