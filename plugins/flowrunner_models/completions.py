"""Assemble chat completions, whole or in chunks, into a reply."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .failures import (
    ModelAnswerInvalid,
    ModelBroken,
    ModelBusy,
    ModelFailed,
    ModelKeyRefused,
    ModelRefused,
    ModelSaidNothing,
)
from .protocol import Aside, Reply, Usage
from .provider_fields import Opaque, thoughts_in, thoughts_of_content
from .provider_messages import error_in, sentence_in, status_in
from .reasoning import Splitter
from .tool_calls import Calls
from .usage import read_usage

_NO_CHUNK: Final = "the model's stream contains something that is not a chunk"
_NO_MESSAGE: Final = "the model's answer contains no message"
_FILTERED: Final = frozenset(
    {"content_filter", "content_filtered", "safety", "recitation", "prohibited_content", "sensitive", "blocklist"}
)
_TOO_LONG: Final = frozenset({"length", "max_tokens", "model_length", "max_output_tokens", "max_length"})


class Draft:
    """A reply that is being put together."""

    def __init__(self) -> None:
        self._split = Splitter()
        self._said: list[str] = []
        self._thoughts: list[str] = []
        self._refusal: list[str] = []
        self._calls = Calls()
        self._opaque = Opaque()
        self._usage: Usage | None = None
        self.reason = ""

    def take(self, answer: Mapping[str, Any], *, whole: bool) -> Iterator[str | Aside]:
        """Take an answer or a chunk of one; yield the text that it brings.

        :raises ModelFailed: for one that reports a failure.
        :raises AttributeError: for one of another shape; or TypeError.
        """
        error = error_in(answer)
        if error is not None:
            raise failure_of(error)
        self._usage = read_usage(answer.get("usage")) or self._usage
        for choice in answer.get("choices") or ():
            if choice.get("index") not in (None, 0, "0"):
                continue
            message = choice.get("message") if whole else None
            delta = choice.get("delta")
            if not whole and not delta and choice.get("message") and not self._said:
                message = choice["message"]
            yield from self._take_message(message if message is not None else delta or {}, whole=message is not None)
            if isinstance(choice.get("text"), str):
                yield from self._say(choice["text"])
            reason = choice.get("finish_reason")
            self.reason = str(reason) if reason else self.reason

    def close(self) -> Iterator[str | Aside]:
        """Take the end; yield what was held back."""
        yield from self._split.close()

    def reply(self) -> Reply:
        """Return the reply, once all is taken."""
        calls = self._calls.found()
        text, refusal = self._split.text, "".join(self._refusal)
        refused = bool(refusal.strip()) and not text.strip()
        members = self._opaque.members("".join(self._said))
        aloud = [self._split.thoughts, "".join(self._thoughts) or thoughts_in(members)]
        thoughts = "\n\n".join(dict.fromkeys(part.strip() for part in aloud if part.strip()))
        reason = self.reason or ("tool_calls" if calls else "stop")
        return Reply(
            refusal if refused else text,
            calls,
            self._usage,
            "refusal" if refused else reason,
            thoughts,
            refused,
            members,
        )

    def _take_message(self, message: Mapping[str, Any], *, whole: bool) -> Iterator[str | Aside]:
        content = message.get("content")
        self._opaque.add(message)
        if isinstance(content, list):
            self._opaque.add_content(content, whole=whole)
            self._thoughts.append(thoughts_of_content(content))
        text, refusal = text_in(content), message.get("refusal") or refusal_in(content)
        if text:
            yield from self._say(text)
        if isinstance(refusal, str) and refusal:
            self._refusal.append(refusal)
            if not self._said:
                yield refusal
        self._calls.add(message.get("tool_calls"))
        self._calls.add_function(message.get("function_call"))

    def _say(self, text: str) -> Iterator[str | Aside]:
        self._said.append(text)
        yield from self._split.feed(text)


def read_completion(answer: Any) -> Reply:
    """Return the reply in a whole answer.

    :raises ModelAnswerInvalid: if it is none.
    :raises ModelFailed: if it reports a failure.
    """
    draft = Draft()
    try:
        if isinstance(answer, list) and error_in(answer) is None:
            answer = answer[0]
        elif isinstance(answer, list):
            answer = {"error": error_in(answer)}
        for _ in (*draft.take(answer, whole=True), *draft.close()):
            pass
        if not answer.get("choices"):
            raise ModelAnswerInvalid(_NO_MESSAGE)
        if not any(
            isinstance(c.get("message") or c.get("delta") or c.get("text"), (Mapping, str)) for c in answer["choices"]
        ):
            raise ModelAnswerInvalid(_NO_MESSAGE)
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ModelAnswerInvalid(_NO_MESSAGE) from None
    return draft.reply()


class Chunks:
    """Puts the chunks of a streamed answer together."""

    def __init__(self) -> None:
        self._draft = Draft()
        self._done = False

    def read(self, data: str, *, failed: bool = False) -> Iterator[str | Aside]:
        """Take the data of one event; yield the text that it brings, mostly a token.

        :param failed: whether the event says that it is an error.
        :raises ModelFailed: for one that cannot be read, or that reports a failure.
        """
        data = data.strip()
        if not data or self._done:
            return
        if data == "[DONE]":
            self._done = True
            return
        for chunk in _chunks(data, failed=failed):
            if failed:
                raise failure_of(error_in(chunk) or chunk)
            if not isinstance(chunk, Mapping):
                raise ModelAnswerInvalid(_NO_CHUNK)
            try:
                yield from self._draft.take(chunk, whole=False)
            except (AttributeError, TypeError):
                raise ModelAnswerInvalid(_NO_CHUNK) from None

    def close(self) -> Iterator[str | Aside]:
        """Take the end of the stream; yield what was held back.

        :raises ModelAnswerInvalid: if the stream broke off.
        """
        if not self._done and not self._draft.reason:
            raise ModelAnswerInvalid("the model's answer was cut off")
        yield from self._draft.close()

    def reply(self) -> Reply:
        """Return the reply, once the stream is closed."""
        return self._draft.reply()


def why_empty(reply: Reply) -> ModelSaidNothing | None:
    """Return what to say of a reply that has no answer in it; None if it has one."""
    if reply.text.strip() or reply.calls:
        return None
    reason = reply.reason.lower()
    if reason in _FILTERED:
        return ModelSaidNothing(f"the provider's filter withheld the answer ({reply.reason})")
    if reason == "refusal":
        return ModelSaidNothing("the model refused to answer and does not say why")
    if reason in _TOO_LONG:
        so_far = "only thoughts were there" if reply.thoughts else "a word of it was there"
        when = "when" if reply.thoughts else "before"
        return ModelSaidNothing(
            f"the answer reached the token limit {when} {so_far} ({reply.reason}): raise max_tokens"
        )
    if reply.thoughts:
        return ModelSaidNothing(f"the model returned reasoning but no answer (finish reason: {reply.reason})")
    return ModelSaidNothing(f"the model returned an empty answer (finish reason: {reply.reason})")


def failure_of(error: Any) -> ModelFailed:
    """Return what an error within an answer means."""
    status = status_in(error)
    said = sentence_in(error) or "the provider reports an unspecified error"
    details = json.dumps(error, ensure_ascii=False, default=str)[:4000]
    kind: type[ModelFailed] = ModelAnswerInvalid
    if status is not None:
        kind = {401: ModelKeyRefused, 403: ModelKeyRefused, 429: ModelBusy}.get(
            status, ModelBroken if status >= 500 else ModelRefused
        )
    return kind(said, status=status, details=details)


def text_in(content: Any) -> str:
    """Return the text of a content: a text, a list of parts, or one part."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        content = [content]
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    return ""


def refusal_in(content: Any) -> str:
    """Return the refusal among the parts of a content."""
    parts = content if isinstance(content, list) else ()
    said = (p.get("refusal") for p in parts if isinstance(p, Mapping) and p.get("type") == "refusal")
    return "".join(text for text in said if isinstance(text, str))


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and part.get("type", "text") in ("text", "output_text"):
        text = part.get("text")
        return text if isinstance(text, str) else ""
    return ""


def _chunks(data: str, *, failed: bool) -> list[Any]:
    """Return the chunks in the data of an event: one, or one a line where a server parts them so."""
    try:
        return [json.loads(data)]
    except (ValueError, RecursionError):
        pass
    try:
        return [json.loads(line) for line in data.split("\n") if line.strip() and line.strip() != "[DONE]"]
    except (ValueError, RecursionError):
        if failed:
            return [{"error": {"message": data}}]
        raise ModelAnswerInvalid("the model's stream has a line in it that is not JSON") from None
