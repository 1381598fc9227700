"""Components that choose, change and join data."""

from __future__ import annotations

import sys

import pytest
from flowrunner_components.create_data import CreateData, CreateList, MockData, Pass
from flowrunner_components.data_operations import (
    DataOperations,
    ExtractKey,
    FilterData,
    FilterValues,
    MergeData,
    ParseJsonData,
)
from flowrunner_components.dataframe_operations import DataFrameOperations
from flowrunner_components.json_cleaner import JsonCleaner
from flowrunner_components.paths import find_path

from flowrunner import Message
from tests.components.context import run

ROWS = [{"n": 2, "city": "Oslo"}, {"n": 10, "city": "Lima"}, {"n": 1, "city": "Quito"}]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('Here it is: {"a": [1, 2]} as asked.', '{"a": [1, 2]}'),
        ("{'a': 'b'}", '{"a": "b"}'),
        ('{"a": 1,}', '{"a": 1}'),
        ('{"a": [1, 2', '{"a": [1, 2]}'),
        ("{a: True, b: None}", '{"a": true, "b": null}'),
        ('[{"a": 1} {"a": 2}]', '[{"a": 1}, {"a": 2}]'),
        ('{"a": "ü"}', '{"a": "ü"}'),
        ("[1]", "[1]"),
    ],
)
def test_json_is_made_of_what_models_write(text, made):
    pytest.importorskip("json_repair")
    assert run(JsonCleaner(), json_str=text)["output"].text == made


@pytest.mark.parametrize("text", ["no braces", "", "}{"[:1], "{" + "x" * 2_000_000])
def test_a_text_without_json_is_refused(text):
    with pytest.raises(ValueError, match="contains no JSON|is not repaired|this is not|required"):
        run(JsonCleaner(), json_str=text)


def test_json_options():
    assert run(JsonCleaner(), json_str='{"a": "e\u0301"}', normalize_unicode=True)["output"].text == '{"a": "é"}'
    assert run(JsonCleaner(), json_str='{"a":\n "b\x07"}', remove_control_chars=True)["output"].text == '{"a": "b"}'
    with pytest.raises(ValueError, match="not valid JSON"):
        run(JsonCleaner(), json_str="{'a': 1}", validate_json=True)


def test_without_the_library_sound_json_passes_and_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "json_repair", None)
    assert run(JsonCleaner(), json_str='{"a": 1}')["output"].text == '{"a": 1}'
    with pytest.raises(ValueError, match=r"flask-flowrunner\[data\]"):
        run(JsonCleaner(), json_str="{'a': 1}")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".", {"a": {"b": [1, {"c": 2}]}, "x-y": 3}),
        (".a.b[0]", 1),
        ("a.b[1].c", 2),
        (".a.b[-1].c", 2),
        (".a.b[9]", None),
        (".a.nothing.more", None),
        ('.["x-y"]', 3),
        (".x-y", 3),
        (".a | .b | .[0]", 1),
        (".a.b[].c", [None, 2]),
        (".a[]", [[1, {"c": 2}]]),
    ],
)
def test_paths(path, found):
    assert find_path({"a": {"b": [1, {"c": 2}]}, "x-y": 3}, path) == found


@pytest.mark.parametrize("path", [".a[", "a b", ".a + 1", "$.a", "import(x)", ".a" * 2000])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match="invalid path"):
        find_path({}, path)


