"""Make untrusted text safe for a terminal or a log."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text in one line, with control characters and lone surrogates as escapes.

    A name could otherwise clear a screen, set a window's title, or begin a line of its own.
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text


#: What steers a terminal: the control characters but for the ends of lines and tabulators.
_STEERING = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def harmless(text: str) -> str:
    """Return a text of several lines, with everything in it that steers a terminal as escapes."""
    return text.translate(_STEERING).encode("utf-8", "backslashreplace").decode()
