"""What a run may make and what its tweaks may name: bounded, and looked up instead of searched for."""

from __future__ import annotations

import tracemalloc

import pytest

from flowrunner import Component, Message, Output
from flowrunner.engine.tweaks import apply_tweaks
from flowrunner.errors import ComponentFailed, FlowInvalid, RequestInvalid, TweakRefused
from tests.engine.rig import open_rig

PROMPT = (
    [("ask", "ChatInput"), ("p", "Prompt", {"template": "{x}"}), ("answer", "ChatOutput")],
    ["ask.message -> p.x", "p.prompt -> answer.input_value"],
)
DOUBLES = [("ask", "ChatInput"), *((f"c{n}", "CombineText") for n in range(30)), ("answer", "ChatOutput")]


def doubling(count):
    """Return edges by which each text is joined with itself."""
    edges = ["ask.message -> c0.text1", "ask.message -> c0.text2"]
    for n in range(1, count):
        edges += [f"c{n - 1}.combined_text -> c{n}.text1", f"c{n - 1}.combined_text -> c{n}.text2"]
    return [*edges, f"c{count - 1}.combined_text -> answer.input_value"]


def test_a_template_cannot_multiply_its_input_without_bound(rig):
    tracemalloc.start()
    try:
        with pytest.raises(ComponentFailed, match="more than 10000000 characters of text .FLOWRUNNER_MAX_TEXT"):
            rig.run(*PROMPT, tweaks={"p": {"template": "{x}" * 30_000}}, input_value="y" * 3_000)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000, "the memory was taken before it was refused"
    finally:
        tracemalloc.stop()
    assert len(rig.run(*PROMPT, tweaks={"p": {"template": "{x}" * 300}}, input_value="y" * 3_000).text) == 900_000


def test_texts_that_double_stop_at_the_bound(rig):
    with pytest.raises(ComponentFailed, match="FLOWRUNNER_MAX_TEXT"):
        rig.run(DOUBLES, doubling(30), input_value="y" * 100)


@pytest.mark.parametrize(
    ("kind", "settings", "data"),
    [
        ("ParserComponent", {"pattern": "{text}" * 100, "sep": "-"}, [{"text": "y" * 500}] * 100),
        ("ParserComponent", {"pattern": "x", "sep": "-" * 50_000}, [{"text": ""}] * 100),
        ("ParserComponent", {"pattern": "{whole}" * 500}, {"whole": [["y"] * 100] * 100}),
        ("ParserComponent", {"mode": "Stringify"}, [{f"c{n}": n} for n in range(2_000)]),
        ("ParseData", {"template": "{data}" * 5_000}, [{"text": "y" * 500}]),
    ],
)
def test_components_that_multiply_text_say_so(make_rig, kind, settings, data):
    class Give(Component):
        type_name = "Give"
        outputs = (Output("data", "Data"),)

        def run(self, context):
            return {"data": data}

    name = {"ParserComponent": "input_data", "ParseData": "data"}[kind]
    output = {"ParserComponent": "parsed_text", "ParseData": "text"}[kind]
    vertices = [("give", "Give"), ("p", kind, settings), ("answer", "ChatOutput")]
    edges = [f"give.data -> p.{name}", f"p.{output} -> answer.input_value"]
    with pytest.raises(ComponentFailed, match="FLOWRUNNER_MAX_TEXT|too large to be written"):
        make_rig(max_text=1_000_000, components=(Give,)).run(vertices, edges)


def test_a_component_of_a_plugin_is_measured_too(make_rig):
    class Many(Component):
        type_name = "Many"
        outputs = (Output("data", "Data"),)

        def run(self, context):
            row = {"text": "y" * 100}
            for _ in range(40):
                row = {"a": row, "b": row}
            return {"data": row}

    class Talk(Component):
        type_name = "Talk"
        outputs = (Output("text"),)

        def run(self, context):
            while True:
                yield "y" * 500

    rig = make_rig(max_text=2_000, components=(Many, Talk))
    for kind, output in (("Many", "data"), ("Talk", "text")):
        with pytest.raises(ComponentFailed, match="more than 2000 characters"):
            rig.run([("m", kind), ("answer", "ChatOutput")], [f"m.{output} -> answer.input_value"])


