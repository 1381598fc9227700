"""Thoughts aloud: set apart wherever the text is cut, and never out of what only mentions them."""

from __future__ import annotations

import pytest
from flowrunner_models.protocol import Aside
from flowrunner_models.reasoning import Splitter, set_apart, without_thoughts
from hypothesis import given
from hypothesis import strategies as st

TEXTS = [
    ("<think>a</think>b", "b", "a"),
    ("\n <think>\na\n</think>\n\nb\n", "b\n", "a"),
    ("<thinking>a</thinking>\nb <think> c", "b <think> c", "a"),
    ("<Think>a</THINK> b", "b", "a"),
    ("<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>b<|end_of_solution|>", "b", "a"),
    ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "b", "a"),
    ("[THINK]a[/THINK]b", "b", "a"),
    ("◁think▷a◁/think▷b", "b", "a"),
    ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "b", "a"),
    ("<seed:think>a</seed:think>b", "b", "a"),
    ("<reasoning>a</reasoning>b", "b", "a"),
    ("a\n</think>\nb", "b", "a"),
    ("a</think>b", "b", "a"),
    ("b\n<think>a</think>\nc", "b\n\nc", "a"),
    ("<think>a</think><think>c</think>b", "b", "a\n\nc"),
    ("<think>a", "", "a"),
    ("<think>a</thi", "", "a</thi"),
    ("<think></think>b", "b", ""),
    ("<think>a <think> c</think>b", "b", "a <think> c"),
    ("b </thinker> <thin", "b </thinker> <thin", ""),
    ("a `</think>` b", "a `</think>` b", ""),
    ("Say <think>a</think> aloud", "Say <think>a</think> aloud", ""),
    ("```xml\n<think>\na\n</think>\n```\nb", "```xml\n<think>\na\n</think>\n```\nb", ""),
    ("x <b> [y] < z", "x <b> [y] < z", ""),
    ("  ", "  ", ""),
    ("", "", ""),
]


@pytest.mark.parametrize(("text", "answer", "thoughts"), TEXTS)
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_wherever_a_text_is_cut(text, answer, thoughts, size):
    splitter, shown = Splitter(), ""
    for part in [text[at : at + size] for at in range(0, len(text), size)]:
        for said in splitter.feed(part):
            shown = "" if isinstance(said, Aside) else shown + said
    shown += "".join(splitter.close())
    assert (splitter.text, splitter.thoughts) == (answer, thoughts) == set_apart(text)
    assert shown == answer


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", "\n", "`", "```", " ", "<", "[THINK]", "é"]), max_size=30))
def test_what_is_shown_is_the_answer(parts):
    splitter, shown = Splitter(), ""
    for part in parts:
        for said in splitter.feed(part):
            assert said
            shown = "" if isinstance(said, Aside) else shown + said
    shown += "".join(s for s in splitter.close() if isinstance(s, str))
    text = "".join(parts)
    if "think" not in text.lower():
        assert shown == text
    assert shown == splitter.text or not shown.startswith(splitter.text)


def test_marks_anywhere_are_left_out_where_json_or_a_word_is_looked_for():
    assert without_thoughts("So <think>a</think>b <thinking>c").split() == ["So", "b"]
