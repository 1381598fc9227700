"""Markdown becomes HTML that is harmless."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import pytest

from flowrunner.playground.markdown import MOST_CHARACTERS, render
from tests.playground.hostile import hostile_texts

_TAGS = {
    "p",
    "br",
    "hr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "blockquote",
    "pre",
    "code",
    "em",
    "strong",
    "s",
    "a",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}


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
        assert (tag, name) in {
            ("a", "href"),
            ("a", "title"),
            ("a", "rel"),
            ("a", "target"),
            ("ol", "start"),
            ("code", "class"),
            ("td", "class"),
            ("th", "class"),
        }
        if tag in ("td", "th"):
            assert value in {"center", "right"}
        elif name == "class":
            assert re.fullmatch(r"formula|language-[\w+#.-]{1,30}", value)
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


@pytest.mark.parametrize(
    "text",
    [
        "[" * 40_000,
        "> " * 20_000,
        "*" * 50_000,
        "`" * 50_000,
        "|" * 50_000,
        "- " * 20_000,
        "$" * 50_000,
        "\\[\n" * 16_000,
        "$$\n" * 16_000,
        "- $$\n" * 10_000,
        "\\(" * 25_000,
    ],
)
def test_texts_made_to_take_long_are_rendered(text):
    assert render(text) is not None


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("$$\\frac{a}{b}$$ and \\(x_1 + x_2 * y*\\)", ["$$\\frac{a}{b}$$", "\\(x_1 + x_2 * y*\\)"]),
        ("so $x_1 * y_2$ and *z*", ["$x_1 * y_2$"]),
        ("sum:\n$$\na_1\n+ b_2\n= c\n$$\nso", ["$$\na_1\n+ b_2\n= c\n$$"]),
        (
            "\\[\n\\begin{aligned} a &< b \\\\ c \\end{aligned}\n\\]",
            ["\\[\n\\begin{aligned} a &< b \\\\ c \\end{aligned}\n\\]"],
        ),
        ("- one\n  $$\n  - x\n  $$", ["$$\n- x\n$$"]),
        ("it costs $5 and $6, or US$ 7", []),
        ("`$x$` and\n\n    $$y$$\n", []),
        ("\\$5 for $x", []),
        ("$$ never ends\n\nnext", []),
    ],
)
def test_formulas_stay_as_they_were_written(text, formulas):
    html = render(text)
    assert [unescape(found) for found in re.findall(r'<code class="formula">([^<]*)</code>', html)] == formulas


def test_code_says_its_language_where_that_is_a_word():
    assert render("```c++ x\na\n```") == '<pre><code class="language-c++">a\n</code></pre>\n'
    assert render('```"><x\na\n```') == "<pre><code>a\n</code></pre>\n"


def test_cells_say_their_side_by_a_class():
    html = render("| a | b | c |\n|:--|:-:|--:|\n| 1 | 2 | 3 |")
    assert re.findall(r"<t[dh](?: [^>]*)?>", html) == [
        "<th>",
        '<th class="center">',
        '<th class="right">',
        "<td>",
        '<td class="center">',
        '<td class="right">',
    ]
    assert "style" not in html
