"""Separate the reasoning that a model writes into its text from its answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .protocol import Aside

#: How thoughts begin and end. Which of them a model uses is a matter of its training.
_PAIRS: Final = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<thoughts>": "</thoughts>",
    "<reasoning>": "</reasoning>",
    "<antthinking>": "</antthinking>",
    "<seed:think>": "</seed:think>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|start_thinking|>": "<|end_thinking|>",
    "<|channel|>analysis<|message|>": "<|end|>",
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
}
#: What some put around the answer that follows their thoughts.
_WRAPPINGS: Final = (
    "<|begin_of_solution|>",
    "<|end_of_solution|>",
    "<|start_response|>",
    "<|end_response|>",
    "<|start_text|>",
    "<|end_text|>",
    "<|start|>assistant",
    "<|channel|>final<|message|>",
    "<|return|>",
)
_ALL: Final = (*_PAIRS, *_PAIRS.values(), *_WRAPPINGS)
#: Ends that may come without a beginning: where the beginning is part of the prompt.
_ALONE: Final = frozenset({"</think>", "</thinking>", "</seed:think>", "<|end_of_thought|>", "[/think]", "◁/think▷"})

_TAG: Final = re.compile("|".join(map(re.escape, sorted(_ALL, key=len, reverse=True))), re.IGNORECASE)
_LONGEST: Final = max(map(len, _ALL))
_PIECE: Final = 4096
_MAY_BEGIN: Final = re.compile(r"[<\[◁]")
_ANYWHERE: Final = re.compile(
    "|".join(f"{re.escape(begin)}.*?(?:{re.escape(end)}|\\Z)" for begin, end in _PAIRS.items()),
    re.IGNORECASE | re.DOTALL,
)


class Splitter:
    """Takes the text of a model as it comes and gives back what is answer.

    A thought begins where a line does, outside of fenced code: a tag that an answer merely mentions
    begins none. An end without a beginning makes a thought of all that came before it.
    """

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._thoughts: list[str] = []
        self._inside: list[str] = []
        self._end = ""
        self._held = ""
        self._line = ""
        self._lead: list[str] = []
        self._fenced = False
        self._mentioned = False

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._shown)

    @property
    def thoughts(self) -> str:
        """The thoughts so far, an empty line between them."""
        parts = [*self._thoughts, "".join(self._inside)]
        return "\n\n".join(part.strip() for part in parts if part.strip())

    def feed(self, piece: str) -> Iterator[str | Aside]:
        """Take a part of the text; yield what is answer."""
        if not self._held and not self._end and self._shown and not _MAY_BEGIN.search(piece):
            yield from self._show(piece)
            return
        # What is held is looked at for each tag; of a long text it must not be all.
        for at in range(0, len(piece), _PIECE):
            self._held += piece[at : at + _PIECE]
            yield from self._work(last=False)

    def close(self) -> Iterator[str | Aside]:
        """Take the end of the text; yield what was held back."""
        yield from self._work(last=True)
        lead = "".join(self._lead)
        self._lead.clear()
        if lead and not self._thoughts:
            self._shown.append(lead)
            yield lead

    def _work(self, *, last: bool) -> Iterator[str | Aside]:
        while self._held:
            if self._end:
                if not self._take_thought(last=last):
                    return
                continue
            found = self._next_tag()
            if found is None:
                keep = 0 if last else _open_end(self._held)
                ready = self._held[: len(self._held) - keep]
                self._held = self._held[len(ready) :]
                yield from self._show(ready)
                return
            before, tag = self._held[: found.start()], found.group().lower()
            self._held = self._held[found.end() :]
            yield from self._show(before)
            if tag in _PAIRS:
                self._end = _PAIRS[tag]
                self._lead.clear()
            elif tag in _ALONE:
                said = self.text
                self._thoughts.append(said)
                self._shown.clear()
                self._line = ""
                self._lead.clear()
                if said:
                    yield Aside(said)

    def _take_thought(self, *, last: bool) -> bool:
        """Move what is held to the thought; say whether it ended."""
        at = self._held.lower().find(self._end)
        if at < 0:
            keep = 0 if last else min(len(self._held), len(self._end) - 1)
            self._inside.append(self._held[: len(self._held) - keep])
            self._held = self._held[len(self._held) - keep :]
            return False
        self._thoughts.append("".join(self._inside) + self._held[:at])
        self._inside.clear()
        self._held = self._held[at + len(self._end) :]
        self._end, self._line = "", ""
        return True

    def _next_tag(self) -> re.Match[str] | None:
        """Return the next tag that counts where it stands."""
        line, fenced, done = self._line, self._fenced, 0
        for match in _TAG.finditer(self._held):
            line, fenced = _follow(line, fenced, self._held[done : match.start()])
            done = match.start()
            tag = match.group().lower()
            self._mentioned = self._mentioned or (tag in _PAIRS and bool(fenced or line.strip()))
            if fenced or line.lstrip().startswith(("```", "~~~")):
                continue
            if tag in _PAIRS:
                if not line.strip():
                    return match
            elif tag in _WRAPPINGS:
                if self._thoughts:
                    return match
            elif tag in _ALONE and not self._thoughts and not self._mentioned and line[-1:] not in ("`", '"', "'", "“"):
                return match
        return None

    def _show(self, text: str) -> Iterator[str]:
        if not text:
            return
        self._line, self._fenced = _follow(self._line, self._fenced, text)
        if not self._shown:
            # Space before the first word is space between a thought and the answer, if there is one.
            if not text.strip():
                self._lead.append(text)
                return
            text = "".join((*self._lead, text))
            self._lead.clear()
            if self._thoughts:
                text = text.lstrip()
        self._shown.append(text)
        yield text


def set_apart(text: str) -> tuple[str, str]:
    """Return the answer in a text, and the thoughts."""
    splitter = Splitter()
    for _ in (*splitter.feed(text), *splitter.close()):
        pass
    return splitter.text, splitter.thoughts


def without_thoughts(text: str) -> str:
    """Return a text without anything that stands between the marks of thoughts, wherever that is."""
    return _ANYWHERE.sub(" ", text)


def _follow(line: str, fenced: bool, text: str) -> tuple[str, bool]:
    """Return the present line, and whether it stands in fenced code, after some more text."""
    *whole, rest = text.split("\n")
    for part in whole:
        line += part
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        line = ""
    line += rest
    # Of a long line only its beginning and its last character matter.
    return (line if len(line) < 64 else line[:32] + line[-1]), fenced


def _open_end(text: str) -> int:
    """Return how many characters at the end may be the beginning of a tag."""
    tail = text[-_LONGEST:].lower()
    for match in _MAY_BEGIN.finditer(tail):
        rest = tail[match.start() :]
        if any(tag.startswith(rest) for tag in _ALL):
            return len(rest)
    return 0
