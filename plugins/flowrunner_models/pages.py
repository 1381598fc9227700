"""Web pages as text and Markdown, and the links in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urldefrag, urljoin, urlsplit

_SILENT: Final = frozenset({"script", "style", "noscript", "template", "svg"})
_BLOCKS: Final = frozenset(
    {
        "p",
        "div",
        "section",
        "article",
        "header",
        "footer",
        "main",
        "ul",
        "ol",
        "li",
        "table",
        "tr",
        "br",
        "hr",
        "pre",
        "blockquote",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "nav",
        "aside",
        "form",
        "dl",
        "dt",
        "dd",
        "figure",
    }
)


#: Blocks without an end of their own, of which the parser tells one all the same.
_EMPTY: Final = frozenset({"br", "hr"})
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


class ReaderMissing(ValueError):
    """The package that reads web pages is not installed; the text names the extra."""


class Page:
    """One page taken apart: ``title``, ``description``, ``links``, :meth:`text`.

    libxml2 reads it, in time that grows with its size whatever is wrong with it; nothing of a page is
    fetched or expanded.

    :raises ReaderMissing: if lxml is not installed.
    """

    def __init__(self, html: str, *, markdown: bool = False) -> None:
        found = _Found(markdown=markdown)
        parser = _parser(found)
        parser.feed(html.encode("utf-8", "replace"))
        parser.close()
        self.title = " ".join("".join(found.titles).split())
        self.description = found.description
        self.links = found.links
        self._parts = found.parts

    def text(self) -> str:
        """Return the text of the page, blocks on lines of their own."""
        lines = [re.sub(r"[ \t\f\v\xa0]+", " ", line).strip() for line in "".join(self._parts).splitlines()]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Found:
    """What the parser tells of, piece by piece."""

    def __init__(self, *, markdown: bool) -> None:
        self.titles: list[str] = []
        self.description = ""
        self.links: list[str] = []
        self.parts: list[str] = []
        self._markdown = markdown
        self._silent = 0
        self._in_title = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Note links and blocks."""
        if tag == "title" and not self._silent:
            self._in_title = True
        if tag == "meta" and attributes.get("name", "").lower() == "description":
            self.description = attributes.get("content", "")
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")
            if self._markdown and tag in _HEADINGS:
                self.parts.append("#" * int(tag[1]) + " ")
            elif self._markdown and tag == "li":
                self.parts.append("- ")

    def end(self, tag: str) -> None:
        """End blocks."""
        if tag == "title":
            self._in_title = False
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS and tag not in _EMPTY:
            self.parts.append("\n")

    def data(self, text: str) -> None:
        """Keep text that is shown."""
        if self._in_title:
            self.titles.append(text)
        elif not self._silent:
            self.parts.append(text)

    def comment(self, text: str) -> None:
        """Pass over comments."""

    def close(self) -> None:
        """There is nothing to give back: all is noted."""


def _parser(target: _Found) -> Any:
    try:
        from lxml import etree
    except ImportError:
        raise ReaderMissing("web pages are read by lxml: pip install 'flask-flowrunner[pages]'") from None
    return etree.HTMLParser(target=target, recover=True, encoding="utf-8", no_network=True)


def links_of(page: Page, url: str, *, inside: bool) -> list[str]:
    """Return the pages that a page links to, each once; a link that cannot be read leads nowhere.

    :param inside: only those of the same host.
    """
    found: dict[str, None] = {}
    for link in page.links:
        try:
            target, _ = urldefrag(urljoin(url, link))
            parts = urlsplit(target)
        except ValueError:
            continue
        if parts.scheme in ("http", "https") and (not inside or parts.netloc == urlsplit(url).netloc):
            found[target] = None
    return list(found)
