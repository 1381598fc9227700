"""Markdown becomes HTML that is harmless."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from flowrunner.playground.markdown import MOST_CHARACTERS, render
from tests.playground.hostile import hostile_texts

pytest.importorskip("nh3")
pytest.importorskip("markdown_it")

_TAGS = {"p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em",
         "strong", "s", "a", "table", "thead", "tbody", "tr", "th", "td"}  # fmt: skip


class Seen(HTMLParser):
    """Collects the tags and attributes of HTML."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes = set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]


@pytest.mark.parametrize("text", hostile_texts())
def test_hostile_texts_become_text(text):
    seen = Seen(render(text))
    assert seen.tags <= _TAGS
    for tag, name, value in seen.attributes:
        assert (tag, name) in {("a", "href"), ("a", "title"), ("a", "rel"), ("a", "target"), ("ol", "start")}
        if name == "href":
            assert value.lower().startswith(("https://", "http://", "mailto:"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**bold** and `code`", "<p><strong>bold</strong> and <code>code</code></p>\n"),
        ("a\nb", "<p>a<br>\nb</p>\n"),
        ("~~gone~~", "<p><s>gone</s></p>\n"),
        ("<b>no</b>", "<p>&lt;b&gt;no&lt;/b&gt;</p>\n"),
        ("", ""),
    ],
)
def test_what_people_write(text, shown):
    assert render(text) == shown


def test_links_open_elsewhere_and_tell_nothing():
    shown = render("[there](https://example.org/a?b=c)")
    assert 'rel="noopener noreferrer nofollow"' in shown
    assert 'target="_blank"' in shown


def test_images_are_not_fetched():
    assert "<img" not in render("![a](https://example.org/a.png)")


def test_what_is_too_long_is_shown_as_it_is():
    assert render("x" * (MOST_CHARACTERS + 1)) is None


@pytest.mark.parametrize("text", ["[" * 40_000, "> " * 20_000, "*" * 50_000, "`" * 50_000, "|" * 50_000, "- " * 20_000])
def test_texts_made_to_take_long_are_rendered(text):
    assert render(text) is not None


def test_without_the_extra_texts_are_shown_as_they_are(monkeypatch):
    from flowrunner.playground import markdown

    monkeypatch.setattr(markdown, "_parser", lambda: None)
    assert render("**bold**") is None
    assert not markdown.can_render()
