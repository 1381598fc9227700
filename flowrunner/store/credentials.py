"""Recognize credentials: by the names of fields, and by patterns in text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

#: The replacements of short and long secrets; neither contains a part of the secret.
MASK: Final = "***REDACTED***"
MASK_LONG: Final = "***R...D***"

_LEAST: Final = 8
_LONG_WORD: Final = 12

_FIELD_NAMES: Final = (
    r"(?:api[_-]?keys?|passw(?:or)?ds?|passwd|passphrase|pwd|secrets?|token|credentials?|auth|authorization|bearer"
    r"|cookie|(?:private|access|secret|signing|encryption|subscription|master|service|account)[_-]?key)"
)
_SECRET_NAME: Final = re.compile(f"{_FIELD_NAMES}$", re.IGNORECASE)

_NAMES_IN_TEXT: Final = (
    r"(?:api[_-]?key|access[_-]?key(?:[_-]?id)?|private[_-]?key|secret(?:[_-]?key)?|account[_-]?key|token"
    r"|passw(?:or)?d|passwd|passphrase|credentials?|authorization|cookie|pwd(?!\\{0,7}[\"']?\s{0,5}[:=]\s{0,5}[\"']?[/~]))"
)
#: The separator between a name and its value, also inside quoted JSON.
_EQUALS: Final = r"\\{0,7}[\"']?\s{0,5}[:=]\s{0,5}"
_IS: Final = rf"{_EQUALS}\\?[\"']?"
#: The members of a row that hold a name, and those that hold its value.
LABELS: Final = ("key", "name", "header", "Key", "Name", "Header")
VALUES: Final = ("value", "Value")
_LONGEST_LABEL: Final = 64
_RANDOM: Final = re.compile(r"(?=[^\d\s]*\d)(?=[^A-Za-z\s]*[A-Za-z])\S+")
_CHARACTER: Final = "[A-Za-z0-9_-]"
_NOT_AFTER: Final = "(?<![A-Za-z0-9_-])"


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern of credentials in text.

    ``words`` are lower-case words; a text with none of them is not searched. A pattern starts only at a boundary, so
    a search takes linear time. ``named`` marks a pattern that recognizes a credential by the name before it.
    """

    words: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str = MASK
    named: bool = False


def _prefixed(*prefixes: str, least: int) -> Shape:
    """Return the shape of tokens that begin with one of some prefixes."""
    pattern = f"{_NOT_AFTER}(?:{'|'.join(prefixes)}){_CHARACTER}{{{least},}}"
    return Shape(tuple(prefix.lower() for prefix in prefixes), re.compile(pattern))


