"""Whatever computes in a loop stops at the time limit of the run, and when the run is cancelled."""

from __future__ import annotations

import itertools
import math
import time
from types import SimpleNamespace

import pytest

from flowrunner import CancelToken, Component, Input, Output, RunCancelled
from flowrunner.errors import RunTimeout
from flowrunner.plugins import PluginManager
from flowrunner.text.budget import MOST_TEXT
from tests.components.context import make_context, run

ROWS = [{"k": f"x{n}", "a": n} for n in range(3_000)]
TEXT = "word and word. " * 5_000


class Count(Component):
    """Count for ever, looking at the time."""

    type_name = "Count"
    inputs = (Input("how", "str"),)
    outputs = (Output("text"),)

    def run(self, context, how):
        if how == "watched":
            for _ in context.watched(itertools.count()):
                pass
        if how == "token":
            while not context.cancelled:
                pass
            context.cancelled.raise_if_set()
        if how == "waits":
            while not context.cancelled.wait(30):
                pass
            context.cancelled.raise_if_set()
        budget = context.text_budget()
        while True:
            budget.take(0)


@pytest.mark.parametrize("how", ["watched", "token", "waits", "budget"])
def test_a_component_that_computes_is_stopped(make_rig, how):
    rig = make_rig(run_timeout=0.2, components=(Count,))
    with pytest.raises(RunTimeout, match=r"took longer than 0.2 seconds .FLOWRUNNER_RUN_TIMEOUT"):
        rig.run([("c", "Count", {"how": how})], input_value=None)


def test_the_time_of_a_run_is_not_that_of_the_next_with_the_same_token(make_rig):
    rig, token = make_rig(run_timeout=0.2, components=(Count,)), CancelToken()
    with pytest.raises(RunTimeout):
        rig.run([("c", "Count", {"how": "budget"})], input_value=None, cancelled=token)
    assert token.deadline is None and not token


def test_a_run_within_a_run_ends_with_it():
    token, now = CancelToken(), time.monotonic()
    with token.stops_at(now - 1, "outer"):
        with token.stops_at(now + 1_000, "inner"), pytest.raises(RunTimeout, match="outer"):
            token.raise_if_set()
        assert token and token.is_set() and token.wait(30)
    with token.stops_at(now + 1_000, "outer"):
        assert not token
        with token.stops_at(now - 1, "inner"), pytest.raises(RunTimeout, match="inner"):
            token.raise_if_set()
        assert not token
    with token.stops_at(None, ""):
        assert not token
    token.cancel("because")
    with token.stops_at(now - 1, "late"), pytest.raises(RunCancelled, match="because"):
        token.raise_if_set()


@pytest.fixture(scope="module")
def component():
    manager = PluginManager()
    manager.load_entry_points()
    manager.collect_settings()
    manager.collect_components()
    return manager.registry.component


class Late(CancelToken):
    """A token that is looked at so many times before it is late."""

    __slots__ = ("left",)

    def __init__(self, left):
        super().__init__()
        self.left = left

    def _is_late(self):
        self.left -= 1
        return self.left < 0


#: Components that compute in a loop, and what makes the loop long enough to be looked at more than once.
LOOPS = [
    ("Prompt", {"template": "{a}" * 1_000, "a": "x"}),
    ("Prompt Template", {"template": "{a}" * 1_000, "a": "x"}),
    ("ParserComponent", {"input_data": ROWS, "pattern": "{k}"}),
    ("ParseData", {"data": ROWS, "template": "{k}"}),
    ("ParseDataFrame", {"df": ROWS, "template": "{k}"}),
    ("DataOperations", {"data": ROWS, "operations": "Combine"}),
    (
        "DataOperations",
        {"data": [{"rows": ROWS}], "operations": "Filter Values", "filter_key": ["rows"], "filter_values": {"k": "x1"}},
    ),
    ("MergeDataComponent", {"data_inputs": ROWS, "operation": "Merge"}),
    ("MergeDataComponent", {"data_inputs": ROWS, "operation": "Concatenate"}),
    ("MergeDataComponent", {"data_inputs": ROWS, "operation": "Join"}),
    ("FilterData", {"data": ROWS, "filter_criteria": ["k"]}),
    ("FilterDataValues", {"input_data": [ROWS], "filter_key": "k", "filter_value": "x1"}),
    *(
        (
            "DataFrameOperations",
            {
                "df": ROWS,
                "operation": operation,
                "column_name": "k",
                "new_column_name": "n",
                "columns_to_select": ["k"],
                "filter_value": "x1",
                "replace_value": "x1",
            },
        )
        for operation in (
            "Add Column",
            "Drop Column",
            "Filter",
            "Rename Column",
            "Replace Value",
            "Select Columns",
            "Sort",
            "Drop Duplicates",
        )
    ),
    (
        "DataFrameOperations",
        {"operation": "Merge", "left_dataframe": ROWS, "right_dataframe": ROWS, "merge_on_column": "k"},
    ),
    ("SplitText", {"data_inputs": [TEXT], "separator": " ", "chunk_size": 20, "chunk_overlap": 5}),
    ("CharacterTextSplitter", {"data_inputs": [TEXT], "separator": " ", "chunk_size": 20, "chunk_overlap": 5}),
    ("RecursiveCharacterTextSplitter", {"data_inputs": [TEXT], "chunk_size": 20, "chunk_overlap": 5}),
    ("LanguageRecursiveTextSplitter", {"data_inputs": [TEXT], "chunk_size": 20, "chunk_overlap": 5}),
]


@pytest.mark.parametrize(
    ("kind", "values"),
    LOOPS,
    ids=[f"{n} {kind} {values.get('operation', '')}" for n, (kind, values) in enumerate(LOOPS)],
)
def test_loops_of_bundled_components_look_at_the_time(component, kind, values):
    if "plitter" in kind or kind == "SplitText":
        pytest.importorskip("langchain_text_splitters")
    settings = SimpleNamespace(max_text=MOST_TEXT)
    token = Late(math.inf)
    token.left = 10**9
    assert run(component(kind), make_context(cancelled=token, settings=settings), **values)
    looks = 10**9 - token.left
    assert looks >= 5, f"looked at {looks} times"
    # Late after the first half: it stops in the middle of its work.
    with pytest.raises(RunTimeout):
        run(component(kind), make_context(cancelled=Late(looks // 2), settings=settings), **values)


@pytest.mark.parametrize("many", [False, True])
def test_the_search_for_json_looks_at_the_time(many):
    from flowrunner_models.coercion import find_fitting
    from flowrunner_models.json_search import find_json

    text = "see [" + "1, " * 30_000
    with pytest.raises(RunTimeout):
        find_json(text, Late(2).raise_if_set)
    with pytest.raises(RunTimeout):
        find_fitting(text, {"type": "object"}, many=many, look=Late(2).raise_if_set)


def test_batches_of_texts_that_are_embedded_look_at_the_time():
    from flowrunner_retrieval.embeddings.openai_embedder import OpenAIEmbedder

    asked = []
    embedder = OpenAIEmbedder(None, provider="x", model="y", base_url="http://127.0.0.1:9", key="", batch=2)
    embedder._asked = lambda texts, cancelled: asked.append(len(texts)) or [[0.0]] * len(texts)
    with pytest.raises(RunTimeout):
        embedder.embed(["a"] * 100, cancelled=Late(3))
    assert asked == [2, 2, 2]
