"""What credentials look like: names of fields that hold them, and their shapes inside text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

#: What stands in place of a short and of a long secret; neither holds anything of it.
MASK: Final = "***REDACTED***"
MASK_LONG: Final = "***R...D***"

_LEAST: Final = 8
_LONG_WORD: Final = 12

_SECRET_NAME: Final = re.compile(
    r"(api[_-]?keys?|passw(or)?ds?|passwd|passphrase|pwd|secrets?|token|credentials?|auth|authorization|bearer"
    r"|cookie|(private|access|secret|signing|encryption|subscription|master|service|account)[_-]?key)$",
    re.IGNORECASE,
)

_NAMES_IN_TEXT: Final = (
    r"(?:api[_-]?key|access[_-]?key(?:[_-]?id)?|private[_-]?key|secret(?:[_-]?key)?|account[_-]?key|token"
    r"|passw(?:or)?d|passwd|passphrase|credentials?|authorization|cookie)"
)
#: Between a name and its value, also within quoted JSON.
_IS: Final = r"\\?[\"']?\s{0,5}[:=]\s{0,5}\\?[\"']?"
_CHARACTER: Final = "[A-Za-z0-9_-]"
_NOT_AFTER: Final = "(?<![A-Za-z0-9_-])"


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape of credentials in text.

    ``words`` are in lower case; a text without any of them is not searched. Each pattern begins
    where no other character of its kind stands, so that a search takes time in line with the text.
    """

    words: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str = MASK


def _prefixed(*prefixes: str, least: int) -> Shape:
    """A token that begins with one of the prefixes."""
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
        ("secret", "token", "passw", "passphrase", "key", "credential", "authorization", "cookie"),
        re.compile(
            f"({_NAMES_IN_TEXT}{_IS})"
            r"(?:(?:bearer|basic|token|digest|apikey)\s{1,5})?[^\s\"'\\&,;<>(){}\[\]]{4,}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    Shape(("key",), re.compile(rf"(\bkey{_IS}){_CHARACTER}{{16,}}", re.IGNORECASE), rf"\1{MASK}"),
    Shape(("bearer",), re.compile(r"\b(bearer\s{1,5})[A-Za-z0-9._~+/=-]{10,}", re.IGNORECASE), rf"\1{MASK}"),
    Shape(("://",), re.compile(r"(://)[^\s/:@\"']{0,256}:[^\s/@\"']{1,256}@"), rf"\1{MASK}@"),
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

#: One of these is in every name that :func:`is_secret_name` knows, and before every value that a name gives away.
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
    "://",
)
_OTHERS: Final = tuple(word for shape in SHAPES for word in shape.words if not any(name in word for name in _NAMES))


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Say whether a field of that name holds a secret: it is, or ends in, a word such as ``api_key`` or ``token``."""
    return _SECRET_NAME.search(name) is not None


def is_suspect(text: str) -> bool:
    """Say whether a text might hold a credential, or the name of one: a quick look, for texts that mostly do not."""
    lower = text.lower()
    if any(map(lower.__contains__, _NAMES)):
        return True
    # All other shapes are long words.
    return max(map(len, lower.split()), default=0) >= _LONG_WORD and any(map(lower.__contains__, _OTHERS))


def mask_text(text: str) -> str:
    """Return a text without what has the shape of a credential."""
    if len(text) < _LEAST:
        return text
    if not is_suspect(text):
        return text
    lower = text.lower()
    for shape in SHAPES:
        if any(map(lower.__contains__, shape.words)):
            text = shape.pattern.sub(shape.replacement, text)
    return text
