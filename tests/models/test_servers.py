"""Servers in all their ways, asked by the real SDK, plain and streamed, by each component that asks a model."""

from __future__ import annotations

import ssl

import pytest
from flowrunner_models import connections
from flowrunner_models.connections import Connections

from flowrunner import ComponentFailed, Message
from flowrunner.testing.model_script import Raw, Write
from flowrunner.testing.model_server import ModelServer
from tests.engine.rig import FLOW_ID
from tests.models.strict_servers import (
    ANSWER,
    DECOY,
    FAILURES,
    SENTENCE,
    SERVERS,
    a_call,
    called,
    plain,
    refuses,
    written,
)

FIELDS = [{"name": "count", "type": "int", "description": "", "multiple": "False"}]
ROUTES = [{"route_category": "Praise", "route_description": ""}, {"route_category": "Complaint"}]
#: Settings that make a request as full as it gets.
FULL = {
    "temperature": 0.5,
    "top_p": 0.9,
    "seed": 1,
    "max_tokens": 50,
    "stop_tokens": "END",
    "model_kwargs": {"parallel_tool_calls": True},
    "max_retries": 0,
}
MEMORY = ("history", "Memory", {})
STREAMED = pytest.mark.parametrize("streaming", [False, True], ids=["plain", "streamed"])


class Asker:
    """Asks one server through one component at a time."""

    def __init__(self, house, server):
        self.house, self.server, self.events = house, server, []

    def ask(self, component, *, streaming=False, **settings):
        """Return the text, the object or the branch that a component comes to."""
        self.events.clear()
        return getattr(self, component)(
            {**FULL, **settings}, {"streaming": streaming, "emit": self.events.append, "session_id": "s"}
        )

    def language_model(self, settings, request):
        settings = {"system_message": "Be kind.", **settings}
        self.result = self.house.chat(
            settings=settings, edges=["history.dataframe -> model.history"], more=[MEMORY], **request
        )
        return self.result.text

    def agent(self, settings, request):
        self.result = self.house.chat(kind="Agent", settings=settings, **request)
        return self.result.text

    def structured_output(self, settings, request):
        vertices = [("in", "ChatInput"), ("s", "StructuredOutput", {"output_schema": FIELDS, **settings})]
        self.result = self.house.run(vertices, ["in.message -> s.input_value"], **request)
        return self.result.output("s")["structured_output"]

    def smart_router(self, settings, request):
        vertices = [
            ("in", "ChatInput"),
            ("r", "SmartRouter", {"routes": ROUTES, **settings}),
            ("one", "ChatOutput"),
            ("two", "ChatOutput"),
        ]
        edges = [
            "in.message -> r.input_text",
            "r.category_1_result -> one.input_value",
            "r.category_2_result -> two.input_value",
        ]
        self.result = self.house.run(vertices, edges, **request)
        return [v.vertex_id for v in self.result.reported]

    def tokens(self):
        return "".join(e.data["text"] for e in self.events if e.kind == "token")


WANTED = {
    "language_model": ANSWER["text"],
    "agent": ANSWER["text"],
    "structured_output": {"count": 3},
    "smart_router": ["two"],
}


@pytest.fixture
def open_asker(open_house):
    servers = []

    def open_one(answer):
        servers.append(ModelServer(answer).__enter__())
        house = open_house(model_base_urls=f"all={servers[-1].url}")
        # A question whose run failed, and an answer that was empty: the conversation goes on behind them.
        stored = [
            Message(text=text, sender=sender, sender_name=sender, session_id="s", flow_id=FLOW_ID)
            for sender, text in (("User", "one"), ("Machine", "1"), ("User", "two"), ("Machine", ""), ("User", "three"))
        ]
        house.memory.for_owner("owner").append(stored)
        return Asker(house, servers[-1])

    yield open_one
    for server in servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize("component", list(WANTED))
@pytest.mark.parametrize("name", list(SERVERS))
def test_every_component_comes_to_an_answer(open_asker, name, component):
    asker = open_asker(SERVERS[name])
    for streaming in (True, False):
        assert asker.ask(component, streaming=streaming) == WANTED[component]
        if component in ("language_model", "agent"):
            (reported,) = asker.result.reported
            assert DECOY["json"] not in reported.message.text


@pytest.mark.parametrize("component", list(WANTED))
@pytest.mark.parametrize("name", list(FAILURES))
def test_a_failure_is_told_in_the_providers_words(open_asker, name, component):
    asker = open_asker(lambda body: FAILURES[name])
    for streaming in (True, False):
        with pytest.raises(ComponentFailed, match=SENTENCE) as failed:
            asker.ask(component, streaming=streaming)
        assert "{" not in str(failed.value)


