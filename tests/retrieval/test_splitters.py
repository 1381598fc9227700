"""Chunks are those of ``langchain-text-splitters``, with the metadata of what they were cut from."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from flowrunner import FlowRunnerError, TextBudget
from tests.components.context import make_context
from tests.installed import require

require("langchain_text_splitters")


class _Library:
    """The module, loaded by the first test that asks it."""

    def __getattr__(self, name):
        import langchain_text_splitters

        return getattr(langchain_text_splitters, name)


library = _Library()

TEXTS = (
    "One line.\nAnother line that is longer.\n\nA paragraph, too.\n" * 9,
    "word " * 120,
    "no separator" * 30,
    "",
    "日本語の文\n" * 40,
)
ROWS = [{"text": text, "file_path": f"{n}.txt", "page": n} for n, text in enumerate(TEXTS)]


def split(house, kind, settings, rows=ROWS, output="dataframe"):
    component = house.runner.plugins.registry.component(kind)
    given = {
        i.name: settings.get(i.name, i.default if i.default is not None else [] if i.many else "")
        for i in component.inputs
    }
    given["data_inputs"] = rows
    return component.run(make_context(), **given)[output]


CASES = [
    ("SplitText", {}, lambda s: library.CharacterTextSplitter(separator="\n", chunk_size=1000, chunk_overlap=200)),
    ("SplitText", {"chunk_size": 60, "chunk_overlap": 10}, lambda s: library.CharacterTextSplitter("\n", **s)),
    (
        "SplitText",
        {"chunk_size": 60, "chunk_overlap": 10, "separator": "\\n\\n"},
        lambda s: library.CharacterTextSplitter("\n\n", **s),
    ),
    (
        "SplitText",
        {"chunk_size": 30, "chunk_overlap": 0, "separator": " ", "keep_separator": "True"},
        lambda s: library.CharacterTextSplitter(" ", keep_separator=True, **s),
    ),
    (
        "SplitText",
        {"chunk_size": 30, "chunk_overlap": 0, "separator": ".", "keep_separator": "End"},
        lambda s: library.CharacterTextSplitter(".", keep_separator="end", **s),
    ),
    (
        "SplitText",
        {"chunk_size": 25, "chunk_overlap": 5, "separator": ""},
        lambda s: library.CharacterTextSplitter("", **s),
    ),
    ("CharacterTextSplitter", {"chunk_size": 50, "chunk_overlap": 5}, lambda s: library.CharacterTextSplitter(**s)),
    (
        "RecursiveCharacterTextSplitter",
        {"chunk_size": 50, "chunk_overlap": 5},
        lambda s: library.RecursiveCharacterTextSplitter(**s),
    ),
    (
        "RecursiveCharacterTextSplitter",
        {"chunk_size": 50, "chunk_overlap": 5, "separators": ["[' ', 'e']"]},
        lambda s: library.RecursiveCharacterTextSplitter([" ", "e"], **s),
    ),
    (
        "RecursiveCharacterTextSplitter",
        {"chunk_size": 50, "chunk_overlap": 5, "separators": ["\\n", ","]},
        lambda s: library.RecursiveCharacterTextSplitter(["\n", ","], **s),
    ),
    (
        "LanguageRecursiveTextSplitter",
        {"chunk_size": 50, "chunk_overlap": 5, "code_language": "Markdown"},
        lambda s: library.RecursiveCharacterTextSplitter.from_language(library.Language.MARKDOWN, **s),
    ),
]


@settings(max_examples=150, deadline=None)
@given(
    text=some.text("ab .\n", max_size=200),
    size=some.integers(1, 30),
    overlap=some.integers(0, 30),
    separator=some.sampled_from(["", " ", ". ", "\n", "ab"]),
    keep=some.sampled_from([False, "start", "end"]),
)
def test_watched_splitters_make_the_same_chunks(text, size, overlap, separator, keep):
    from flowrunner_retrieval.splitters.bounded import watch

    sizes = {"chunk_size": size, "chunk_overlap": min(size, overlap), "keep_separator": keep}
    for make in (
        lambda: library.CharacterTextSplitter(separator, **sizes),
        lambda: library.RecursiveCharacterTextSplitter(["\n", separator], **sizes),
    ):
        assert watch(make(), TextBudget()).split_text(text) == make().split_text(text)


@pytest.mark.parametrize(("kind", "settings", "make"), CASES, ids=[f"{n} {case[0]}" for n, case in enumerate(CASES)])
def test_chunks_equal_the_librarys(house, kind, settings, make):
    splitter = make({name: settings[name] for name in ("chunk_size", "chunk_overlap") if name in settings})
    wanted = [
        {"text": chunk, "file_path": row["file_path"], "page": row["page"]}
        for row in ROWS
        for chunk in splitter.split_text(row["text"])
    ]
    assert split(house, kind, settings) == wanted
    assert split(house, kind, settings, output="chunks") == wanted


def test_a_file_is_split_in_a_run_and_its_name_stays_with_the_chunks(house):
    path = house.upload("note.txt", "one\ntwo\nthree")
    vertices = [("file", "File", {"path": path}), ("it", "SplitText", {"chunk_size": 4, "chunk_overlap": 0})]
    vertices += [("parse", "ParserComponent", {"pattern": "{file_path}:{text}", "sep": "|"}), ("out", "ChatOutput")]
    edges = ["it.dataframe -> parse.input_data", "parse.parsed_text -> out.input_value"]
    for output in ("data", "dataframe"):
        text = house.run(vertices, [f"file.{output} -> it.data_inputs", *edges]).text
        assert text == f"{path}:one|{path}:two|{path}:three"
    assert house.run(vertices, ["file.message -> it.data_inputs", *edges]).text.endswith(":three")


def test_text_keys_and_clean_output(house):
    rows = [{"body": "one\ntwo", "n": 1}, {"n": 2}]
    settings = {"chunk_size": 4, "chunk_overlap": 0, "text_key": "body"}
    assert split(house, "SplitText", settings, rows) == [
        {"body": "one", "n": 1},
        {"body": "two", "n": 1},
        {"body": "n: 2", "n": 2},
    ]
    clean = split(house, "SplitText", {**settings, "clean_output": True}, rows)
    assert clean == [{"body": "one"}, {"body": "two"}, {"body": "n: 2"}]


@pytest.mark.parametrize(
    "settings", [{"chunk_size": 0}, {"chunk_size": 10, "chunk_overlap": 11}, {"chunk_overlap": -1}], ids=str
)
def test_sizes_that_cannot_be_are_refused(house, settings):
    with pytest.raises(ValueError, match="0 <= chunk_overlap <= chunk_size is required"):
        split(house, "SplitText", settings)


def test_an_unknown_language_is_refused_with_those_that_are_known(house):
    with pytest.raises(ValueError, match="must be one of .*python"):
        split(house, "LanguageRecursiveTextSplitter", {"code_language": "klingon"})


def test_without_the_library_the_error_says_what_to_install(house, monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain_text_splitters", None)
    vertices = [("text", "TextInput", {"input_value": "a"}), ("it", "SplitText"), ("out", "ChatOutput")]
    with pytest.raises(FlowRunnerError, match=r"flask-flowrunner\[retrieval\]"):
        house.run(vertices, ["text.text -> it.data_inputs", "it.dataframe -> out.input_value"])
