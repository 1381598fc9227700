"""Adapt to model servers: leave out the parameters that a server has refused, and remember them."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .failures import NOTHING_SAID, ModelFailed, ModelKeyRefused
from .strict_messages import join_roles, only_known_members, rename_system, system_into_question

logger = logging.getLogger("flowrunner")

_MOST_SERVERS: Final = 256

#: Members that a request can do without. The order decides where a refusal names several.
_OPTIONAL: Final = (
    "stream_options",
    "parallel_tool_calls",
    "response_format",
    "tool_choice",
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
    "logit_bias",
    "top_logprobs",
    "logprobs",
    "temperature",
    "top_p",
    "seed",
    "stop",
    "user",
    "n",
    "max_tokens",
    "max_completion_tokens",
)
_LENGTHS: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

#: How a server says that it does not know a parameter, and how it says that a value is wrong, which is the
#: author's to put right.
_REFUSED: Final = re.compile(
    r"unsupported|not\s+(?:currently\s+)?support|unknown|unrecogni[sz]ed|not\s+recogni[sz]ed|unexpected|extra\b|"
    r"not\s+permitted|not\s+allowed|not\s+available|unavailable|not\s+implemented|deprecated|incompatible|"
    r"only\s+the\s+default|invalid\s+(?:parameter|argument|field|request\s+parameter|role)|no\s+such\s+(?:parameter|"
    r"field)|cannot\s+(?:both\s+)?be\s+(?:used|set|specified)|does\s+not\s+(?:accept|take|exist)|not\s+accept|not\s+enabled|"
    r"not\s+a\s+valid\s+(?:parameter|field|role)|not\s+valid|additional\s+propert|forbidden|cannot\s+find\s+field|"
    r"must\s+not\s+be|\bremove\b|is\s+disabled|use\s+.?max_(?:completion_)?tokens|instead",
    re.IGNORECASE,
)
_WRONG_VALUE: Final = re.compile(
    r"between|too\s+(?:large|small|long|high|low)|less\s+than|greater\s+than|at\s+(?:most|least)|maximum|minimum|"
    r"exceed|out\s+of\s+range|\brange\b|[<>]=?\s*-?\d|(?:must|should|has\s+to)\s+be\b(?!\s+(?:omitted|removed|unset|"
    r"empty|null|none|absent|not|1\b))",
    re.IGNORECASE,
)
_ONLY_DEFAULT: Final = re.compile(
    r"only\s+the\s+default|does\s+not\s+support|not\s+supported|unsupported\W+(?:param|field|arg|option|prop)",
    re.IGNORECASE,
)
_ALTERNATE: Final = re.compile(
    r"alternat|consecutive|successive|same\s+role|two\s+\w+\s+messages?\s+in\s+a\s+row|unexpected\s+role|"
    r"(?:first|last)\s+(?:message|turn)\b.*\brole|must\s+(?:start|begin|end)\s+with\s+.*\b(?:user|role)|"
    r"system\s+messages?\s+(?:must|should)\s+(?:be|come)\s+(?:at\s+the\s+)?(?:first|begin|start)",
    re.IGNORECASE | re.DOTALL,
)
_ROLE: Final = re.compile(r"\b(system|developer)\b", re.IGNORECASE)
_ABOUT_ROLES: Final = re.compile(r"\brole|\binstruction|\bmessage|\bprompt", re.IGNORECASE)
_EXTRAS: Final = re.compile(
    r"reasoning|thinking|thought|extra_content|messages\W+\d+\W|message.{0,40}(?:extra|unknown|unexpected)",
    re.IGNORECASE,
)

#: Kinds of errors in front of a bare name, or behind it: ``extra_forbidden: stop``, ``stop: Extra inputs ...``.
_KINDS: Final = (
    r"(?:extra_forbidden|forbidden|unsupported|unknown|unexpected|unrecogni[sz]ed|extra\s+(?:inputs?|fields?)|not\s+supported|"
    r"not\s+permitted|not\s+allowed)"
)

#: Refusals that say nothing: what streams carry besides is the likeliest reason.
_EMPTY_WORDS: Final = re.compile(
    r"(?:bad request|invalid (?:request|parameters?|arguments?|body|input)|unprocessable (?:entity|content)|"
    r"validation error)\.?",
    re.IGNORECASE,
)

#: Habits that change the messages; any other is the name of a member to leave out, or ``a>b`` to rename one.
ALTERNATES: Final = "alternates"
NO_SYSTEM: Final = "no system"
DEVELOPER: Final = "developer"
NO_EXTRAS: Final = "no extras"


class Habits:
    """What is known of servers and their models, the newest 256; each process learns for itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def of(self, server: str, model: str) -> tuple[str, ...]:
        """Return the habits of a server with a model."""
        return self._known.get((server, model), ())

    def remember(self, server: str, model: str, habits: Sequence[str]) -> None:
        """Keep habits that a request was answered with."""
        logger.info("the model %s is called without the parameters its server refuses: %s", model, ", ".join(habits))
        with self._lock:
            known = self._known.pop((server, model), ())
            self._known[server, model] = tuple(dict.fromkeys((*known, *habits)))
            while len(self._known) > _MOST_SERVERS:
                del self._known[next(iter(self._known))]


