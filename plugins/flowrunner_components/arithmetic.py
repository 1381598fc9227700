"""Evaluate arithmetic expressions with a parser of our own; nothing is executed as code.

Everything is bounded: the length of the expression, how deep it is nested, the size of numbers.
"""

from __future__ import annotations

import math
import operator as op
import re
from collections.abc import Callable
from typing import Final

MAX_LENGTH: Final = 1000
MAX_DEPTH: Final = 100
MAX_BITS: Final = 10_000

Number = int | float

_TOKEN: Final = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|(\*\*|//|[-+*/%()]))")
_SUMS: Final[dict[str, Callable[[Number, Number], Number]]] = {"+": op.add, "-": op.sub}
_PRODUCTS: Final[dict[str, Callable[[Number, Number], Number]]] = {
    "*": op.mul,
    "/": op.truediv,
    "//": op.floordiv,
    "%": op.mod,
}


def evaluate(expression: str) -> Number:
    """Work an expression out: numbers, ``+ - * / // % **`` and parentheses.

    :raises ValueError: with a sentence that says what cannot be worked out.
    """
    if len(expression) > MAX_LENGTH:
        raise ValueError(f"the expression is longer than {MAX_LENGTH} characters")
    tokens = _Tokens(expression)
    try:
        result = _sum(tokens)
    except ZeroDivisionError:
        raise ValueError("division by zero") from None
    except OverflowError:
        raise ValueError("the result is too large") from None
    if tokens.peek():
        raise ValueError(f"{tokens.peek()!r} is not expected here")
    return result


def show_number(number: Number) -> str:
    """Return a number as people write it: six digits behind the point, more only for what would vanish."""
    if isinstance(number, int):
        return str(number)
    if number and not 1e-6 <= abs(number) < 1e16:
        return repr(number)
    shown = f"{number:.6f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


class _Tokens:
    """The parts of an expression, read one by one."""

    def __init__(self, text: str) -> None:
        self._parts: list[str] = []
        self._at = 0
        self.depth = 0
        place, end = 0, len(text.rstrip())
        while place < end:
            found = _TOKEN.match(text, place)
            if found is None:
                rest = text[place:].lstrip()
                raise ValueError(
                    f"{rest[:20]!r} cannot be parsed; only numbers, + - * / // % ** and parentheses are supported"
                )
            self._parts.append(found[1] or found[2])
            place = found.end()
        if not self._parts:
            raise ValueError("the expression is empty")

    def peek(self) -> str:
        return self._parts[self._at] if self._at < len(self._parts) else ""

    def take(self) -> str:
        part = self.peek()
        self._at += 1
        return part


def _sum(tokens: _Tokens) -> Number:
    left = _product(tokens)
    while tokens.peek() in _SUMS:
        left = _bounded(_SUMS[tokens.take()](left, _product(tokens)))
    return left


def _product(tokens: _Tokens) -> Number:
    left = _signed(tokens)
    while tokens.peek() in _PRODUCTS:
        left = _bounded(_PRODUCTS[tokens.take()](left, _signed(tokens)))
    return left


def _signed(tokens: _Tokens) -> Number:
    tokens.depth += 1
    if tokens.depth > MAX_DEPTH:
        raise ValueError(f"the expression is nested more than {MAX_DEPTH} deep")
    if tokens.peek() in ("+", "-"):
        sign = tokens.take()
        value = _signed(tokens)
        value = -value if sign == "-" else value
    else:
        value = _power(tokens)
    tokens.depth -= 1
    return value


def _power(tokens: _Tokens) -> Number:
    base = _operand(tokens)
    if tokens.peek() != "**":
        return base
    tokens.take()
    return _raise(base, _signed(tokens))


def _raise(base: Number, exponent: Number) -> Number:
    """Raise to a power; the size is looked at before the work is done."""
    if isinstance(base, int) and isinstance(exponent, int):
        if abs(base) > 1 and exponent > 0 and base.bit_length() * exponent > MAX_BITS:
            raise OverflowError
        if exponent < 0:
            base = float(base)
    elif base < 0 and exponent != int(exponent):
        raise ValueError("the result is not a real number")
    result: Number = base**exponent
    return _bounded(result)


def _operand(tokens: _Tokens) -> Number:
    part = tokens.take()
    if part == "(":
        value = _sum(tokens)
        if tokens.take() != ")":
            raise ValueError("a closing parenthesis is missing")
        return value
    if not part:
        raise ValueError("the expression ends too early")
    if not (part[0].isdecimal() or part[0] == "."):
        raise ValueError(f"{part!r} is not expected here")
    return _bounded(int(part) if part.isdecimal() else float(part))


def _bounded(number: Number) -> Number:
    if isinstance(number, int):
        if number.bit_length() > MAX_BITS:
            raise OverflowError
    elif not math.isfinite(number):
        raise OverflowError
    return number
