"""Components that make more out of what comes in: counted before it is made, in steps that are proportional."""

from __future__ import annotations

import sys
import tracemalloc
from types import SimpleNamespace

import pytest

from flowrunner.plugins import PluginManager
from tests.components.context import make_context, run

ROWS = [{"k": "x", "a": n, "b": "y"} for n in range(2_000)]


@pytest.fixture(scope="module")
def component():
    manager = PluginManager()
    manager.load_entry_points()
    manager.collect_settings()
    manager.collect_components()
    return manager.registry.component


def bounded(most=100_000):
    return make_context(settings=SimpleNamespace(max_text=most))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("SplitText", {"separator": "", "chunk_size": 1_000, "chunk_overlap": 999}),
        ("SplitText", {"separator": " ", "chunk_size": 5_000, "chunk_overlap": 4_999}),
        ("SplitText", {"separator": "", "chunk_size": 1, "chunk_overlap": 0}),
        ("SplitText", {"separator": " ", "chunk_size": 1, "chunk_overlap": 1, "keep_separator": "End"}),
        ("CharacterTextSplitter", {"separator": " ", "chunk_size": 1_000, "chunk_overlap": 998}),
        ("RecursiveCharacterTextSplitter", {"chunk_size": 1_000, "chunk_overlap": 999}),
        ("RecursiveCharacterTextSplitter", {"separators": ["a"], "chunk_size": 100, "chunk_overlap": 99}),
        ("LanguageRecursiveTextSplitter", {"code_language": "python", "chunk_size": 500, "chunk_overlap": 500}),
    ],
)
def test_chunks_that_share_nearly_all_are_counted_before_they_are_made(component, kind, settings):
    pytest.importorskip("langchain_text_splitters")
    text = "a " * 20_000
    run(component(kind), bounded(), data_inputs=["a b"], **settings)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="FLOWRUNNER_MAX_TEXT"):
            run(component(kind), bounded(), data_inputs=[text], **settings)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_metadata_of_each_chunk_counts(component):
    pytest.importorskip("langchain_text_splitters")
    row = {"text": "a " * 10_000, **{f"m{n}": n for n in range(1_000)}}
    sizes = {"separator": " ", "chunk_size": 10, "chunk_overlap": 0}
    with pytest.raises(ValueError, match="FLOWRUNNER_MAX_TEXT"):
        run(component("SplitText"), bounded(), data_inputs=[row], **sizes)
    assert run(component("SplitText"), bounded(), data_inputs=[row], clean_output=True, **sizes)["chunks"]


def test_more_separators_than_anybody_needs(component):
    pytest.importorskip("langchain_text_splitters")
    with pytest.raises(ValueError, match="separators has 101 entries"):
        run(component("RecursiveCharacterTextSplitter"), data_inputs=["x"], separators=[f"s{n}" for n in range(101)])


def steps_of(work):
    """Return how many lines of Python a piece of work runs through."""
    counted = 0

    def count(frame, event, arg):
        nonlocal counted
        counted += event == "line"
        return count

    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(None)
    return counted


@pytest.mark.parametrize("operation", ["Combine", "Concatenate", "Merge", "Join"])
def test_many_objects_are_joined_in_proportional_steps(component, operation):
    def work(count):
        items = [{"t": "x" * 10, "n": n} for n in range(count)]
        if operation == "Combine":
            return lambda: run(component("DataOperations"), data=items, operations="Combine")
        return lambda: run(component("MergeDataComponent"), data_inputs=items, operation=operation)

    small, large = (steps_of(work(count)) for count in (200, 1_600))
    assert large < small * 8 * 1.5
    result = work(3)()
    made = next(iter(result.values()))
    made = made[0] if isinstance(made, list) else made
    wanted = {
        "Combine": {"t": ["x" * 10] * 3, "n": [0, 1, 2]},
        "Concatenate": {"t": "\n".join(["x" * 10] * 3), "n": 2},
        "Merge": {"t": ["x" * 10] * 3, "n": [0, 1, 2]},
        "Join": {"t": "x" * 10, "n": 0, "t_doc2": "x" * 10, "n_doc2": 1, "t_doc3": "x" * 10, "n_doc3": 2},
    }[operation]
    assert made == wanted


