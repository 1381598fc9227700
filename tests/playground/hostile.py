"""Texts that would do harm where they became markup, script, style or an address."""

from __future__ import annotations

_CALL = "window.harmed=1"
_TAGS = (
    "script",
    "img",
    "svg",
    "iframe",
    "object",
    "embed",
    "video",
    "audio",
    "details",
    "body",
    "input",
    "a",
    "style",
    "math",
    "form",
    "button",
    "marquee",
    "select",
    "textarea",
    "keygen",
    "isindex",
    "base",
    "link",
    "meta",
    "template",
    "noscript",
    "title",
    "xmp",
    "plaintext",
    "frameset",
)
_EVENTS = (
    "onerror",
    "onload",
    "onclick",
    "onfocus",
    "onmouseover",
    "ontoggle",
    "onanimationstart",
    "onbegin",
    "onpointerenter",
    "onauxclick",
)
_SCHEMES = (
    "javascript:",
    "JaVaScRiPt:",
    "java\tscript:",
    "\x01javascript:",
    "&#106;avascript:",
    "data:text/html,",
    "vbscript:",
    "blob:",
    "file:///",
    "//evil.test/",
    "jar:",
    "view-source:javascript:",
    "javascript&colon;",
    "%6aavascript:",
)
_SHAPES = (
    '"{0}',
    "'{0}",
    "`{0}`",
    "</{0}",
    "]]>{0}",
    "-->{0}",
    "</script>{0}",
    "</title>{0}",
    "</style>{0}",
    "\\u003c{0}",
    "{{{{{0}}}}}",
    "${{{0}}}",
    "<!--{0}-->",
    "&lt;{0}&gt;",
    "%3C{0}%3E",
    "\u202e{0}",
    "\ufeff{0}",
    "{0}\u2028x",
    "\x00{0}".replace("\x00", "\u0001"),
    "\u0085{0}",
)


def hostile_texts() -> list[str]:
    """Return 200 of them, all different."""
    found = [
        f"<{tag} src=x href='javascript:{_CALL}' {event}={_CALL} autofocus open>{_CALL}</{tag}>"
        for tag in _TAGS
        for event in _EVENTS[:3]
    ]
    found += [f'"><img src=x {event}="{_CALL}">' for event in _EVENTS]
    for scheme in _SCHEMES:
        found += [f"[click]({scheme}{_CALL})", f"<{scheme}{_CALL}>", f"![x]({scheme}{_CALL})", f"{scheme}{_CALL}"]
    found += [shape.format(f"<img src=x onerror={_CALL}>") for shape in _SHAPES]
    found += [
        f"[x]: javascript:{_CALL}\n\n[x]",
        f"```html\n<script>{_CALL}</script>\n```",
        f"| a |\n|---|\n| <img src=x onerror={_CALL}> |",
        f'<a href="javascript:{_CALL}">click</a>',
        f"[a](https://a.test 'x\" onmouseover=\"{_CALL}')",
        "<style>*{display:none}</style>",
        "<link rel=stylesheet href=//evil.test/x.css>",
        "<base href=//evil.test/>",
        "<form id=text><input name=value></form>",
        "<img name=getElementById>",
        "__proto__",
        "constructor",
        "toString",
        "..",
        ".",
        "../../health",
        "a/b//c?d#e%2F",
        "#flow=router&session=x",
        "\u202egnp.exe",
        "𝕏" * 40,
        "a\u0300" * 40,
        "\n\n\n",
        "<" * 200,
        "[" * 200,
    ]
    texts = list(dict.fromkeys(found))
    assert len(texts) >= 200, len(texts)
    return texts[:180] + texts[-20:]
