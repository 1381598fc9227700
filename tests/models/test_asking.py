"""Asking a model: every way in which an answer comes, or does not."""

from __future__ import annotations

import threading

import pytest
from flowrunner_models.failures import (
    ModelAnswerInvalid,
    ModelBroken,
    ModelBusy,
    ModelKeyRefused,
    ModelRefused,
    ModelTimedOut,
    ModelUnreachable,
)

from flowrunner import CancelToken, ComponentFailed, RunCancelled
from flowrunner.errors import RunTimeout
from flowrunner.testing.model_script import USUAL_WORDS, Cut, Fail, Hang, Malformed, say

REPLY = "".join(USUAL_WORDS)
NOW = {"retry-after-ms": "1"}


def failure(house, **request):
    with pytest.raises(ComponentFailed) as failed:
        house.chat(settings={"max_retries": 1}, **request)
    return failed.value.__cause__


def test_a_plain_answer_and_its_tokens(house, model):
    result = house.chat(settings={"system_message": "You are a pirate.", "temperature": "0.3", "max_tokens": "50"})
    assert result.text == REPLY
    properties = result.reported[0].message.properties
    assert properties["usage"] == {"input_tokens": 7, "output_tokens": 8, "total_tokens": 15}
    assert properties["source"]["source"] == "stand-in"
    assert house.asked() == [("system", "You are a pirate."), ("user", "hi")]
    body = model.asked[-1]
    assert (body["temperature"], body["max_tokens"], body.get("stream")) == (0.3, 50, None)


def test_a_streamed_answer(house):
    events = []
    result = house.chat(streaming=True, emit=events.append)
    assert [e.data["text"] for e in events if e.kind == "token"] == list(USUAL_WORDS)
    assert result.text == REPLY
    assert result.reported[0].message.properties["usage"]["total_tokens"] == 15


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("step", "kind", "said"),
    [
        (Fail(400, "the prompt is bad"), ModelRefused, "the prompt is bad"),
        (Fail(401, "no such key"), ModelKeyRefused, "no such key"),
        (Fail(404, "no such model"), ModelRefused, "no such model"),
        (Malformed(), ModelAnswerInvalid, "JSON"),
    ],
)
def test_failures_that_are_final(house, model, step, kind, said, streaming):
    before = len(model.asked)
    model.script(step)
    cause = failure(house, streaming=streaming)
    assert isinstance(cause, kind)
    assert said in str(cause)
    assert len(model.asked) == before + 1


@pytest.mark.parametrize(("status", "kind"), [(429, ModelBusy), (500, ModelBroken), (503, ModelBroken)])
def test_failures_that_may_pass_are_tried_again(house, model, status, kind):
    model.script(Fail(status, "not now", NOW), say("there"))
    assert house.chat(settings={"max_retries": 1}).text == "there"
    model.script(Fail(status, "not now", NOW), Fail(status, "still not", NOW))
    cause = failure(house)
    assert isinstance(cause, kind)
    assert cause.status == status
    assert str(cause) == "still not"


def test_a_cut_stream_is_no_answer_and_is_not_begun_again(house, model):
    before = len(model.asked)
    model.script(Cut(("one", " two")))
    assert isinstance(failure(house, streaming=True), ModelAnswerInvalid)
    assert len(model.asked) == before + 1
    rows = house.messages()
    assert [m.text for m in rows if m.properties["state"] == "partial"] == ["one two"]


def test_a_model_that_says_nothing_times_out(house, model):
    model.script(Hang())
    with pytest.raises(ComponentFailed) as failed:
        house.chat(settings={"timeout": 0.2, "max_retries": 0})
    assert isinstance(failed.value.__cause__, ModelTimedOut)


def test_a_server_that_is_not_there(open_house):
    house = open_house(model_base_urls="all=http://127.0.0.1:9/v1")
    with pytest.raises(ComponentFailed) as failed:
        house.chat(settings={"max_retries": 0})
    assert isinstance(failed.value.__cause__, ModelUnreachable)


@pytest.mark.parametrize("step", [Hang(), Hang(("one",)), Fail(429, "wait", {"retry-after": "30"})])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_cancelled_run_ends_the_call(house, model, step, streaming):
    model.script(step)
    token, asked = CancelToken(), len(model.asked)

    def cancel_when_asked():
        while len(model.asked) == asked:
            token.wait(0.01)
        token.cancel("enough")

    thread = threading.Thread(target=cancel_when_asked)
    thread.start()
    with pytest.raises(RunCancelled):
        house.chat(settings={"max_retries": 1}, streaming=streaming, cancelled=token)
    thread.join()


def test_a_run_that_takes_too_long_ends_the_call(open_house, model):
    house = open_house(run_timeout=0.3)
    left = model.left
    model.script(Hang())
    with pytest.raises(RunTimeout):
        house.chat()
    assert model.left >= left


def test_connections_are_kept(house):
    for _ in range(3):
        house.chat()
    kept = house.registry.component("LanguageModelComponent").connections
    assert sum(map(len, kept._idle.values())) == 1


def test_many_at_a_time(house):
    said = []

    def chat(number):
        said.append(house.chat(str(number), session_id=f"s{number}", streaming=True, emit=lambda e: None).text)

    threads = [threading.Thread(target=chat, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [REPLY] * 16


@pytest.mark.parametrize(
    ("name", "thinks"),
    [
        ("o1-mini", True),
        ("o3", True),
        ("gpt-5-mini", True),
        ("gpt-5-chat-latest", False),
        ("gpt-4o", False),
        ("openai/o4-mini", True),
        ("olmo", False),
    ],
)
def test_models_that_think_are_asked_in_their_way(house, model, name, thinks):
    house.chat(settings={"model_name": name, "temperature": 0.5, "max_tokens": 9})
    body = model.asked[-1]
    assert ("temperature" in body, "max_tokens" in body) == (not thinks, not thinks)
    assert body.get("max_completion_tokens") == (9 if thinks else None)
