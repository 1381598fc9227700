"""Render Markdown to sanitized HTML."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

#: Characters of a text at most; what is longer is shown as it is.
MOST_CHARACTERS: Final = 50_000

_TAGS: Final = frozenset(
    {"p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong",
     "s", "a", "table", "thead", "tbody", "tr", "th", "td"}
)  # fmt: skip
_ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}}
_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_BEGINNINGS: Final = ("http://", "https://", "mailto:")


def can_render() -> bool:
    """Say whether the packages of the extra ``[playground]`` are there."""
    return _parser() is not None


def render(text: str) -> str | None:
    """Return a text as HTML: no script, no style, no image, no address that runs anything.

    :returns: None where it is to be shown as it is: without the extra, or for a text that is too long.
    """
    parser = _parser()
    if parser is None or len(text) > MOST_CHARACTERS:
        return None
    import nh3

    shown: str = nh3.clean(
        parser.render(text),
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=_only_whole_addresses,
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return shown


def _only_whole_addresses(tag: str, name: str, value: str) -> str | None:
    """Drop an address without a scheme: it would lead to some page of this very server."""
    if name == "href" and not value.lower().startswith(_BEGINNINGS):
        return None
    return value


@cache
def _parser() -> Any:
    """Return the parser: HTML in the text is text, images are left as they were written."""
    try:
        import nh3  # noqa: F401
        from markdown_it import MarkdownIt
    except ImportError:
        return None
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False, "maxNesting": 20})
    return parser.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])