def test_a_run_makes_ten_times_as_much_in_all_and_what_is_passed_on_counts_once(make_rig):
    class Make(Component):
        type_name = "Make"
        outputs = (Output("text"),)

        def run(self, context):
            return {"text": Message(text="y" * 19_000)}

    rig = make_rig(max_text=20_000, components=(Make,))
    chain = [("m", "Make"), *((f"p{n}", "Pass") for n in range(40))]
    edges = ["m.text -> p0.value", *(f"p{n}.text -> p{n + 1}.value" for n in range(39))]
    assert rig.run(chain, edges, output_type="debug", input_value=None).vertices
    with pytest.raises(ComponentFailed, match="more than 200000 characters"):
        rig.run([(f"m{n}", "Make") for n in range(11)], input_value=None)


def test_a_template_has_not_more_fields_than_anybody_needs(rig):
    many = "".join(f"{{f{n}}}" for n in range(1_001))
    with pytest.raises(RequestInvalid, match="more than 1000 fields"):
        rig.run(*PROMPT, tweaks={"p": {"template": many}})
    with pytest.raises(FlowInvalid, match="more than 1000 fields"):
        rig.plan([("p", "Prompt", {"template": many})])


def test_tweaks_of_many_fields_are_looked_up(rig):
    plan = rig.plan([(f"v{n}", "TextInput", {"input_value": str(n)}) for n in range(1_000)])
    looked_up = []
    vars(plan.targets)["by_field"] = Table(plan.targets.by_field, looked_up)
    assert apply_tweaks(plan, {f"k{n}": n for n in range(10_000)}, most=10_000) == {}
    assert len(looked_up) == 10_000, "each name is looked at once, however many vertices there are"
    changed = apply_tweaks(plan, {"input_value": "new", "v3": {"input_value": "own"}}, most=10_000)
    assert [changed[n].values["input_value"] for n in (0, 3, 999)] == ["new", "own", "new"]


class Table(dict):
    """A table that notes what is looked up."""

    def __init__(self, values, looked_up):
        super().__init__(values)
        self.looked_up = looked_up

    def get(self, key, default=None):
        self.looked_up.append(key)
        return super().get(key, default)


@pytest.mark.parametrize(
    "tweaks",
    [
        {f"k{n}": n for n in range(11)},
        {"nobody": dict.fromkeys("abcdefghijk", 1)},
        {"a": {"b": 1}, **dict.fromkeys("cdefghijkl")},
    ],
)
def test_tweaks_that_name_too_many_fields_are_refused(tmp_path, tweaks):
    with open_rig(tmp_path, max_tweaks=10) as rig, pytest.raises(RequestInvalid, match="change 11 fields; at most 10"):
        rig.run(*PROMPT, tweaks=tweaks)


@pytest.mark.parametrize("value", ["y" * 300_000, ["y"] * 300_000, [["y" * 100_000]] * 3])
def test_a_large_value_goes_into_one_component_and_not_into_each(rig, value):
    plan = rig.plan([(f"v{n}", "TextInput") for n in range(10)])
    with pytest.raises(RequestInvalid, match="too large for the 10 components"):
        apply_tweaks(plan, {"input_value": value}, most=10)
    assert apply_tweaks(plan, {"v1": {"input_value": value}}, most=10)


def test_protected_names_are_named_once(rig):
    with pytest.raises(TweakRefused) as caught:
        rig.run(*PROMPT, tweaks={f"v{n}": {"code": "x", "_type": "y"} for n in range(100)})
    assert caught.value.detail["fields"] == ["code", "_type"]
