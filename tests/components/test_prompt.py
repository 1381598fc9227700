"""Prompt: variables in both bracket styles, and braces that are none."""

from __future__ import annotations

import pytest
from flowrunner_components import Prompt
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import Message
from tests.components.context import FLOW, make_context, run


def prompt(template, *, double=False, **variables):
    settings = {"template": template, "use_double_brackets": double}
    return run(Prompt(), None, **settings, **variables)["prompt"].text


@pytest.mark.parametrize(
    ("template", "variables", "text"),
    [
        ("Q={question} T={tone}.", {"question": "x", "tone": "calm"}, "Q=x T=calm."),
        ("{a}{a}", {"a": "1"}, "11"),
        ("{{a}}", {}, "{a}"),
        ("{{{a}}}", {"a": "1"}, "{1}"),
        ('{{"k": {a}}}', {"a": "1"}, '{"k": 1}'),
        ('{"k": 1, "l": {a} }', {"a": "1"}, '{"k": 1, "l": 1 }'),
        ("f() { return 1; } {} { } {0} \\d{2}", {}, "f() { return 1; } {} { } {0} \\d{2}"),
        ("{a}", {"a": "{b} {{c}}"}, "{b} {{c}}"),
        ("{a}{b}", {"a": "{b}", "b": "{a}"}, "{b}{a}"),
        ("{ a }", {"a": "1"}, "1"),
        ("{project-id} {user name} {été}", {"project-id": "1", "user name": "2", "été": "3"}, "1 2 3"),
        ("{0}", {"0": "zero"}, "zero"),
        ("{context} {self}", {"context": "c", "self": "s"}, "c s"),
        ("", {"a": "1"}, ""),
        ("{a}", {"a": ""}, ""),
        ("{a}", {"a": 5}, "5"),
        ("{a}", {"a": None}, ""),
        ("{", {}, "{"),
        ("}", {}, "}"),
        ("{a", {}, "{a"),
        ("{a\nb}", {}, "{a\nb}"),
    ],
)
def test_single_brackets(template, variables, text):
    assert prompt(template, **variables) == text


@pytest.mark.parametrize(
    ("template", "variables", "text"),
    [
        ("{{a}} {a} {{ b }}", {"a": "1", "b": "2"}, "1 {a} 2"),
        ("{{{a}}}", {"a": "1"}, "1"),
        ('{"k": "{{a}}"}', {"a": "{{b}}"}, '{"k": "{{b}}"}'),
        ("{{}} {{ }} {{1+1}}", {}, "{{}} {{ }} {{1+1}}"),
    ],
)
def test_double_brackets(template, variables, text):
    assert prompt(template, double=True, **variables) == text


def test_what_an_edge_brings_is_written_as_text():
    assert prompt("{a}", a=Message(text="m")) == "m"
    assert prompt("{a}", a={"text": "t"}) == "t"
    assert prompt("{a}", a=[{"x": 1}]) == "| x |\n| ---: |\n| 1 |"


@pytest.mark.parametrize(("template", "double"), [("N={question} {fresh}", False), ("{{fresh}}", True)])
def test_a_variable_without_a_value_is_named(template, double):
    with pytest.raises(ValueError, match="variable fresh has no value"):
        prompt(template, double=double, question="q")


@pytest.mark.parametrize("tag", ["{{#each}}", "{{/each}}", "{{^x}}", "{{&x}}", "{{>part}}", "{{!x}}", "{{{#x}}}"])
def test_more_than_plain_variables_is_refused(tag):
    with pytest.raises(ValueError, match="only plain fields"):
        prompt(tag, double=True)


BRACES = st.text(alphabet="{}ab_ 0.!:[]\n'\"#é")


@given(BRACES, st.booleans(), st.dictionaries(st.sampled_from(["a", "b", "a_b", "é"]), BRACES))
def test_odd_braces_only_ever_miss_a_variable(template, double, variables):
    try:
        prompt(template, double=double, **variables)
    except ValueError as error:
        assert "has no value" in str(error) or "only plain fields" in str(error)


@given(BRACES)
def test_a_value_is_never_read_as_a_template(value):
    assert prompt("<{a}>", a=value) == f"<{value}>"
    assert prompt("<{{a}}>", double=True, a=value) == f"<{value}>"


def test_the_inputs_follow_the_template():
    names = [i.name for i in Prompt().inputs_for({"template": "{q} {{no}} {context} {q} {1}", "context": ""})]
    assert names == ["template", "use_double_brackets", "q", "context"]
    names = [i.name for i in Prompt().inputs_for({"template": "{q} {{yes}}", "use_double_brackets": True})]
    assert names == ["template", "use_double_brackets", "yes"]
    assert [i.name for i in Prompt().inputs_for({})] == ["template", "use_double_brackets"]


def test_a_prompt_is_no_turn_of_a_conversation():
    message = run(Prompt(), make_context(), template="x")["prompt"]
    assert (message.sender, message.session_id, message.flow_id, message.id) == (None, "", FLOW, None)
