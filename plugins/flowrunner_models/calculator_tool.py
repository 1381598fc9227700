"""Calculator for agents: an expression is parsed, never executed."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Final

Number = int | float

_LONGEST: Final = 500
_LARGEST: Final = 10**100

_TWO: Final[Mapping[type[ast.operator], Callable[[Number, Number], Number]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def work_out(expression: str) -> str:
    """Return the value of an arithmetic expression.

    :raises ValueError: if it is none, or too large.
    """
    if len(expression) > _LONGEST:
        raise ValueError(f"the expression is longer than {_LONGEST} characters")
    try:
        tree = ast.parse(expression.strip().replace("^", "**"), mode="eval")
        value = _value(tree.body)
    except ZeroDivisionError:
        raise ValueError("division by zero") from None
    except (SyntaxError, RecursionError, OverflowError, MemoryError):
        raise ValueError("that is not an arithmetic expression") from None
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else f"{value}"


def _value(node: ast.expr) -> Number:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return _bounded(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _value(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow):
            return _power(left, right)
        function = _TWO.get(type(node.op))
        if function is not None:
            return _bounded(function(left, right))
    raise ValueError("only numbers, + - * / // % ** and parentheses are supported")


def _power(base: Number, exponent: Number) -> Number:
    if abs(exponent) > 400 or (abs(base) > 1 and abs(exponent) * len(f"{abs(base):.0f}") > 120):
        raise ValueError("the power is too large")
    value = base**exponent
    if isinstance(value, complex):
        raise ValueError("the root of a negative number is not a real number")
    return _bounded(value)


def _bounded(value: Number) -> Number:
    if abs(value) > _LARGEST or value != value:
        raise ValueError("the number is too large")
    return value
