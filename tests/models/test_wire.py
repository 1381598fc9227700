"""What servers write, whatever their habits, is read; what cannot be read is an invalid answer."""

from __future__ import annotations

import json

import pytest
from flowrunner_models.completions import Chunks, read_completion
from flowrunner_models.events import events_of
from flowrunner_models.failures import ModelAnswerInvalid
from flowrunner_models.protocol import Usage

from flowrunner import ComponentFailed
from flowrunner.testing.model_script import Malformed, call, say
from flowrunner.testing.model_server import ModelServer

ODD = "a\u2028b\u2029c\x85d \U0001f600 e\x0bf\x1cg"


def chunk(**delta):
    return json.dumps({"choices": [{"index": 0, "delta": delta}]})


def calls_of(*deltas):
    chunks = Chunks()
    for delta in deltas:
        assert not list(chunks.read(chunk(tool_calls=[delta])))
    assert not [*chunks.read("[DONE]"), *chunks.close()]
    return [(c.id, c.name, c.arguments) for c in chunks.reply().calls]


@pytest.mark.parametrize("streaming", [False, True])
def test_characters_that_end_lines_elsewhere_are_part_of_the_answer(open_house, streaming):
    with ModelServer(raw=True) as server:
        server.script(say("1", ODD, "2"))
        house = open_house(model_base_urls=f"all={server.url}")
        assert house.chat(streaming=streaming, emit=lambda event: None).text == f"1{ODD}2"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_events_end_as_the_standard_says_however_the_bytes_are_cut(end, mark):
    lines = [f"data: {ODD}", "", ": a comment", "event: note", 'data: {"a":', "data:1}", "", "data", "", "data: last"]
    whole = (mark + end.join(lines)).encode()
    for size in (1, 2, 3, 7, 1000):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        found = [(event.event, event.data) for event in events_of(pieces)]
        assert found == [("message", ODD), ("note", '{"a":\n1}'), ("message", ""), ("message", "last")]


def test_streamed_calls_of_servers_that_count_in_their_own_way():
    one = {"id": "a", "function": {"name": "f", "arguments": '{"x"'}}
    rest = {"function": {"arguments": ": 1}"}}
    two = {"id": "b", "function": {"name": "f", "arguments": "{}"}}
    wanted = [("a", "f", '{"x": 1}'), ("b", "f", "{}")]
    assert calls_of(one, rest, two) == wanted
    for index in ([0, 0, 0], [0, 0, 1]):
        assert calls_of(*({**d, "index": n} for d, n in zip((one, rest, two), index, strict=True))) == wanted
    assert calls_of({**one, "index": 0}, {**two, "index": 1}, {**rest, "index": 0}) == wanted
    # An id of its own for each delta is no call of its own.
    assert calls_of({**one, "index": 0}, {**rest, "index": 0, "id": "other"}, {**two, "index": 0}) == wanted
    unnamed = [{"function": {"name": name, "arguments": "{}"}} for name in ("f", "f", "g")]
    found = calls_of(*unnamed)
    assert [call[1:] for call in found] == [("f", "{}"), ("f", "{}"), ("g", "{}")]
    assert len({key for key, _, _ in found} - {""}) == 3


def test_arguments_as_an_object():
    function = {"name": "f", "arguments": {"x": "ü"}}
    assert calls_of({"index": 0, "id": "a", "function": function}) == [("a", "f", '{"x": "ü"}')]
    message = {"tool_calls": [{"id": "a", "function": function}, {"id": "b", "function": {"name": "g"}}]}
    reply = read_completion({"choices": [{"message": message}]})
    assert [c.arguments for c in reply.calls] == ['{"x": "ü"}', "{}"]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        '{"choices": [null]}',
        '{"choices": 5}',
        '{"choices": [{"message": 5, "delta": 5}]}',
        '{"choices": [{"message": {"tool_calls": [5]}, "delta": {"tool_calls": [5]}}]}',
        "[]",
    ],
)
def test_nonsense_is_an_invalid_answer(house, model, text, streaming):
    model.script(Malformed(text))
    with pytest.raises(ComponentFailed) as failed:
        house.chat(settings={"max_retries": 0}, streaming=streaming, emit=lambda event: None)
    assert isinstance(failed.value.__cause__, ModelAnswerInvalid)


def test_counts_that_are_none_are_left_out():
    usage = {"prompt_tokens": "many", "completion_tokens": 3.0}
    reply = read_completion({"choices": [{"message": {"content": "a"}}], "usage": usage})
    assert reply.usage == Usage(0, 3)


def test_settings_of_odd_shapes(house, model):
    rows = [{"key": "user", "value": "ann"}, {"key": "", "value": "x"}]
    house.chat(settings={"model_kwargs": rows, "timeout": 1e300})
    assert model.asked[-1]["user"] == "ann"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ({"variable": "OPENAI_API_KEY"}, r'\{"\$variable": "NAME"\}'),
        ("sk-ключ", "characters"),
        ("sk-\x00x", "characters"),
    ],
)
def test_a_key_that_is_none_is_refused_by_its_field(house, model, key, said):
    asked = len(model.asked)
    with pytest.raises(ComponentFailed, match=f"api_key contains .*{said}"):
        house.chat(settings={"api_key": key})
    assert len(model.asked) == asked


def test_the_stand_in_calls_tools_raw(open_house):
    with ModelServer(raw=True) as server:
        server.script(call(("get_current_date", {}), text=ODD), say("done"))
        house = open_house(model_base_urls=f"all={server.url}")
        assert house.chat(kind="Agent", streaming=True, emit=lambda event: None).text == "done"
