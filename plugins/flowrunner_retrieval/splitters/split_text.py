"""Split Text, and the splitters of older flows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowrunner import Component, Input, Output, RunContext

from ..extras import RETRIEVAL, import_extra
from .bounded import watch
from .texts import Row, rows_of, unescaped

_SIZES: Final = (
    Input("chunk_size", "int", default=1000, info="maximum characters of a chunk"),
    Input("chunk_overlap", "int", default=200, info="overlap between chunks, in characters"),
)
_OUTPUTS: Final = (Output("dataframe", "Table"), Output("chunks", "Data", aliases=("data", "text")))
_DATA: Final = Input(
    "data_inputs",
    "any",
    required=True,
    many=True,
    accepts=("Data", "Table", "Message", "Document"),
    aliases=("data_input", "inputs", "documents"),
)


#: Characters for which each member of a chunk's metadata counts, since every chunk has all of them.
_A_MEMBER: Final = 10
_MOST_SEPARATORS: Final = 100

_QUOTED: Final = re.compile(r"""'([^']*)'|"([^"]*)\"""")


class _Splitter(Component):
    """What all splitters have in common."""

    outputs = _OUTPUTS

    def packages_for(self, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the packages that it imports when it runs."""
        return {"langchain_text_splitters": RETRIEVAL}

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the chunks, each with the metadata of what it was cut from.

        :raises ValueError: for sizes that cannot be, or if the library is not installed.
        """
        library = import_extra("langchain_text_splitters", "Splitting texts")
        budget = context.text_budget()
        splitter = watch(self.splitter(library, values), budget)
        keep = not values.get("clean_output")
        key = values.get("text_key") or "text"
        rows: list[Row] = []
        for text, more in rows_of(values["data_inputs"], key):
            context.cancelled.raise_if_set()
            for chunk in splitter.split_text(text):
                if keep and more:
                    budget.take(_A_MEMBER * len(more))
                rows.append({key: chunk, **(more if keep else {})})
        return {"dataframe": rows, "chunks": rows}

    def splitter(self, library: Any, values: Mapping[str, Any]) -> Any:
        """Return the library's splitter for these settings."""
        raise NotImplementedError


class SplitText(_Splitter):
    """Split texts into chunks at a separator."""

    type_name = "SplitText"
    aliases = ("SplitTextComponent",)
    display_name = "Split Text"
    inputs = (
        _DATA,
        *_SIZES,
        Input("separator", "str", default="\n", info="separator to split at; \\n is a line break"),
        Input("text_key", "str", default="text", info="the column that holds the text"),
        Input("keep_separator", "str", default="False", options=("False", "True", "Start", "End")),
        Input("clean_output", "bool", default=False, info="return the text only, without metadata"),
    )

    def splitter(self, library: Any, values: Mapping[str, Any]) -> Any:
        """Return a splitter at one separator."""
        return library.CharacterTextSplitter(
            separator=unescaped(values["separator"]), keep_separator=_keep(values["keep_separator"]), **_sizes(values)
        )


class CharacterSplitter(_Splitter):
    """Split texts into chunks at a separator, by default blank lines."""

    type_name = "CharacterTextSplitter"
    display_name = "Character Text Splitter"
    inputs = (_DATA, *_SIZES, Input("separator", "str", default="\n\n"))

    def splitter(self, library: Any, values: Mapping[str, Any]) -> Any:
        """Return a splitter at one separator."""
        separator = unescaped(values["separator"]) or "\n\n"
        return library.CharacterTextSplitter(separator=separator, **_sizes(values))


class RecursiveSplitter(_Splitter):
    """Split texts into chunks at the largest possible boundary: blank lines, lines, words, characters."""

    type_name = "RecursiveCharacterTextSplitter"
    display_name = "Recursive Character Text Splitter"
    inputs = (
        _DATA,
        *_SIZES,
        Input("separators", "str", many=True, info="separators to split at, best first; default: those of the library"),
        Input("text_key", "str", default="text", info="the column that holds the text"),
    )

    def splitter(self, library: Any, values: Mapping[str, Any]) -> Any:
        """Return a splitter at several separators."""
        separators = [unescaped(word) for word in _words(values["separators"])]
        if len(separators) > _MOST_SEPARATORS:
            raise ValueError(f"separators has {len(separators)} entries; at most {_MOST_SEPARATORS} are accepted")
        more = {"separators": separators} if any(separators) else {}
        return library.RecursiveCharacterTextSplitter(**more, **_sizes(values))


class LanguageSplitter(_Splitter):
    """Split source code into chunks at the boundaries of its language."""

    type_name = "LanguageRecursiveTextSplitter"
    display_name = "Language Recursive Text Splitter"
    inputs = (
        _DATA,
        *_SIZES,
        Input("code_language", "str", default="python", info="the language, such as python, js, markdown or html"),
    )

    def splitter(self, library: Any, values: Mapping[str, Any]) -> Any:
        """Return a splitter for a language.

        :raises ValueError: for a language that the library does not know.
        """
        word = values["code_language"].strip().lower()
        known = {language.value: language for language in library.Language}
        if word not in known:
            raise ValueError(f"code_language is {word[:40]!r}; must be one of {', '.join(sorted(known))}")
        return library.RecursiveCharacterTextSplitter.from_language(known[word], **_sizes(values))


SPLITTERS: Final[tuple[type[Component], ...]] = (SplitText, CharacterSplitter, RecursiveSplitter, LanguageSplitter)


def _sizes(values: Mapping[str, Any]) -> dict[str, int]:
    size, overlap = values["chunk_size"], values["chunk_overlap"]
    if size < 1 or overlap < 0 or overlap > size:
        raise ValueError(
            f"chunk_size is {size} and chunk_overlap {overlap}; 0 <= chunk_overlap <= chunk_size is required"
        )
    return {"chunk_size": size, "chunk_overlap": overlap}


def _keep(word: str) -> Any:
    plain = word.strip().lower()
    return plain if plain in ("start", "end") else plain in ("true", "yes", "on", "1")


def _words(given: Sequence[str]) -> list[str]:
    """Return separators; old flows write a list as text."""
    if len(given) == 1 and given[0].startswith("[") and given[0].endswith("]"):
        return [one or other for one, other in _QUOTED.findall(given[0])]
    return list(given)
