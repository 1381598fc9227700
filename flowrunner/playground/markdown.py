"""Render Markdown to HTML that is harmless: every tag in it is made here, and none is taken from the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from flowrunner.playground.formulas import add_formulas

#: Characters of a text at most; what is longer is shown as it is.
MOST_CHARACTERS: Final = 50_000
#: Characters of texts that are rendered together: the worst take a second for each 50,000.
MOST_TOGETHER: Final = 200_000

#: An address without a scheme would lead to some page of this very server.
_BEGINNINGS: Final = ("http://", "https://", "mailto:")
_LANGUAGE: Final = re.compile(r"[\w+#.-]{1,30}", re.ASCII)


class _Html(RendererHTML):
    """Writes the tags; links open elsewhere and tell nothing of where they were followed."""

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        """Write the beginning of a link."""
        tokens[idx].attrSet("target", "_blank")
        tokens[idx].attrSet("rel", "noopener noreferrer nofollow")
        return self.renderToken(tokens, idx, options, env)

    def td_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        """Write the beginning of a cell: a class says what would else be a style, which the page allows nowhere."""
        side = str(tokens[idx].attrs.pop("style", "")).removeprefix("text-align:")
        if side in ("center", "right"):
            tokens[idx].attrSet("class", side)
        return self.renderToken(tokens, idx, options, env)

    th_open = td_open

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        """Write a block of code, its class naming the language where that is a plain word."""
        word = _LANGUAGE.match(tokens[idx].info.strip())
        tokens[idx].info = word[0] if word else ""
        return super().fence(tokens, idx, options, env)


def render(text: str) -> str | None:
    """Return a text as HTML: no script, no style, no image, no address that runs anything.

    Formulas in LaTeX stay as they were written, as ``code`` of the class ``formula``.

    :returns: None for a text that is too long, which is to be shown as it is.
    """
    if len(text) > MOST_CHARACTERS:
        return None
    shown: str = _parser().render(text)
    return shown


def render_all(texts: Sequence[str]) -> list[str | None]:
    """Return texts as HTML, as :func:`render` does.

    :returns: None also for those that come after the first :data:`MOST_TOGETHER` characters.
    """
    found: list[str | None] = []
    room = MOST_TOGETHER
    for text in texts:
        # One that is too long is not rendered and takes no room.
        taken = len(text) if len(text) <= MOST_CHARACTERS else 0
        room -= taken
        found.append(render(text) if taken and room >= 0 else None if text else "")
    return found


class _Markdown(MarkdownIt):
    """CommonMark with tables, in which HTML is text and only whole addresses are links."""

    def validateLink(self, url: str) -> bool:  # noqa: N802 - the name that the parser calls
        """Return whether an address may be followed; a link of another kind stays as it was written."""
        return url.lower().startswith(_BEGINNINGS)


@cache
def _parser() -> MarkdownIt:
    options = {"html": False, "breaks": True, "linkify": False, "maxNesting": 20, "xhtmlOut": False}
    parser = _Markdown("commonmark", options, renderer_cls=_Html)
    parser.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])
    add_formulas(parser)
    return parser
