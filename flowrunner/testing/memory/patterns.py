"""Texts that stores take for patterns, languages or other spellings, in searches and in names."""

from __future__ import annotations

from typing import ClassVar, Final

import pytest

from flowrunner.memory import MemoryBackend
from flowrunner.testing.memory.listing import list_ids
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import append_texts, fetch_texts, make_message

_LONG: Final = "word " * 8_000

#: What is looked for, a text that contains it, and one that a store might take for the same.
LOOKED_FOR: Final[dict[str, tuple[str, str, str]]] = {
    "[": ("a[b]c", "xa[b]cx", "xabcx"),
    "lone [": ("[", "x[x", "xxx"),
    "?": ("a?c", "a?c", "abc"),
    "*": ("a*", "a*c", "abc"),
    "%": ("a%c", "a%c", "abc"),
    "_": ("a_c", "a_c", "abc"),
    "backslash": ("a\\%c", "a\\%c", "a%c"),
    "dot": ("a.c", "a.c", "abc"),
    "^ and $": ("^a$", "^a$", "a"),
    "( and |": ("(a|b", "(a|b", "a"),
    "+": ("a+", "a+", "aa"),
    "quotes": ("\"a'", "\"a'", "a"),
    "minus": ("-a", "-a", "b"),
    "colon": ("text:a", "text:a", "a"),
    "dollar": ("$where", "$where", "where"),
    "accent": ("café", "un café", "un cafe"),
    "no accent": ("cafe", "un cafe", "un café"),
    "composed": ("\u00e9t\u00e9", "\u00e9t\u00e9", "e\u0301te\u0301"),
    "decomposed": ("e\u0301t", "e\u0301te\u0301", "\u00e9t\u00e9"),
    "wide letters": ("ＡＢ", "ａｂ", "ab"),
    "circled number": ("①", "①②", "12"),
    "superscript": ("x²", "x²", "x2"),
    "any case of sharp s": ("GROSS", "groß", "gros"),
    "any case of sigma": ("ΟΔΟΣ", "οδος", "οδο"),
    "two letters": ("ab", "xaby", "xa by"),
    "one letter": ("q", "aqb", "ab"),
    "emoji": ("👩‍👧", "x👩‍👧x", "x👩👧x"),
    "long": ("x" * 3000, "x" * 3001, "x" * 2999),
}


class PatternTests(BackendTests):
    """Search terms are matched literally: no patterns, no query language, no other spellings."""

    group = "patterns"
    came_with = 2
    mistakes: ClassVar[tuple[str, ...]] = (
        "LIKE, GLOB or a regular expression with unescaped words: % and _, [ and * are then patterns.",
        "Passing the words to a full-text query language, in which quotes, minus and colons have a meaning.",
        "A collation or an analyser that treats é as e, or ２ as 2; only case is ignored.",
        "A trigram index that finds no words of fewer than three letters.",
        "A text that is truncated before it is searched.",
    )

    @pytest.mark.parametrize("name", LOOKED_FOR)
    def test_a_search_takes_its_words_letter_by_letter(self, backend: MemoryBackend, name: str) -> None:
        """``text`` keeps messages that contain all its words (separated by white space), anywhere in the text, also
        inside longer words, ignoring case.
        """
        wanted, yes, no = LOOKED_FOR[name]
        append_texts(backend, yes, no)
        assert fetch_texts(backend, text=wanted) == [yes]
        assert fetch_texts(backend, text=f"  {wanted}\t{wanted} ", session_id="talk") == [yes]

    @pytest.mark.parametrize("name", LOOKED_FOR)
    def test_contains_takes_its_text_letter_by_letter(self, backend: MemoryBackend, name: str) -> None:
        """``contains`` keeps ids that contain the text, ignoring case."""
        wanted, yes, no = LOOKED_FOR[name]
        append_texts(backend, "x", session_id=yes)
        append_texts(backend, "x", session_id=no)
        assert list_ids(backend, contains=wanted) == [yes]

    def test_a_large_store_searches_letter_by_letter_too(self, backend: MemoryBackend) -> None:
        """``text`` keeps messages that contain all its words (separated by white space), anywhere in the text, also
        inside longer words, ignoring case.
        """
        backend.append_messages([make_message(f"filler {n}") for n in range(2500)])
        for name, (_, yes, no) in LOOKED_FOR.items():
            backend.append_messages([make_message(text, name) for text in (yes, no)])
        for _ in range(2):
            found = {name: fetch_texts(backend, text=LOOKED_FOR[name][0], session_id=name) for name in LOOKED_FOR}
            assert found == {name: [yes] for name, (_, yes, _) in LOOKED_FOR.items()}

    @pytest.mark.parametrize("blank", ["\t", "\n", "\u00a0", "\u3000", "\u2028", "\x1f"], ids=ascii)
    def test_every_white_space_separates_words(self, backend: MemoryBackend, blank: str) -> None:
        """``text`` keeps messages that contain all its words (separated by white space), anywhere in the text, also
        inside longer words, ignoring case.
        """
        append_texts(backend, "pear and apple", "apple")
        assert fetch_texts(backend, text=f"apple{blank}pear") == ["pear and apple"]

    def test_blanks_in_contains_count(self, backend: MemoryBackend) -> None:
        """``contains`` keeps ids that contain the text, ignoring case."""
        for session in ("a b", "ab", "b a", " "):
            append_texts(backend, "x", session_id=session)
        assert list_ids(backend, contains="A B") == ["a b"]
        assert list_ids(backend, contains=" ") == [" ", "b a", "a b"]

    def test_a_long_text_is_searched_to_its_end(self, backend: MemoryBackend) -> None:
        """``text`` keeps messages that contain all its words (separated by white space), anywhere in the text, also
        inside longer words, ignoring case.
        """
        append_texts(backend, _LONG + "needle", _LONG)
        assert fetch_texts(backend, text="needle") == [_LONG + "needle"]
        assert fetch_texts(backend, text="word " * 300 + "needle") == [_LONG + "needle"]
