"""Models on OpenAI-compatible servers, through the ``openai`` SDK."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

from flowrunner import CancelToken, RunCancelled, Tool

from .completions import why_empty
from .connections import Connection, Connections, SdkHeaders
from .events import read_answer
from .failures import (
    NOTHING_SAID,
    ModelAnswerInvalid,
    ModelBroken,
    ModelBusy,
    ModelFailed,
    ModelKeyRefused,
    ModelRefused,
    ModelTimedOut,
    ModelUnreachable,
)
from .pictures import without_earlier
from .protocol import ChatModel, Options, Part, Turn
from .provider_messages import sentence_of, without_key
from .server_quirks import ALTERNATES, Habits, adapt, is_about_roles, lesson_of
from .wire import request_body

_LONGEST_WAIT: Final = 30.0
_AGAIN: Final = (408, 409, 429)
#: Providers that refuse a request with a seed in it.
_WITHOUT_SEED: Final = frozenset({"Mistral", "Anthropic", "Google Generative AI", "Cohere"})

#: Providers that want questions and answers by turns.
_ALTERNATING: Final = frozenset({"Perplexity"})
#: Things that one request is tried without, at most.
_MOST_LESSONS: Final = 6


class OpenAIModel(ChatModel):
    """A model of an OpenAI-compatible server.

    :param addresses: looks a host up and refuses private ones; for a server that the operator did not name.
    :param sdk_headers: which headers out of this server's environment go along.
    :param habits: what is known of servers so far.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        provider: str,
        name: str,
        base_url: str,
        key: str,
        options: Options,
        addresses: Callable[[], Mapping[str, str]] | None = None,
        sdk_headers: SdkHeaders = "none",
        habits: Habits | None = None,
    ) -> None:
        self.provider, self.name, self.options = provider, name, options
        self._connections = connections
        self._base_url, self._key = base_url, key
        self._addresses, self._sdk_headers = addresses, sdk_headers
        self._habits = habits if habits is not None else Habits()

    def stream(
        self,
        turns: Sequence[Turn],
        *,
        tools: Sequence[Tool] = (),
        schema: Mapping[str, Any] | None = None,
        options: Options | None = None,
        live: bool = True,
        cancelled: CancelToken | None = None,
    ) -> Iterator[Part]:
        """Ask the model; see :class:`ChatModel`. Tries again only while nothing of an answer has come."""
        options = options or self.options
        cancelled = CancelToken() if cancelled is None else cancelled
        try:
            body = self._body(turns, tools, schema, options, live=live)
            yield from self._adapted(body, options, cancelled=cancelled)
        except ModelRefused:
            # A model that takes no pictures would refuse every question after one that had some.
            rest = without_earlier(turns)
            if rest is None:
                raise
            body = self._body(rest, tools, schema, options, live=live)
            yield from self._adapted(body, options, cancelled=cancelled)

    def _body(
        self,
        turns: Sequence[Turn],
        tools: Sequence[Tool],
        schema: Mapping[str, Any] | None,
        options: Options,
        *,
        live: bool,
    ) -> dict[str, Any]:
        body = request_body(self.name, turns, tools, schema, options)
        if self.provider in _WITHOUT_SEED:
            body.pop("seed", None)
        if live:
            body.update(stream=True, stream_options={"include_usage": True})
        return body

    def _adapted(self, body: Mapping[str, Any], options: Options, *, cancelled: CancelToken) -> Iterator[Part]:
        """Ask without what this server is known to refuse; what it refuses now is left out of one more try."""
        known = self._habits.of(self._base_url, self.name)
        if self.provider in _ALTERNATING:
            known = (ALTERNATES, *known)
        learned: list[str] = []
        while True:
            asked, begun = adapt(body, [*known, *learned]), False
            try:
                for part in self._tries(asked, options, cancelled=cancelled):
                    begun = True
                    yield part
            except ModelFailed as failure:
                lesson = None if begun or len(learned) >= _MOST_LESSONS else lesson_of(failure, asked)
                if lesson is None or lesson in learned or adapt(asked, [lesson]) == asked:
                    raise
                learned.append(lesson)
                continue
            if learned:
                self._habits.remember(self._base_url, self.name, learned)
            return

    def _tries(self, body: Mapping[str, Any], options: Options, *, cancelled: CancelToken) -> Iterator[Part]:
        for attempt in range(options.retries + 1):
            begun = False
            try:
                for part in self._once(body, options, cancelled=cancelled):
                    begun = True
                    yield part
                return
            except TryAgain as again:
                if begun or attempt == options.retries:
                    raise again.failure from again.__cause__
                again.wait(cancelled, attempt)

    def _once(self, body: Mapping[str, Any], options: Options, *, cancelled: CancelToken) -> Iterator[Part]:
        cancelled.raise_if_set()
        addresses = self._addresses() if self._addresses is not None else None
        used = self._connections.use(self._base_url, self._key, addresses=addresses, sdk_headers=self._sdk_headers)
        with used as connection:
            forget = cancelled.call_when_set(connection.abort)
            try:
                # Closed here, not by the collector: the connection must be free when it is given back.
                with closing(_answer(connection, body, options)) as parts:
                    yield from parts
            except RunCancelled:
                raise
            except Exception as error:
                cancelled.raise_if_set()
                raise self._failure(error) from error
            finally:
                forget()
        cancelled.raise_if_set()

    def _failure(self, error: Exception) -> Exception:
        """Return what an error of the SDK means."""
        import openai

        if isinstance(error, ModelFailed):
            error.args = (without_key(str(error), self._key),)
            passes = isinstance(error, (ModelBusy, ModelBroken)) and not is_about_roles(error.details)
            return TryAgain(error) if passes else error
        if isinstance(error, openai.APITimeoutError):
            return TryAgain(ModelTimedOut(f"{self.provider} did not answer in time"))
        if isinstance(error, openai.APIStatusError):
            return self._refusal(error)
        if isinstance(error, openai.APIConnectionError):
            return TryAgain(ModelUnreachable(f"{self.provider} cannot be reached at {host_of(self._base_url)}"))
        if type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2"):
            if "Timeout" in type(error).__name__:
                return TryAgain(ModelTimedOut(f"{self.provider} did not answer in time"))
            return TryAgain(ModelAnswerInvalid(f"the answer of {self.provider} was cut off"))
        return error

    def _refusal(self, error: Any) -> Exception:
        status, text = error.status_code, _body_of(error)
        said, details = without_key(sentence_of(text), self._key), text[:4000] or NOTHING_SAID
        if status in (401, 403):
            return ModelKeyRefused(said or f"{self.provider} does not accept the API key", status=status)
        if status == 429:
            return TryAgain(ModelBusy(said or f"{self.provider} accepts no more requests", status=429), delay_of(error))
        # Some engines fail with 500 where a template of theirs refuses the order of roles: that does not pass.
        if (status >= 500 and not is_about_roles(details)) or status in _AGAIN:
            failure = ModelBroken(said or f"{self.provider} failed", status=status, details=details)
            return TryAgain(failure, delay_of(error))
        return ModelRefused(said or f"{self.provider} answered with status {status}", status=status, details=details)