@STREAMED
@pytest.mark.parametrize("component", list(WANTED))
def test_what_a_server_refuses_is_left_out_from_then_on(open_asker, component, streaming):
    said = '{"error": {"message": "Unsupported parameter: \'temperature\'"}}'
    asker = open_asker(refuses("temperature", said))
    for refused in (1, 0, 0):
        before = len(asker.server.asked)
        asker.ask(component, streaming=streaming)
        assert sum("temperature" in body for body in asker.server.asked[before:]) == refused


@pytest.mark.parametrize(
    "said",
    [
        "temperature must be between 0 and 2",
        "Invalid argument: temperature: 9 is not in range [0, 2]",
        "the prompt is bad",
        "max_tokens is too large: 100000",
        "unsupported value: temperature should be in (0,1)",
    ],
)
def test_a_wrong_value_is_the_authors_to_put_right(open_asker, said):
    asker = open_asker(lambda body: Raw(f'{{"error": {{"message": "{said}"}}}}', 400))
    with pytest.raises(ComponentFailed) as failed:
        asker.ask("language_model", streaming=True)
    assert said.split(":")[0] in str(failed.value)
    assert len(asker.server.asked) == 1


def test_a_refused_length_is_asked_for_by_its_other_name(open_asker):
    asker = open_asker(SERVERS["max_tokens"])
    asker.ask("language_model")
    assert asker.server.asked[-1]["max_completion_tokens"] == 50


@STREAMED
def test_thoughts_are_a_step_beside_the_answer(open_asker, streaming):
    for name in ("think", "reasoning_content", "parts", "an end without a beginning"):
        asker = open_asker(SERVERS[name])
        for component, title in (("language_model", "Thoughts"), ("agent", "Agent Steps")):
            assert asker.ask(component, streaming=streaming) == ANSWER["text"]
            message = asker.house.messages(session_id="s")[-1]
            assert message.text == ANSWER["text"]
            (block,) = message.content_blocks
            assert block["title"] == title
            assert "Thought" in [entry["header"]["title"] for entry in block["contents"]]
        if streaming and name != "an end without a beginning":
            assert asker.tokens() == ANSWER["text"]


@STREAMED
def test_thoughts_that_turn_out_late_are_taken_back(open_asker, streaming):
    asker = open_asker(SERVERS["an end without a beginning"])
    asker.ask("language_model", streaming=True)
    shown = [e for e in asker.events if e.kind in ("token", "message_added")]
    last = max(n for n, e in enumerate(shown) if e.kind == "message_added" and not e.data["stored"])
    assert "".join(e.data["text"] for e in shown[last:] if e.kind == "token") == ANSWER["text"]


@pytest.mark.parametrize(
    "text",
    ["Use <think> to think, and `</think>` to stop.", "```\n<think>x</think>\n```", "a < b", "[x] <b>", "\n lead"],
)
@STREAMED
def test_what_only_looks_like_a_thought_is_answer(open_asker, text, streaming):
    asker = open_asker(lambda body: written(text))
    assert asker.ask("language_model", streaming=streaming) == text


@STREAMED
def test_a_refusal_is_the_answer_and_marked(open_asker, streaming):
    refusal = Write({"content": None, "refusal": "I cannot help with that."}, reason="stop")
    asker = open_asker(lambda body: refusal)
    for component in ("language_model", "agent"):
        assert asker.ask(component, streaming=streaming) == "I cannot help with that."
        assert asker.result.reported[0].message.properties["refusal"] is True
    assert asker.ask("smart_router", streaming=streaming) == []
    with pytest.raises(ComponentFailed, match="I cannot help with that"):
        asker.ask("structured_output", streaming=streaming)


@pytest.mark.parametrize("component", list(WANTED))
@pytest.mark.parametrize(
    ("message", "reason", "said"),
    [
        ({"content": ""}, "content_filter", "filter"),
        ({"content": None}, "SAFETY", "filter"),
        ({"content": "<think>Hm, hm"}, "length", "raise max_tokens"),
        ({"content": None, "reasoning_content": "Hm"}, "length", "raise max_tokens"),
        ({"content": "  "}, "length", "raise max_tokens"),
        ({"content": "<think>Hm</think>"}, "stop", "returned reasoning"),
        ({"content": None}, "stop", "returned an empty answer"),
        ({}, "", "returned an empty answer"),
    ],
)
def test_an_answer_that_is_empty_says_why(open_asker, message, reason, said, component):
    asker = open_asker(lambda body: Write(message, reason=reason))
    for streaming in (True, False):
        with pytest.raises(ComponentFailed, match=said):
            asker.ask(component, streaming=streaming)
    assert not [m for m in asker.house.messages(session_id="s") if m.sender == "Machine" and not m.text and m.run_id]


