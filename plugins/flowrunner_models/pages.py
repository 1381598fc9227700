"""Web pages as text and Markdown, and the links in them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urldefrag, urljoin, urlsplit

_SILENT: Final = frozenset({"script", "style", "noscript", "template", "svg"})
_BLOCKS: Final = frozenset(
    {"p", "div", "section", "article", "header", "footer", "main", "ul", "ol", "li", "table", "tr", "br", "hr", "pre",
     "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "nav", "aside", "form", "dl", "dt", "dd", "figure"}
)  # fmt: skip


class Page(HTMLParser):
    """One page taken apart: ``title``, ``links``, :meth:`text`."""

    def __init__(self, html: str, *, markdown: bool = False) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.description = ""
        self.links: list[str] = []
        self._markdown = markdown
        self._parts: list[str] = []
        self._silent = 0
        self._in_title = False
        self.feed(html)
        self.close()

    def text(self) -> str:
        """Return the text of the page, blocks on lines of their own."""
        lines = [re.sub(r"[ \t\f\v\xa0]+", " ", line).strip() for line in "".join(self._parts).splitlines()]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links and blocks."""
        given = dict(attrs)
        if tag == "title":
            self._in_title = True
        if tag == "meta" and (given.get("name") or "").lower() == "description":
            self.description = given.get("content") or ""
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BLOCKS:
            self._parts.append("\n")
            if self._markdown and re.fullmatch("h[1-6]", tag):
                self._parts.append("#" * int(tag[1]) + " ")
            elif self._markdown and tag == "li":
                self._parts.append("- ")

    def handle_endtag(self, tag: str) -> None:
        """End blocks."""
        if tag == "title":
            self._in_title = False
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS:
            self._parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Keep text that is shown."""
        if self._in_title:
            self.title += data.strip()
        elif not self._silent:
            self._parts.append(data)


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