def lesson_of(failure: ModelFailed, body: Mapping[str, Any]) -> str | None:
    """Return the habit that a failure tells of, if it is one that a request like this can be adapted to."""
    if isinstance(failure, ModelKeyRefused) or failure.status in (402, 429):
        return None
    said = failure.details
    if is_about_roles(said):
        return ALTERNATES
    named = _named(said, body)
    if named is not None:
        return named
    if "stream_options" in body and (said == NOTHING_SAID or _EMPTY_WORDS.fullmatch(str(failure).strip())):
        return "stream_options" if failure.status in (400, 422) else None
    if not _REFUSED.search(said):
        return None
    roles = {role.lower() for role in _ROLE.findall(said)}
    if roles and _ABOUT_ROLES.search(said) and _has_role(body, "system"):
        return DEVELOPER if re.search(r"use\W+developer|developer\W+instead", said, re.IGNORECASE) else NO_SYSTEM
    if _EXTRAS.search(said) and body["messages"] != only_known_members(body["messages"]):
        return NO_EXTRAS
    return None


def is_about_roles(said: str) -> bool:
    """Return whether a failure is about the order of roles, whatever status it comes with."""
    return bool(_ALTERNATE.search(said)) and "role" in said.lower()


def adapt(body: Mapping[str, Any], habits: Iterable[str]) -> dict[str, Any]:
    """Return a request as a server with these habits takes it."""
    found = dict(body)
    for habit in habits:
        if habit == ALTERNATES:
            found["messages"] = join_roles(found["messages"])
        elif habit == NO_SYSTEM:
            found["messages"] = system_into_question(found["messages"])
        elif habit == DEVELOPER:
            found["messages"] = rename_system(found["messages"])
        elif habit == NO_EXTRAS:
            found["messages"] = only_known_members(found["messages"])
        elif ">" in habit:
            old, _, new = habit.partition(">")
            if old in found:
                found[new] = found.pop(old)
        else:
            found.pop(habit, None)
    return found


def _named(said: str, body: Mapping[str, Any]) -> str | None:
    """Return the member of a request that a refusal names, or what to call it instead."""
    places = []
    for name in _OPTIONAL:
        if name not in body or not (match := _mention(name).search(said)):
            continue
        around = said[max(0, match.start() - 120) : match.end() + 160]
        if _REFUSED.search(said) and not (_WRONG_VALUE.search(around) and not _only_default(said)):
            places.append((match.start(), name))
    if not places:
        return None
    name = min(places)[1]
    other = _LENGTHS.get(name)
    if other is not None and other not in body and other in said:
        return f"{name}>{other}"
    return name


def _only_default(said: str) -> bool:
    return bool(_ONLY_DEFAULT.search(said))


def _mention(name: str) -> re.Pattern[str]:
    """Return how a member is named: a plain word only where it stands in quotes or as a path."""
    if name in ("stop", "user", "n", "seed"):
        return re.compile(
            rf"""["'`.\[]{name}["'`\]]|(?:parameter|argument|field|property)s?:?\s+{name}\b|"""
            rf"""\b{name}:? (?:is|parameter)\b|{_KINDS}\s*[:=]\s*{name}\b|"""
            rf"""(?:^|[\s;,(.]){name}\s*:\s*{_KINDS}""",
            re.IGNORECASE,
        )
    return re.compile(rf"(?<![A-Za-z0-9_]){name}(?![A-Za-z0-9_])")


def _has_role(body: Mapping[str, Any], role: str) -> bool:
    return any(message.get("role") == role for message in body["messages"])
