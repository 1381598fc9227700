"""Pictures that a user uploaded reach the model with the question, and only theirs."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from flowrunner_models import pictures
from flowrunner_models.failures import ModelRefused
from flowrunner_models.local_model import Engines, LocalModel
from flowrunner_models.pictures import media_type_of, only_pictures, with_pictures
from flowrunner_models.protocol import Options, Picture, Turn
from flowrunner_models.turns import turns_of

from flowrunner import Message
from flowrunner.testing.model_script import Fail
from flowrunner.testing.model_script import say as say_words
from tests.web.site import edge, flow_through, open_site

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
SAMPLE = Path(__file__)  # A file that is no picture.
ASK = flow_through("LanguageModelComponent", {}, "text_output", name="ask")
AGENT = flow_through("Agent", {}, "response", name="agent")


def with_vertex_before_model(kind, template, output, name, *edges):
    """Return a flow whose model is asked with what a vertex before it makes of the question."""
    flow = flow_through("LanguageModelComponent", {}, "text_output", name=kind.split()[0].lower())
    (inner,) = flow_through(kind, template, output)["data"]["nodes"][1:2]
    flow["data"]["nodes"].append({**inner, "id": "before"})
    flow["data"]["edges"] += [edge("before", output, "LanguageModelComponent-m", name), *edges]
    return flow


HISTORY = with_vertex_before_model("Memory", {}, "dataframe", "history")
PROMPT = with_vertex_before_model(
    "Prompt Template",
    {"template": {"value": "Say: {question}", "type": "prompt"}},
    "prompt",
    "input_value",
    edge("ChatInput-a", "message", "before", "question"),
)
PROMPT["data"]["edges"].pop(0)


def url_of(content, kind="image/png"):
    return {
        "type": "image_url",
        "image_url": {"url": f"data:{kind};base64,{base64.b64encode(content).decode()}"},
    }


@pytest.fixture
def site(tmp_path, model):
    with open_site(tmp_path, model="openai:stand-in", model_base_urls=f"all={model.url}") as made:
        made.add_user("ann")
        made.add_user("bob")
        yield made


def upload(site, user, flow, content=PNG, name="cat.png"):
    sent = {"file": (io.BytesIO(content), name)}
    path = f"/api/v1/files/upload/{flow}"
    return site.ask(user, "POST", path, 201, data=sent, content_type="multipart/form-data")["file_path"]


def say(site, flow, text, *files, user="ann", expect=200):
    body = {"input_value": text, "session_id": "s", "tweaks": {"ChatInput-a": {"files": list(files)}}}
    return site.ask(user, "POST", f"/api/v1/run/{flow}", expect, json=body)


def asked(model):
    return [(m["role"], m["content"]) for m in model.asked[-1]["messages"]]


@pytest.mark.parametrize("flow", [ASK, AGENT], ids=["model", "agent"])
def test_a_picture_goes_with_the_question(site, model, flow):
    flow = site.flow("ann", flow)
    say(site, flow, "What is it?", upload(site, "ann", flow))
    assert asked(model)[-1] == ("user", [{"type": "text", "text": "What is it?"}, url_of(PNG)])


def test_a_picture_alone_is_a_question(site, model):
    flow = site.flow("ann", ASK)
    say(site, flow, "", upload(site, "ann", flow, GIF, "cat.gif"))
    assert asked(model) == [("user", [url_of(GIF, "image/gif")])]


def test_what_the_bytes_say_counts_and_other_files_stay_here(site, model):
    flow = site.flow("ann", ASK)
    names = [upload(site, "ann", flow, b"<svg onload=x>", "cat.png"), upload(site, "ann", flow, PNG, "notes.txt")]
    say(site, flow, "What are they?", *names)
    assert asked(model) == [("user", [{"type": "text", "text": "What are they?"}, url_of(PNG)])]


def test_pictures_of_earlier_turns_go_along_until_they_are_deleted(site, model):
    flow = site.flow("ann", AGENT)
    name = upload(site, "ann", flow)
    say(site, flow, "What is it?", name)
    say(site, flow, "Which colour?")
    assert asked(model)[1:] == [
        ("user", [{"type": "text", "text": "What is it?"}, url_of(PNG)]),
        ("assistant", "Ahoy matey, the sky is blue."),
        ("user", "Which colour?"),
    ]
    site.ask("ann", "DELETE", f"/api/v1/files/delete/{name}")
    say(site, flow, "And now?")
    shown = name.rpartition("/")[2]
    assert asked(model)[1] == ("user", f"What is it?\n[The file {shown} is not shown.]")


def test_the_rows_of_a_history_keep_their_pictures(site, model):
    flow = site.flow("ann", HISTORY)
    say(site, flow, "What is it?", upload(site, "ann", flow))
    say(site, flow, "Which colour?")
    assert [content for role, content in asked(model) if role == "user"] == [
        [{"type": "text", "text": "What is it?"}, url_of(PNG)],
        "Which colour?",
    ]


def test_a_prompt_hands_the_pictures_of_its_question_on(site, model):
    flow = site.flow("ann", PROMPT)
    say(site, flow, "What is it?", upload(site, "ann", flow))
    assert asked(model) == [("user", [{"type": "text", "text": "Say: What is it?"}, url_of(PNG)])]


def test_pictures_of_an_answer_are_not_sent():
    rows = [
        {"sender": "User", "text": "one", "files": ["a"]},
        {"sender": "Machine", "text": "two", "files": ["b"]},
        {"role": "assistant", "text": "three", "files": ["c"]},
    ]
    assert [turn.files for turn in turns_of(rows)] == [("a",), (), ()]
    answer = Message(text="two", sender="Machine", files=("b",))
    assert turns_of([answer]) == [Turn("assistant", "two")]
    assert turns_of([Message(text="", sender="Machine", files=("b",))]) == []


@pytest.mark.parametrize("flow", [ASK, AGENT], ids=["model", "agent"])
def test_a_file_alone_that_is_no_picture_is_no_question(site, model, flow):
    flow = site.flow("ann", flow)
    before = len(model.asked)
    name = upload(site, "ann", flow, b"words", "notes.txt")
    assert "the message to the model is empty" in str(say(site, flow, "", name, expect=500))
    assert len(model.asked) == before


def test_a_file_alone_is_left_out_of_a_history():
    context = SimpleNamespace(stored_file=lambda name: SAMPLE)
    found = with_pictures(context, [Turn("user", "", files=("notes",)), Turn("user", "two")])
    assert found == [Turn("user", "two")]


def test_structured_output_sees_the_picture(site, model):
    row = {"name": "title", "type": "str", "description": "", "multiple": False}
    flow = flow_through("StructuredOutput", {"output_schema": {"value": [row], "type": "table"}}, "structured_output")
    flow = site.flow("ann", flow)
    say(site, flow, "What is it?", upload(site, "ann", flow))
    assert asked(model)[-1] == ("user", [{"type": "text", "text": "What is it?"}, url_of(PNG)])


def test_a_model_that_takes_no_pictures_goes_on_without_the_earlier_ones(site, model):
    flow = site.flow("ann", AGENT)
    say(site, flow, "What is it?", upload(site, "ann", flow))
    model.script(Fail(400, "no pictures here"), say_words("Still here."))
    say(site, flow, "Which colour?")
    assert [content for role, content in asked(model) if role == "user"] == ["What is it?", "Which colour?"]
    model.script(Fail(400, "no pictures here"))
    assert "no pictures here" in str(say(site, flow, "And this?", upload(site, "ann", flow), expect=500))


def test_nobody_elses_picture_is_sent(site, model):
    flow = site.flow("ann", ASK)
    foreign = upload(site, "bob", site.flow("bob", ASK))
    before = len(model.asked)
    assert "not one of your uploads" in str(say(site, flow, "What is it?", foreign, expect=400))
    assert len(model.asked) == before


@pytest.mark.parametrize(("name", "bound"), [("_MOST", 1), ("_MOST_BYTES", len(PNG))])
def test_what_is_too_much_is_left_out_and_named_the_newest_first(site, model, monkeypatch, name, bound):
    monkeypatch.setattr(pictures._Room, "__init__", _room_of(name, bound))
    flow = site.flow("ann", AGENT)
    first, second = upload(site, "ann", flow), upload(site, "ann", flow, PNG, "dog.png")
    say(site, flow, "one", first)
    say(site, flow, "two", second)
    users = [content for role, content in asked(model) if role == "user"]
    assert users == [
        f"one\n[The file {first.rpartition('/')[2]} is not shown.]",
        [{"type": "text", "text": "two"}, url_of(PNG)],
    ]


def _room_of(name, bound):
    def make(room):
        room.bytes = bound if name == "_MOST_BYTES" else 1000
        room.pictures = bound if name == "_MOST" else 10

    return make


def test_a_model_that_takes_none_refuses_the_question_and_drops_the_history(tmp_path):
    picture = Picture("cat.png", "image/png", PNG)
    old, new = Turn("user", "one", pictures=(picture,)), Turn("user", "two")
    assert only_pictures([old, new], (), "small") == [Turn("user", "one"), new]
    assert only_pictures([old], ("image/png",), "large") == [old]
    with pytest.raises(ModelRefused, match="small does not accept images of type image/png"):
        only_pictures([new, old], ("image/gif",), "small")
    local = LocalModel(Engines(), tmp_path / "small.gguf", Options())
    with pytest.raises(ModelRefused, match="small does not accept images"):
        local.ask([old])


def test_media_types_by_the_first_bytes():
    assert media_type_of(b"RIFF\x00\x00\x00\x00WEBPVP8 ") == "image/webp"
    assert media_type_of(b"\xff\xd8\xff\xe0JFIF") == "image/jpeg"
    assert media_type_of(b"RIFF\x00\x00\x00\x00WAVE") is None
    assert media_type_of(b"") is None
