"""``flowrunner ingest`` and ``flowrunner collections``: files into a flow's collections, and out again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowrunner.cli import cli

ROOT = Path(__file__).resolve().parents[2]

FLOW = {
    "name": "library",
    "components": {
        "question": {"type": "ChatInput"},
        "search": {"type": "Chroma", "settings": {"collection_name": "books", "number_of_results": 1}},
        "parse": {"type": "ParserComponent", "settings": {"pattern": "{text}"}},
        "answer": {"type": "ChatOutput"},
        "file": {"type": "File"},
        "split": {"type": "SplitText", "settings": {"chunk_size": 200, "chunk_overlap": 0}},
        "store": {"type": "Chroma", "settings": {"collection_name": "books"}},
    },
    "edges": [
        "question.message -> search.search_query",
        "search.dataframe -> parse.input_data",
        "parse.parsed_text -> answer.input_value",
        "file.data -> split.data_inputs",
        "split.dataframe -> store.ingest_data",
    ],
}


@pytest.fixture
def call(tmp_path, monkeypatch, model):
    monkeypatch.setenv("FLOWRUNNER_EMBEDDING", "openai:stand-in")
    monkeypatch.setenv("FLOWRUNNER_MODEL_BASE_URLS", f"all={model.url}")
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "flow.json").write_text(json.dumps(FLOW))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "kettle.txt").write_text("the kettle holds two litres")
    (tmp_path / "docs" / "post.md").write_text("parcels take three days")

    def call(*words, status=0):
        done = CliRunner().invoke(cli, [str(word) for word in words])
        assert done.exit_code == status, (done.output, done.exception)
        return done.output

    return call


def test_files_and_folders_are_ingested_asked_listed_and_deleted(call, tmp_path):
    flow, docs = tmp_path / "flow.json", tmp_path / "docs"
    assert "books: 2 chunks of 2 documents" in call("ingest", flow, docs)
    assert "kettle holds two" in call("run", flow, "kettle litres", "--memory", "in-memory")
    (docs / "kettle.txt").write_text("the kettle is broken")
    assert "books: 2 chunks of 2 documents" in call("ingest", flow, docs / "kettle.txt")
    assert "kettle is broken" in call("run", flow, "kettle litres", "--memory", "in-memory")
    assert "books" in call("collections", "list")
    listed = call("collections", "list", "books")
    assert "kettle.txt" in listed
    assert "post.md" in listed
    name = next(word for word in listed.split() if word.endswith("post.md"))
    assert "deleted 1 chunks" in call("collections", "delete", "books", "--document", name)
    assert "deleted 1 chunks" in call("collections", "delete", "books")
    assert "books" not in call("collections", "list")
    assert "no collection books" in str(CliRunner().invoke(cli, ["collections", "delete", "books"]).exception)


def test_what_cannot_be_ingested_is_said(call, tmp_path):
    plain = {"components": {"q": {"type": "ChatInput"}, "a": {"type": "ChatOutput"}}, "edges": ["q -> a"]}
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    done = CliRunner().invoke(cli, ["ingest", str(tmp_path / "plain.json"), str(tmp_path / "docs")])
    assert "fills a collection" in str(done.exception)
    done = CliRunner().invoke(
        cli, ["ingest", str(tmp_path / "flow.json"), str(tmp_path / "docs"), "--component", "split"]
    )
    assert "split does not read files; these components do: file" in str(done.exception)


def test_the_example_answers_from_its_three_files(call, monkeypatch, model):
    for name, value in {"EMBEDDING_FORCE": "true", "MODEL": "openai:stand-in", "MODEL_FORCE": "true"}.items():
        monkeypatch.setenv(f"FLOWRUNNER_{name}", value)
    flow = ROOT / "examples" / "flows" / "ask-documents.json"
    assert "documents: 3 chunks of 3 documents" in call("ingest", flow, ROOT / "examples" / "documents")
    for question, answer in {
        "how many litres does the kettle hold": "1.7 litres",
        "when do you close on Saturdays": "one o'clock",
        "refund of what I return": "within 30 days",
    }.items():
        assert call("run", flow, question, "--memory", "in-memory").strip()
        assert answer in model.asked[-1]["messages"][-1]["content"]