@pytest.mark.parametrize(
    ("items", "combined", "concatenated"),
    [
        ([{"a": [1]}, {"a": 2}, {"a": [3, [4]]}], [1, 2, 3, [4]], [3, [4]]),
        ([{"a": "x"}, {"a": 1}, {"a": "y"}, {"a": "z"}], ["x", 1, "y", "z"], "y\nz"),
        ([{"a": None}, {"a": "x"}], [None, "x"], "x"),
        ([{"a": "x"}, {}, {"a": ""}], ["x", ""], "x\n"),
        ([{"a": [1]}], [1], [1]),
    ],
)
def test_joining_means_what_it_meant(component, items, combined, concatenated):
    merged = run(component("MergeDataComponent"), data_inputs=items, operation="Merge")["combined_data"]
    assert merged == [{"a": combined}]
    joined = run(component("MergeDataComponent"), data_inputs=items, operation="Concatenate")["combined_data"]
    assert joined == [{"a": concatenated}]


def test_a_join_of_all_with_all_is_refused_before_it_is_made(component):
    wide = [{"k": "x", **{f"c{n}": n for n in range(50)}} for _ in range(900)]
    for left, right in ((ROWS, ROWS), (wide, wide)):
        settings = {"operation": "Merge", "merge_on_column": "k", "left_dataframe": left, "right_dataframe": right}
        with pytest.raises(ValueError, match="the joined table has more than 1000000 rows or 5000000 cells"):
            run(component("DataFrameOperations"), **settings)


def test_columns_of_rows_that_have_none_of_them(component):
    rows = [{f"c{n}": n} for n in range(2_000)]
    settings = {"df": rows, "operation": "Select Columns", "columns_to_select": [f"c{n}" for n in range(2_000)]}
    with pytest.raises(ValueError, match="2000 columns of 2000 rows"):
        run(component("DataFrameOperations"), **settings)
    settings["columns_to_select"] = ["c1", "c1"]
    assert run(component("DataFrameOperations"), **settings)["output"][:2] == [{"c1": None}, {"c1": 1}]


def test_many_names_and_small_rows(component):
    names = [f"c{n}" for n in range(3_000)]
    rows = [{"c2": 2, "c1": 1, "other": 0}] * 300
    kept = run(component("FilterData"), data=rows, filter_criteria=names)["filtered_data"]
    assert kept[0] == {"c1": 1, "c2": 2} and list(kept[0]) == ["c1", "c2"]
    few, many = (
        steps_of(lambda c=c: run(component("FilterData"), data=rows, filter_criteria=names[:c])) for c in (30, 3_000)
    )
    assert many < few + 3_000 * 20


def test_a_table_of_a_file_gets_no_cells_that_it_has_not(component, tmp_path):
    from flowrunner_retrieval.documents.readers import FileUnreadable, read_rows

    head = ",".join(f"c{n}" for n in range(10_000))
    found = SimpleNamespace(suffix="csv", short_name="a.csv")
    with pytest.raises(FileUnreadable, match="more than 5000000 cells"):
        read_rows(found, f"{head}\n" + "x\n" * 1_000)
    assert read_rows(found, "a,b\n1\n") == [{"a": 1, "b": ""}]


def test_a_cell_of_a_word_table_that_reaches_over_a_million_columns(tmp_path):
    docx = pytest.importorskip("docx")
    from flowrunner_retrieval.documents.readers import FileUnreadable, read_text

    for span, refused in ((3, False), (1_000_000, True)):
        document = docx.Document()
        cell = document.add_table(1, 1).rows[0].cells[0]
        cell.text = "word"
        cell._tc.get_or_add_tcPr().get_or_add_gridSpan().val = span
        document.save(tmp_path / "a.docx")
        found = SimpleNamespace(path=tmp_path / "a.docx", suffix="docx", short_name="a.docx")
        if refused:
            with pytest.raises(FileUnreadable, match="more than 1000 columns"):
                read_text(found)
        else:
            assert read_text(found).split("\t")[0] == "word"


def test_what_is_said_of_an_error_has_an_end(tmp_path):
    from flowrunner.errors import ComponentFailed
    from tests.engine.rig import open_rig

    with open_rig(tmp_path) as rig, pytest.raises(ComponentFailed) as caught:
        rig.run([("f", "DataFrameOperations", {"operation": "x", "df": [{"a": 1}], "merge_how": "y" * 50_000})])
    assert len(str(caught.value)) < 11_000