@pytest.mark.parametrize(
    ("operation", "settings", "made"),
    [
        ("Select Keys", {"select_keys_input": ["a"]}, {"a": 1}),
        ("Select Keys", {"select_keys_input": ["b, a"]}, {"b": "2", "a": 1}),
        ("Remove Keys", {"remove_keys_input": ["a", "c"]}, {"b": "2"}),
        ("Rename Keys", {"rename_keys_input": {"a": "z"}}, {"z": 1, "b": "2", "c": [{"k": 1}, {"k": 2}]}),
        (
            "Rename Keys",
            {"rename_keys_input": [{"key": "a", "value": "z"}]},
            {"z": 1, "b": "2", "c": [{"k": 1}, {"k": 2}]},
        ),
        (
            "Append or Update",
            {"append_update_data": [{"a": 9}, {"d": 4}]},
            {"a": 9, "b": "2", "c": [{"k": 1}, {"k": 2}], "d": 4},
        ),
        ("Literal Eval", {}, {"a": 1, "b": 2, "c": [{"k": 1}, {"k": 2}]}),
        ("Filter Values", {"filter_key": ["c"], "filter_values": {"k": "2"}}, {"a": 1, "b": "2", "c": [{"k": 2}]}),
        (
            "Filter Values",
            {"filter_key": ["c"], "filter_values": {"k": 1}, "operator": "greater than"},
            {"a": 1, "b": "2", "c": [{"k": 2}]},
        ),
        ("Path Selection", {"selected_key": ".c[0]"}, {"k": 1}),
        ("Path Selection", {"selected_key": ".a"}, {"text": "1"}),
        ("JQ Expression", {"query": ".c"}, {"results": [{"k": 1}, {"k": 2}]}),
        ("Combine", {}, {"a": 1, "b": "2", "c": [{"k": 1}, {"k": 2}]}),
        ("", {}, {"a": 1, "b": "2", "c": [{"k": 1}, {"k": 2}]}),
    ],
)
def test_operations_on_an_object(operation, settings, made):
    data = {"a": 1, "b": "2", "c": [{"k": 1}, {"k": 2}]}
    for written in (operation, [{"name": operation, "chosen": False, "selected": False}], {"name": operation}):
        assert run(DataOperations(), data=[data], operations=written, **settings) == {"data_output": made}
    message = Message(text='{"a": 1, "b": "2", "c": [{"k": 1}, {"k": 2}]}')
    assert run(DataOperations(), data=[message], operations=operation, **settings) == {"data_output": made}


def test_objects_are_combined():
    made = run(DataOperations(), data=[{"a": 1, "b": [2]}, {"a": 3, "b": [4], "c": 5}], operations="Combine")
    assert made == {"data_output": {"a": [1, 3], "b": [2, 4], "c": 5}}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"operations": "Select Keys", "select_keys_input": ["z"]}, "no member z; members are a"),
        ({"operations": "Select Keys"}, "select_keys_input is empty"),
        ({"operations": "Dance"}, "must be one of Select Keys"),
        ({"operations": "Filter Values", "filter_key": ["a"]}, "is not a list"),
        ({"operations": "Filter Values", "filter_key": ["a"], "operator": "like"}, "not a list|must be one of equals"),
        ({"operations": "JQ Expression"}, "query is empty"),
        ({"operations": "JQ Expression", "query": ".a | map(.)"}, "invalid path"),
    ],
    ids=str,
)
def test_what_an_operation_lacks_is_said(settings, said):
    with pytest.raises(ValueError, match=said):
        run(DataOperations(), data=[{"a": 1}], **settings)
    with pytest.raises(ValueError, match="no data was received"):
        run(DataOperations(), data=[], **settings)


@pytest.mark.parametrize(
    ("operation", "settings", "made"),
    [
        ("Head", {"num_rows": 1}, ROWS[:1]),
        ("Tail", {"num_rows": 1}, ROWS[2:]),
        ("Tail", {"num_rows": 0}, []),
        ("Sort", {"column_name": "n"}, [ROWS[2], ROWS[0], ROWS[1]]),
        ("Sort", {"column_name": "city", "ascending": False}, [ROWS[2], ROWS[0], ROWS[1]]),
        ("Filter", {"column_name": "n", "filter_value": "2"}, ROWS[:1]),
        ("Filter", {"column_name": "n", "filter_value": "1", "filter_operator": "greater than"}, ROWS[:2]),
        ("Filter", {"column_name": "city", "filter_value": "i", "filter_operator": "contains"}, ROWS[1:]),
        ("Filter", {"column_name": "city", "filter_value": "L", "filter_operator": "starts with"}, ROWS[1:2]),
        ("Drop Column", {"column_name": "n"}, [{"city": row["city"]} for row in ROWS]),
        (
            "Rename Column",
            {"column_name": "n", "new_column_name": "m"},
            [{"m": row["n"], "city": row["city"]} for row in ROWS],
        ),
        ("Add Column", {"new_column_name": "x", "new_column_value": "y"}, [{**row, "x": "y"} for row in ROWS]),
        ("Select Columns", {"columns_to_select": ["city"]}, [{"city": row["city"]} for row in ROWS]),
        (
            "Replace Value",
            {"column_name": "n", "replace_value": "10", "replacement_value": "ten"},
            [ROWS[0], {"n": "ten", "city": "Lima"}, ROWS[2]],
        ),
        ("Drop Duplicates", {"column_name": "city"}, ROWS),
        ("Concatenate", {}, ROWS),
        ("Convert to Data List", {}, ROWS),
        ("", {}, ROWS),
    ],
)
def test_operations_on_a_table(operation, settings, made):
    assert run(DataFrameOperations(), df=ROWS, operation=operation, **settings) == {"output": made, "data": made}


