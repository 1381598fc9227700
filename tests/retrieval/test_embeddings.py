"""Embedding models: which one is meant, what its server is asked, and what becomes of its answers."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
from flowrunner_models.failures import ModelNotInstalled
from flowrunner_models.local_model import find_weights
from flowrunner_retrieval.embeddings.model_choice import choose
from flowrunner_retrieval.embeddings.openai_embedder import batches

from flowrunner import FlowRunnerError

EMBED = [("e.embeddings -> it.embedding_model"), ("in.message -> it.message"), ("it.embeddings -> out.input_value")]


def embed(house, kind="EmbeddingModel", settings=None, text="some words", **request):
    """Embed a text in a run and return its vector."""
    vertices = [
        ("in", "ChatInput"),
        ("e", kind, settings or {}),
        ("it", "TextEmbedderComponent"),
        ("out", "ChatOutput"),
    ]
    result = house.run(vertices, EMBED, input_value=text, **request)
    return next(v.outputs["embeddings"]["embeddings"] for v in result.vertices if v.vertex_id == "it")


class Server:
    """A server that keeps what it was asked and answers as told."""

    def __init__(self, answers=()):
        self.asked, self.headers, self.paths = [], [], []
        self.answers = list(answers)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append(body)
                outer.paths.append(self.path)
                outer.headers.append({k.lower(): v for k, v in self.headers.items()})
                status, answer = outer.answers.pop(0) if outer.answers else (200, good(body))
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(data)

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def good(body, size=3):
    # Out of order: the index says whose vector it is.
    data = [{"index": n, "embedding": [float(n)] * size} for n in reversed(range(len(body["input"])))]
    return {"data": data}


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.mark.parametrize(
    ("values", "usual", "provider", "model"),
    [
        ({"model": "text-embedding-3-large"}, "OpenAI", "OpenAI", "text-embedding-3-large"),
        ({"model": "text-embedding-3-large"}, "", "OpenAI", "text-embedding-3-large"),
        ({}, "OpenAI", "OpenAI", "text-embedding-3-small"),
        ({"provider": "OpenAI", "model": "text-embedding-ada-002"}, "", "OpenAI", "text-embedding-ada-002"),
        ({"model": [{"name": "mistral-embed", "provider": "Mistral"}]}, "", "Mistral", "mistral-embed"),
        ({"model": '[{"name": "m", "provider": "Cohere"}]'}, "", "Cohere", "m"),
        (
            {"model_name": "models/text-embedding-004"},
            "Google Generative AI",
            "Google Generative AI",
            "models/text-embedding-004",
        ),
        ({"azure_deployment": "mine", "model": "text-embedding-3-small"}, "Azure OpenAI", "Azure OpenAI", "mine"),
        ({"model_name": "mxbai-embed-large:latest"}, "Ollama", "Ollama", "mxbai-embed-large:latest"),
        ({"model": "nomic-embed-text"}, "", "Ollama", "nomic-embed-text"),
        ({"provider": "local"}, "", "local", "local"),
        ({"provider": "llm", "model": "3-small"}, "", "llm", "3-small"),
    ],
    ids=str,
)
def test_the_model_that_settings_mean(values, usual, provider, model):
    found = choose(values, usual=usual)
    assert (found.provider.name, found.model) == (provider, model)


def test_the_operators_model_stands_in_or_stands_first():
    assert choose({}, default="ollama:nomic-embed-text").provider.name == "Ollama"
    assert choose({"model": "text-embedding-3-small"}, default="ollama:x").provider.name == "OpenAI"
    assert choose({"model": "text-embedding-3-small"}, default="ollama:x", force=True).model == "x"


@pytest.mark.parametrize(
    "values", [{}, {"model": "who-knows"}, {"provider": "Nobody"}, {"provider": "LM Studio"}], ids=str
)
def test_what_is_not_chosen_is_said(values):
    with pytest.raises(ValueError, match="no embedding model|unknown (model )?provider"):
        choose(values)


def test_an_unknown_provider_is_said_with_the_one_that_is_near():
    with pytest.raises(ValueError, match=r"^unknown provider Olama; did you mean Ollama\?$"):
        choose({"provider": "Olama"})


def test_vectors_come_back_in_the_order_of_the_texts(open_house, server):
    house = open_house(embedding=None, model_base_urls=None, variables=(), allow_private_addresses=("127.0.0.1",))
    settings = {
        "model": "text-embedding-3-small",
        "api_base": server.url,
        "api_key": "key-of-the-flow",
        "dimensions": 3,
    }
    assert embed(house, settings=settings) == [0.0, 0.0, 0.0]
    assert server.asked[0]["model"] == "text-embedding-3-small"
    assert (server.asked[0]["dimensions"], server.asked[0]["input"]) == (3, ["some words"])
    assert server.headers[0]["authorization"] == "Bearer key-of-the-flow"
    assert server.paths == ["/v1/embeddings"]


def test_what_passes_is_tried_again_and_what_does_not_is_said(open_house, server):
    house = open_house(model_base_urls=f"all={server.url}")
    settings = {"max_retries": 1}
    server.answers = [(500, {"error": {"message": "down"}})]
    assert embed(house, settings=settings) == [0.0, 0.0, 0.0]
    for status, answer, said in (
        (400, {"error": {"message": "no such model"}}, "no such model"),
        (200, b"not json", "JSON|not contain vectors"),
        (200, {"data": []}, "not contain vectors for 1 texts"),
        (200, {"data": [{"embedding": ["x"]}]}, "not a vector"),
        (200, [], "not contain vectors"),
    ):
        server.answers = [(status, answer)]
        with pytest.raises(FlowRunnerError, match=said):
            embed(house, settings=settings)
    server.answers = [(429, {"error": {"message": "slowly"}})] * 2
    with pytest.raises(FlowRunnerError, match="slowly"):
        embed(house, settings=settings)


def test_a_server_that_the_request_names_gets_no_key_of_the_flow(open_house, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-environment")
    house = open_house(model_base_urls=None, allow_private_addresses=("127.0.0.1",))
    tweaks = {"e": {"api_base": server.url}}
    embed(house, "OpenAIEmbeddings", {"openai_api_key": "key-of-the-flow"}, tweaks=tweaks)
    assert "key-of" not in json.dumps(server.headers)
    house = open_house(model_base_urls=None)
    with pytest.raises(FlowRunnerError, match="private address"):
        embed(house, "OpenAIEmbeddings", {}, tweaks=tweaks)


def test_a_missing_key_names_its_variable(open_house, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    house = open_house(model_base_urls=None, embedding=None)
    with pytest.raises(FlowRunnerError, match="the variable OPENAI_API_KEY is not set"):
        embed(house, "OpenAIEmbeddings")


@pytest.mark.parametrize(
    ("lengths", "most", "characters", "sizes"),
    [
        ([1] * 5, 2, 100, [2, 2, 1]),
        ([60, 60, 10], 9, 100, [1, 2]),
        ([500, 1], 9, 100, [1, 1]),
        ([], 9, 100, []),
        ([0, 0], 9, 100, [2]),
    ],
    ids=str,
)
def test_requests_are_of_bounded_size(lengths, most, characters, sizes):
    texts = ["x" * length for length in lengths]
    parts = list(batches(texts, most, characters))
    assert [len(part) for part in parts] == sizes
    assert [text for part in parts for text in part] == texts


def test_the_model_on_this_machine_tells_subjects_apart(open_house):
    try:
        find_weights("", None)
    except ModelNotInstalled:
        pytest.skip("the extra [local] or the weights are not installed")
    house = open_house(embedding="local", embedding_force=True)
    rows = [
        "Our shop is open from Monday to Friday, nine to six. On Saturdays we close at one o'clock.",
        "You can return anything within 30 days if it is unused. We refund the price within a week.",
        "The kettle K200 holds 1.7 litres, boils in three minutes and has a warranty of two years.",
    ]
    house.outputs("Chroma", {"ingest_data": [{"text": row} for row in rows]}, output="dataframe")
    asked = {
        "When do you open on Saturday?": 0,
        "Can I send a thing back and get my money?": 1,
        "What is the capacity of the kettle?": 2,
    }
    for question, place in asked.items():
        found = house.outputs("Chroma", {"search_query": question, "number_of_results": 1}, output="dataframe")
        assert found == [{"text": rows[place]}]