SHAPES: Final = (
    Shape(
        ("private key",),
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
        ),
    ),
    Shape(
        ("cookie", "authorization"),
        re.compile(
            r"((?:cookie[ \t]{0,5}:|authorization[ \t]{0,5}:[ \t]{0,5}digest[ \t])[ \t]{0,5})[^\r\n]{4,}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
        named=True,
    ),
    Shape(
        ("curl",),
        re.compile(
            r"((?<!\S)(?:-u|-U|--user|--proxy-user)[ =]{0,2})"
            r"(?:\"[^\":]{1,128}:[^\"]{1,256}\"|'[^':]{1,128}:[^']{1,256}'|[^\s:\"']{1,128}:[^\s\"']{1,256})"
        ),
        rf"\1{MASK}",
    ),
    Shape(
        ("tokens",),
        re.compile(rf"(tokens{_IS})(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z]){_CHARACTER}{{8,}}", re.IGNORECASE),
        rf"\1{MASK}",
        named=True,
    ),
    Shape(
        ("secret", "token", "passw", "pwd", "passphrase", "key", "credential", "authorization", "cookie"),
        re.compile(
            f"({_NAMES_IN_TEXT}{_IS})"
            r"(?:(?:bearer|basic|token|digest|apikey)\s{1,5})?[^\s\"'\\&,;<>(){}\[\]]{4,}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
        named=True,
    ),
    Shape(("key",), re.compile(rf"(\bkey{_IS}){_CHARACTER}{{16,}}", re.IGNORECASE), rf"\1{MASK}", True),
    Shape(("bearer",), re.compile(r"\b(bearer\s{1,5})[A-Za-z0-9._~+/=-]{10,}", re.IGNORECASE), rf"\1{MASK}"),
    Shape(("://",), re.compile(r"(://)[^\s/:@\"']{0,256}:[^\s/\"']{1,256}@"), rf"\1{MASK}@"),
    Shape(("eyj",), re.compile(rf"{_NOT_AFTER}eyJ{_CHARACTER}{{8,}}\.{_CHARACTER}{{4,}}(?:\.{_CHARACTER}*)?")),
    _prefixed("sk-", "pk-", "rk-", "fr-", least=10),
    _prefixed("sk_live_", "sk_test_", "pk_live_", "pk_test_", "rk_live_", "rk_test_", "whsec_", least=8),
    _prefixed("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", least=16),
    _prefixed("xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-", "xapp-", least=10),
    _prefixed("hf_", "gsk_", "xai-", "r8_", "nvapi-", "tvly-", "lin_api_", "npm_", "pypi-", "dop_v1_", least=16),
    _prefixed("shpat_", "shpss_", "shpca_", "shppa_", least=16),
    _prefixed("AKIA", "ASIA", "AROA", "AIDA", least=16),
    _prefixed("AIza", least=30),
    Shape(("ya29.",), re.compile(rf"{_NOT_AFTER}ya29\.{_CHARACTER}{{20,}}")),
    Shape(("sg.",), re.compile(rf"{_NOT_AFTER}SG\.{_CHARACTER}{{16,}}\.{_CHARACTER}{{16,}}")),
    Shape((":aa",), re.compile(rf"\b\d{{8,10}}:AA{_CHARACTER}{{32,}}")),
    Shape(
        ("hooks.slack.com/", "/api/webhooks/"),
        re.compile(r"(hooks\.slack\.com/|/api/webhooks/)[\w/-]{16,}"),
        rf"\1{MASK}",
    ),
)

#: Every name that :func:`is_secret_name` recognizes contains one of these.
_NAMES: Final = (
    "key",
    "token",
    "secret",
    "passw",
    "passphrase",
    "pwd",
    "auth",
    "credential",
    "cookie",
    "bearer",
    "curl",
    "://",
)
_OTHERS: Final = tuple(word for shape in SHAPES for word in shape.words if not any(name in word for name in _NAMES))


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Return whether a field name is or ends in a name for secrets, such as ``api_key`` or ``token``."""
    return _SECRET_NAME.search(name) is not None


def secret_member(row: Mapping[Any, Any]) -> str | None:
    """Return the key of the member of a row that is secret because of the name beside it, or None.

    Headers and variables are often rows such as ``{"key": "X-Api-Key", "value": "..."}``.
    """
    for word in VALUES:
        if word in row:
            return word if any(_is_label(row.get(label)) for label in LABELS) else None
    return None


def is_secret_pair(row: Sequence[Any]) -> bool:
    """Return whether the second of two texts is secret because the first is its name; two names are not such a pair."""
    return len(row) == 2 and type(row[1]) is str and _is_label(row[0]) and not _is_name(row[1])


def _is_label(value: Any) -> bool:
    return type(value) is str and len(value) <= _LONGEST_LABEL and is_secret_name(value.strip())


def _is_name(text: str) -> bool:
    return text.replace("_", "").replace("-", "").isalpha() and _is_label(text)


def looks_random(text: str) -> bool:
    """Return whether a text is one long word of letters and digits, as access tokens are, and not a number."""
    return len(text) >= _LEAST and _RANDOM.fullmatch(text) is not None


def is_suspect(text: str) -> bool:
    """Return whether a text might contain a credential or the name of one: a quick check, since most texts do not."""
    lower = text.lower()
    if any(map(lower.__contains__, _NAMES)):
        return True
    # All other shapes are long words.
    return max(map(len, lower.split()), default=0) >= _LONG_WORD and any(map(lower.__contains__, _OTHERS))


def mask_text(text: str) -> str:
    """Return a text with everything that looks like a credential masked."""
    if len(text) < _LEAST:
        return text
    if not is_suspect(text):
        return text
    text = _mask_quoted(text)
    lower = text.lower()
    for shape in SHAPES:
        if any(map(lower.__contains__, shape.words)):
            text = shape.pattern.sub(shape.replacement, text)
    return text


def mask_code(text: str) -> str:
    """Return code with literals that are credentials masked; names and calls are kept, so that it remains code."""
    if not is_suspect(text):
        return text
    text = _mask_quoted(text)
    lower = text.lower()
    for shape in SHAPES:
        if not shape.named and any(map(lower.__contains__, shape.words)):
            text = shape.pattern.sub(shape.replacement, text)
    return text


_QUOTE: Final = r"(?P<escapes>\\{0,7})(?P<quote>[\"'])"
_ANY_QUOTE: Final = r"\\{0,7}[\"']"
_COMMA: Final = r"\s{0,5},\s{0,5}"
_LABEL: Final = rf"{_ANY_QUOTE}[^\"'\\]{{0,64}}?{_FIELD_NAMES}{_ANY_QUOTE}"
#: The text before a quoted secret: its name, the name and value members of a row, or the first item of a pair.
_BEFORE_QUOTED: Final = re.compile(
    rf"(?:{_NAMES_IN_TEXT}{_EQUALS}"
    rf"|{_ANY_QUOTE}(?:key|name|header){_EQUALS}{_LABEL}{_COMMA}{_ANY_QUOTE}value{_EQUALS}"
    rf"|(?P<pair>[\[(]\s{{0,5}}){_LABEL}{_COMMA}){_QUOTE}",
    re.IGNORECASE,
)
_PAIR_ENDS: Final = re.compile(r"\\{0,7}[\"']\s{0,5}[\])]")
_LEAST_QUOTED: Final = 4


def _mask_quoted(text: str) -> str:
    """Mask quoted values that are secret because of the name before them, up to the closing quote."""
    parts, done, place = [], 0, 0
    while (found := _BEFORE_QUOTED.search(text, place)) is not None:
        place = start = found.end()
        end = _end_of_quoted(text, start, found["quote"], len(found["escapes"]))
        if end - start < _LEAST_QUOTED:
            continue
        if found["pair"] and (_is_name(text[start:end]) or not _PAIR_ENDS.match(text, end)):
            continue
        parts += [text[done:start], MASK]
        place = done = end
    return "".join(parts) + text[done:]


def _end_of_quoted(text: str, start: int, quote: str, escapes: int) -> int:
    """Return the position where a quoted text ends, or the end of the text if no quote closes it.

    In JSON inside JSON, quotes are escaped with backslashes, and quotes inside the value with more of them.
    """
    place = text.find(quote, start)
    while place >= 0:
        first = place
        while first > start and text[first - 1] == "\\":
            first -= 1
        run = place - first
        if run >= escapes and (run - escapes) % (2 * (escapes + 1)) == 0:
            return place - escapes
        place = text.find(quote, place + 1)
    return len(text)