@pytest.mark.parametrize(("how", "count"), [("inner", 2), ("left", 3), ("right", 3), ("outer", 4)])
def test_tables_are_joined(how, count):
    right = [{"city": "Oslo", "n": 5}, {"city": "Oslo", "n": 6}, {"city": "Rome", "n": 7}]
    left = [{"city": "Oslo", "n": 1}, {"city": "Lima", "n": 2}]
    made = run(
        DataFrameOperations(),
        operation="Merge",
        left_dataframe=left,
        right_dataframe=right,
        merge_on_column="city",
        merge_how=how,
    )["output"]
    assert len(made) == count
    assert made[0] == {"city": "Oslo", "n": 1, "n_y": 5}


def test_a_join_that_would_explode_is_refused():
    rows = [{"k": 1, "n": n} for n in range(2000)]
    with pytest.raises(ValueError, match="more than 1000000 rows"):
        run(DataFrameOperations(), operation="Merge", left_dataframe=rows, right_dataframe=rows, merge_on_column="k")


@pytest.mark.parametrize("operation", ["Sort", "Filter", "Drop Column", "Rename Column"])
def test_a_column_that_is_not_there_is_named(operation):
    with pytest.raises(ValueError, match="no column z; columns are n, city"):
        run(DataFrameOperations(), df=ROWS, operation=operation, column_name="z")


def test_members_are_extracted_and_kept():
    assert run(ExtractKey(), data_input={"a": 1, "b": 2}, key="b") == {"extracted_data": {"b": 2}}
    assert run(ExtractKey(), data_input=[{"a": 1}, {"b": 2}], key="b") == {"extracted_data": [{"b": 2}]}
    with pytest.raises(ValueError, match="no member z; members are a"):
        run(ExtractKey(), data_input={"a": 1}, key="z")
    kept = run(FilterData(), data={"a": 1, "b": 2, "c": 3}, filter_criteria=["c", "a", "z"])
    assert kept == {"filtered_data": {"c": 3, "a": 1}}
    found = run(FilterValues(), input_data=ROWS, filter_key="n", filter_value="2", operator="greater than")
    assert found == {"filtered_data": ROWS[1:2]}


@pytest.mark.parametrize(
    ("operation", "made"),
    [
        ("Concatenate", [{"a": "x\ny", "b": 2}]),
        ("Append", [{"a": "x", "b": 1}, {"a": "y", "b": 2}]),
        ("Merge", [{"a": ["x", "y"], "b": [1, 2]}]),
        ("Join", [{"a": "x", "b": 1, "a_doc2": "y", "b_doc2": 2}]),
    ],
)
def test_objects_are_merged(operation, made):
    data = [{"a": "x", "b": 1}, {"a": "y", "b": 2}]
    assert run(MergeData(), data_inputs=data, operation=operation) == {"combined_data": made}


@pytest.mark.parametrize(
    ("value", "query", "found"),
    [
        ({"a": {"b": 1}}, ".a", {"b": 1}),
        (Message(text='{"a": "b"}'), ".a", {"text": "b"}),
        (Message(text="hello"), ".text", {"text": "hello"}),
        ([{"a": 1}, {"a": 2}], ".[].a", [{"text": "1"}, {"text": "2"}]),
        ([{"a": {"n": 1}}, {"b": 2}], ".a", {"n": 1}),
        ({"a": 1}, ".z", []),
    ],
)
def test_a_path_finds_rows(value, query, found):
    assert run(ParseJsonData(), input_value=value, query=query) == {"filtered_data": found}


def test_data_is_made():
    assert run(CreateList(), texts=["a", "b"])["list"] == [{"text": "a"}, {"text": "b"}]
    message = Message(text="m")
    assert run(Pass(), input_message=message, ignored_message="x")["output_message"] is message
    made = run(MockData())
    assert len(made["dataframe_output"]) == 50
    assert made == run(MockData()) or made["dataframe_output"] == run(MockData())["dataframe_output"]
    fields = [{"field_name": "title", "field_type": "Text"}, {"field_name": "n", "field_type": "Number"}]
    made = run(CreateData(), form_fields=fields, dynamic_title=Message(text="T"), dynamic_n="2")
    assert made["form_data"] == {"title": "T", "n": 2.0}
    assert made["message"].text == "**title:** T\n**n:** 2.0"