@STREAMED
def test_an_answer_that_was_cut_off_is_marked(open_asker, streaming):
    asker = open_asker(lambda body: written("Once upon", reason="length"))
    assert asker.ask("language_model", streaming=streaming) == "Once upon"
    assert asker.result.reported[0].message.properties["finish_reason"] == "length"


@STREAMED
def test_tokens_time_and_money_are_recorded(open_house, streaming):
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 800},
        "completion_tokens_details": {"reasoning_tokens": 60},
    }
    with ModelServer(lambda body: written("Ahoy", usage=usage)) as server:
        house = open_house(model_base_urls=f"all={server.url}", model_prices="stand-in=1/10/0.5,other=1/1")
        house.chat(streaming=streaming, emit=lambda event: None)
        properties = house.messages()[-1].properties
        assert properties["usage"] == {
            "input_tokens": 1000,
            "output_tokens": 100,
            "total_tokens": 1100,
            "cached_tokens": 800,
            "reasoning_tokens": 60,
            "cost": (200 * 1 + 800 * 0.5 + 100 * 10) / 1e6,
        }
        timing = properties["timing"]
        assert 0 <= timing["time_to_first_token"] <= timing["seconds"] < 60
        # What the provider says itself is not worked out again.
        server.script(written("Ahoy", usage={**usage, "cost": 0.25}))
        house.chat(streaming=streaming, emit=lambda event: None)
        assert house.messages()[-1].properties["usage"]["cost"] == 0.25


def test_what_a_server_gave_goes_back_as_it_was(open_asker):
    call = a_call(
        extra_content={"google": {"thought_signature": "s1gn"}},
        function={"name": "get_current_date", "arguments": "{}", "strict": True},
    )
    asker = open_asker(
        lambda body: (
            called(call, reasoning_content="I look.")
            if "tools" in body and not any(m["role"] == "tool" for m in body["messages"])
            else plain(body)
        )
    )
    for streaming in (False, True):
        asker.ask("agent", streaming=streaming)
        asked = next(m for m in asker.server.asked[-1]["messages"] if m.get("tool_calls"))
        assert asked["reasoning_content"] == "I look."
        assert asked["tool_calls"] == [call]


@STREAMED
def test_calls_without_ids_have_one_of_their_own_in_every_round(open_asker, streaming):
    def answer(body):
        rounds = sum(m["role"] == "tool" for m in body["messages"])
        call = {"function": {"name": "get_current_date", "arguments": "{}"}}
        return Write({"tool_calls": [call]}, reason="tool_calls") if rounds < 3 else written("done")

    asker = open_asker(answer)
    asker.ask("agent", streaming=streaming)
    ids = [m["tool_call_id"] for m in asker.server.asked[-1]["messages"] if m["role"] == "tool"]
    assert len(set(ids)) == 3


@STREAMED
def test_the_model_is_told_what_was_wrong_with_its_arguments(open_asker, streaming):
    asker = open_asker(SERVERS["arguments cut off"])
    asker.ask("agent", streaming=streaming)
    *_, call, told = asker.server.asked[-1]["messages"]
    assert call["tool_calls"][0]["function"]["arguments"] == "{}"
    assert "not valid JSON" in told["content"]
    assert told["content"].endswith('you wrote: {"a":')


def test_what_was_stored_stays_as_it_was(open_asker):
    asker = open_asker(SERVERS["roles alternate"])
    asker.ask("language_model")
    assert [m.text for m in asker.house.messages(session_id="s")] == [
        "one",
        "1",
        "two",
        "",
        "three",
        "hi",
        ANSWER["text"],
    ]
    asked = [(m["role"], m["content"]) for m in asker.server.asked[-1]["messages"]]
    assert asked[1:] == [("user", "one"), ("assistant", "1"), ("user", "two\n\nthree\n\nhi")]


def test_the_key_is_taken_out_of_what_a_provider_says(open_asker):
    asker = open_asker(lambda body: Raw('{"error": "no such key: very-own-key-of-mine"}', 400))
    with pytest.raises(ComponentFailed) as failed:
        asker.ask("language_model", api_key="very-own-key-of-mine")
    assert "no such key: ***" in str(failed.value)


def test_certificates_are_loaded_once_for_all_components_of_a_process(monkeypatch, tmp_path):
    loaded = []
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        ssl, "create_default_context", lambda **more: loaded.append(more) or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    connections._context.cache_clear()
    try:
        for pool in (Connections(), Connections()):
            with pool.use("https://a.example/v1", "k"), pool.use("https://b.example/v1", "k"):
                pass
            pool.close()
        assert len(loaded) == 1
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
        with Connections().use("https://a.example/v1", "k", addresses={}):
            assert len(loaded) == 2
    finally:
        connections._context.cache_clear()
