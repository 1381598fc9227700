"""Calculator: right answers, plain refusals, bounded work."""

from __future__ import annotations

import math

import pytest
from flowrunner_components import Calculator, CalculatorTool
from flowrunner_components.arithmetic import evaluate, show_number
from hypothesis import given
from hypothesis import strategies as st

from tests.components.context import run


def ask(expression):
    return run(Calculator(), None, expression=expression)["result"]


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("4 * 4 * (33 / 22) + 12 - 20", "16"),
        ("2 ** 3 ** 2", "512"),
        ("-2 ** 2", "-4"),
        ("2 ** -1", "0.5"),
        ("--3", "3"),
        ("7 // 2 + 7 % 4", "6"),
        ("1 / 3", "0.333333"),
        ("0.1 + 0.2", "0.3"),
        ("1e3 + .5 + 2.", "1002.5"),
        ("10 / 5", "2"),
        ("0 * -1.0", "0"),
        ("1 / 10 ** 9", "1e-09"),
        ("2 ** 100", "1267650600228229401496703205376"),
        ("\t1\n+\n1 ", "2"),
        ("1 ** 999999999", "1"),
    ],
)
def test_results(expression, result):
    assert ask(expression) == {"result": result}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("1 / 0", "division by zero"),
        ("1 % 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("9 ** 9 ** 9 ** 9", "too large"),
        ("9999999999 ** 9999999999", "too large"),
        ("2.0 ** 99999", "too large"),
        ("1e308 * 10", "too large"),
        ("10 ** 400 / 1.5", "too large"),
        ("(-8) ** 0.5", "not a real number"),
        ("1 +", "ends too early"),
        ("(1", "parenthesis is missing"),
        ("1)", "not expected"),
        ("1 2", "not expected"),
        ("* 2", "not expected"),
        ("sqrt(2)", "cannot be parsed"),
        ("__import__('os').system('x')", "cannot be parsed"),
        ("(lambda: 1)()", "cannot be parsed"),
        ("2 ^ 3", "cannot be parsed"),
        ("1,000", "cannot be parsed"),
        ("(" * 500, "nested"),
        ("-" * 900 + "1", "nested"),
        ("2" + "**2" * 300, "nested"),
        ("1" * 1001, "longer than"),
    ],
)
def test_refusals_say_why_and_give_the_question_back(expression, reason):
    answer = ask(expression)
    assert set(answer) == {"error", "input"}
    assert reason in answer["error"] and answer["input"] == expression


@given(st.text(alphabet="0123456789.+-*/%() e", max_size=60))
def test_any_expression_is_answered_as_python_does_or_refused(expression):
    try:
        found = evaluate(expression)
    except ValueError:
        return
    assert isinstance(found, int) or math.isfinite(found)
    assert float(show_number(found)) == pytest.approx(found, abs=1e-6, rel=1e-6)


@given(st.text())
def test_any_text_is_answered(text):
    assert set(ask(text)) in ({"result"}, {"error", "input"})


NUMBERS = st.integers(min_value=-50, max_value=50)


@given(NUMBERS, NUMBERS, NUMBERS, *[st.sampled_from(["+", "-", "*", "//", "%"])] * 2)
def test_whole_numbers_and_their_order(a, b, c, first, second):
    operations = {
        "+": lambda x, y: x + y,
        "-": lambda x, y: x - y,
        "*": lambda x, y: x * y,
        "//": lambda x, y: x // y,
        "%": lambda x, y: x % y,
    }
    try:
        if first in "+-" and second not in "+-":
            wanted = operations[first](a, operations[second](b, c))
        else:
            wanted = operations[second](operations[first](a, b), c)
    except ZeroDivisionError:
        with pytest.raises(ValueError, match="division by zero"):
            evaluate(f"{a} {first} {b} {second} {c}")
        return
    assert evaluate(f"{a} {first} {b} {second} {c}") == wanted


def test_the_older_tool_has_its_older_output():
    assert run(CalculatorTool(), expression="1+1") == {"api_run_model": {"result": "2"}}