class TryAgain(Exception):
    """A failure that may pass."""

    def __init__(self, failure: Exception, delay: float | None = None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.delay = delay

    def wait(self, cancelled: CancelToken, attempt: int) -> None:
        """Wait for as long as the server asked to, else longer with each attempt.

        :raises RunCancelled: if the run was cancelled meanwhile.
        """
        backoff = min(8.0, 0.5 * 2**attempt) * random.uniform(0.75, 1.0)
        if cancelled.wait(backoff if self.delay is None else self.delay):
            cancelled.raise_if_set()


def _answer(connection: Connection, body: Mapping[str, Any], options: Options) -> Generator[Part, None, None]:
    """Ask and read the answer; its bytes are read here, which costs a tenth of what the SDK's objects do."""
    completions = connection.client.chat.completions.with_streaming_response
    with completions.create(**_split(body), timeout=options.timeout) as response:
        reply = yield from read_answer(response.iter_bytes())
    failure = why_empty(reply)
    if failure is not None:
        raise failure
    yield reply


#: Members that the SDK takes by name; others (a server's own) travel beside them.
_KNOWN: Final = frozenset(
    {
        "model",
        "messages",
        "tools",
        "response_format",
        "temperature",
        "top_p",
        "seed",
        "max_tokens",
        "stop",
        "stream",
        "stream_options",
        "n",
        "user",
        "tool_choice",
        "parallel_tool_calls",
        "presence_penalty",
        "frequency_penalty",
        "max_completion_tokens",
        "reasoning_effort",
        "logit_bias",
        "logprobs",
        "top_logprobs",
    }
)


def _split(body: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in body.items() if name in _KNOWN}
    other = {name: value for name, value in body.items() if name not in _KNOWN}
    inner = other.pop("extra_body", None)
    if isinstance(inner, Mapping):
        other.update(inner)
    return {**known, "extra_body": other} if other else known


def _body_of(error: Any) -> str:
    """Return the body of a refusal as the provider sent it."""
    try:
        return str(error.response.text)
    except Exception:
        # It broke off; what the SDK made of it is better than nothing.
        return json.dumps(error.body, default=str) if error.body else ""


def delay_of(error: Any) -> float | None:
    """Return the seconds that the provider asked to wait, if it did."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return min(_LONGEST_WAIT, max(0.0, float(error.response.headers.get(name)) * unit))
        except (TypeError, ValueError):
            continue
    return None


def host_of(base_url: str) -> str:
    """Return host and port of an address, without user and password, path and query."""
    return re.split("[/?#]", base_url.split("://", 1)[-1], maxsplit=1)[0].rpartition("@")[2]
