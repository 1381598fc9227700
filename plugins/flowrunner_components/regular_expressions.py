"""Match regular expressions in linear time.

Python's own matcher tries one way after the other and can take longer than anybody waits: a
pattern and a text that a client sends could hold a worker for ever. RE2 walks the text once and
lets other threads run meanwhile. Flows are written for Python's matcher, so a pattern is put into
RE2's words first.
"""

from __future__ import annotations

import re
from typing import Any, Final

MAX_PATTERN: Final = 10_000
#: At most this many times the size of the pattern by the bytes of the text: some seconds at the very worst.
MAX_WORK: Final = 1_000_000_000

_LEAD: Final = "the regular expression cannot be used:"
#: A compiled pattern above this size is not kept for the next time.
_LARGE: Final = 5_000
_TOKEN: Final = re.compile(
    r"\\u(?P<four>[0-9A-Fa-f]{4})|\\U(?P<eight>[0-9A-Fa-f]{8})|\\(?P<sign>.)|(?P<opened>\[\^?\]?)|(?P<closed>\])"
    r"|\{,(?P<most>\d{1,9})\}|(?P<dollar>\$)|(?P<flags>^\(\?[imsu]+\))|.",
    re.DOTALL,
)
_SPACES: Final = (
    r"\x{9}-\x{d}\x{1c}-\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
)
_NO_SPACES: Final = (
    r"\x{0}-\x{8}\x{e}-\x{1b}\x{21}-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}"
    r"\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}"
)
_NO_WORDS: Final = (
    r"\pM\pS\pZ\p{Cc}\p{Cf}\p{Co}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}"
    r"\x{203f}\x{2040}\x{2054}\x{fe33}\x{fe34}\x{fe4d}-\x{fe4f}\x{ff3f}"
)
#: What Python's classes mean in a text of any script, as the inside of a class; RE2's own know ASCII alone.
_CLASSES: Final = {
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "s": _SPACES,
    "S": _NO_SPACES,
    "w": r"\pL\pN_",
    "W": _NO_WORDS,
}
#: The same for a text of ASCII alone, where it comes to the same and costs a thousandth.
_ASCII_CLASSES: Final = {
    "d": "0-9",
    "D": r"\x{0}-/:-\x{7f}",
    "s": r"\x{9}-\x{d}\x{1c}-\x{20}",
    "S": r"\x{0}-\x{8}\x{e}-\x{1b}\x{21}-\x{7f}",
    "w": "0-9A-Za-z_",
    "W": r"\x{0}-/:-@[-^`{-\x{7f}",
}


def matches_start(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Return whether a text begins with what a regular expression describes.

    The pattern is one of Python's. Back references and looking around are refused: they cannot be
    answered in bounded time. ``\\b`` and ``\\B`` know the letters a to z, digits and ``_`` alone.

    :raises ValueError: if the pattern cannot be read, is too large, or the work is too much.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"{_LEAD} it is longer than {MAX_PATTERN} characters")
    encoded = text.encode("utf-8", "replace")
    classes = _ASCII_CLASSES if len(encoded) == len(text) else _CLASSES
    compiled = _compile(_translate(pattern, classes), ignore_case)
    if compiled.programsize * len(encoded) > MAX_WORK:
        raise ValueError("the regular expression takes too long on this text; simplify it or shorten the text")
    if compiled.match(encoded) is not None:
        return True
    # Python's $ also stands before a line break that ends the text.
    before_break = encoded.endswith(b"\n") and "$" in pattern and r"\Z" not in pattern
    return before_break and compiled.match(encoded[:-1]) is not None


def _compile(pattern: str, ignore_case: bool) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False  # it would write the pattern to standard error
    options.case_sensitive = not ignore_case
    try:
        compiled = re2.compile(pattern.encode("utf-8", "surrogatepass"), options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise ValueError(f"{_LEAD} {_explained(reason)}") from None
    if compiled.programsize > _LARGE:
        re2.purge()
    return compiled


def _explained(reason: Any) -> str:
    """Return why RE2 refuses a pattern, by the name of what it cannot do."""
    said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    what, _, where = said.partition(": ")
    if what == "invalid escape sequence" and where[1:2].isdigit():
        return f"the back reference {where} is not supported"
    if what == "invalid perl operator":
        return f"{where} is not supported"
    return said


def _translate(pattern: str, classes: dict[str, str]) -> str:
    """Return one of Python's patterns in RE2's words."""
    parts: list[str] = []
    inside = False
    for found in _TOKEN.finditer(pattern):
        whole, kind = found.group(), found.lastgroup
        if kind in ("four", "eight"):
            whole = f"\\x{{{found[kind]}}}"
        elif kind == "sign":
            whole = _escape(found["sign"], classes, inside)
        elif kind == "opened" and not inside:
            inside = True
        elif kind == "opened":
            # A bracket in a class is one; RE2 might take it for the beginning of [:alpha:].
            whole, inside = rf"\{whole}", not whole.endswith("]")
        elif kind == "closed":
            inside = False
        elif kind == "most" and not inside:
            whole = f"{{0,{found['most']}}}"
        elif kind == "flags":
            kept = "".join(dict.fromkeys(whole[2:-1].replace("u", "")))
            whole = f"(?{kept})" if kept else ""
        parts.append(whole)
    return "".join(parts)


def _escape(sign: str, classes: dict[str, str], inside: bool) -> str:
    if sign in classes:
        return classes[sign] if inside else f"(?-i:[{classes[sign]}])"
    if sign == "Z" and not inside:
        return r"\z"
    if sign == "b" and inside:
        return r"\x{8}"
    if sign in "AbBafnrtvx0123456789" or (sign.isascii() and not sign.isalnum() and sign != "_"):
        return f"\\{sign}"
    if sign.isascii() and sign != "_":
        raise ValueError(f"{_LEAD} unknown escape \\{sign}")
    return sign
