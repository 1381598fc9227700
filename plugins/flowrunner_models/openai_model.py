"""Models behind an OpenAI-compatible server, asked through the ``openai`` SDK."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

from flowrunner import CancelToken, RunCancelled, Tool

from .connections import Connection, Connections
from .failures import (
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
from .protocol import ChatModel, Options, Reply, Turn
from .wire import Chunks, lines_of, read_completion, request_body

_LONGEST_WAIT: Final = 30.0
_AGAIN: Final = (408, 409, 429)
#: Providers that refuse a request with a seed in it.
_WITHOUT_SEED: Final = frozenset({"Mistral", "Anthropic", "Google Generative AI", "Cohere"})


class OpenAIModel(ChatModel):
    """A model of an OpenAI-compatible server.

    :param addresses: looks a host up and refuses private ones; for a server that a request named.
    """

    def __init__(
        self, connections: Connections, *, provider: str, name: str, base_url: str, key: str, options: Options,
        addresses: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:  # fmt: skip
        self.provider, self.name, self.options = provider, name, options
        self._connections = connections
        self._base_url, self._key = base_url, key
        self._addresses = addresses

    def stream(
        self,
        turns: Sequence[Turn],
        *,
        tools: Sequence[Tool] = (),
        schema: Mapping[str, Any] | None = None,
        options: Options | None = None,
        live: bool = True,
        cancelled: CancelToken | None = None,
    ) -> Iterator[str | Reply]:
        """Ask the model; see :class:`ChatModel`. Tries again only while nothing of an answer has come."""
        options = options or self.options
        cancelled = cancelled or CancelToken()
        try:
            yield from self._tries(self._body(turns, tools, schema, options), options, live=live, cancelled=cancelled)
        except ModelRefused:
            # A model that takes no pictures would refuse every question after one that had some.
            rest = without_earlier(turns)
            if rest is None:
                raise
            yield from self._tries(self._body(rest, tools, schema, options), options, live=live, cancelled=cancelled)

    def _body(
        self, turns: Sequence[Turn], tools: Sequence[Tool], schema: Mapping[str, Any] | None, options: Options
    ) -> dict[str, Any]:
        body = request_body(self.name, turns, tools, schema, options)
        if self.provider in _WITHOUT_SEED:
            body.pop("seed", None)
        return body

    def _tries(
        self, body: Mapping[str, Any], options: Options, *, live: bool, cancelled: CancelToken
    ) -> Iterator[str | Reply]:
        for attempt in range(options.retries + 1):
            begun = False
            try:
                for part in self._once(body, options, live=live, cancelled=cancelled):
                    begun = True
                    yield part
                return
            except _TryAgain as again:
                if begun or attempt == options.retries:
                    raise again.failure from again.__cause__
                _wait(cancelled, again.delay if again.delay is not None else _backoff(attempt))

    def _once(self, body: Mapping[str, Any], options: Options, *, live: bool, cancelled: CancelToken) -> Iterator[Any]:
        cancelled.raise_if_set()
        addresses = self._addresses() if self._addresses is not None else None
        with self._connections.use(self._base_url, self._key, addresses=addresses) as connection:
            forget = cancelled.call_when_set(connection.abort)
            try:
                answer = _stream if live else _whole
                # Closed here, not by the collector: the connection must be free when it is given back.
                with closing(answer(connection, body, options)) as parts:
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
            return error
        if isinstance(error, openai.APITimeoutError):
            return _TryAgain(ModelTimedOut(f"{self.provider} did not answer in time"))
        if isinstance(error, openai.APIStatusError):
            return self._refusal(error)
        if isinstance(error, openai.APIConnectionError):
            return _TryAgain(ModelUnreachable(f"{self.provider} cannot be reached at {_host(self._base_url)}"))
        if type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2"):
            if "Timeout" in type(error).__name__:
                return _TryAgain(ModelTimedOut(f"{self.provider} did not answer in time"))
            return _TryAgain(ModelAnswerInvalid(f"the answer of {self.provider} broke off"))
        return error

    def _refusal(self, error: Any) -> Exception:
        status, said = error.status_code, _said(error)
        if status in (401, 403):
            return ModelKeyRefused(said or f"{self.provider} does not accept the API key", status=status)
        if status == 429:
            return _TryAgain(ModelBusy(said or f"{self.provider} takes no more requests", status=429), _delay(error))
        if status >= 500 or status in _AGAIN:
            return _TryAgain(ModelBroken(said or f"{self.provider} failed", status=status), _delay(error))
        return ModelRefused(said or f"{self.provider} answered with status {status}", status=status)


class _TryAgain(Exception):
    """A failure that may pass."""

    def __init__(self, failure: ModelFailed, delay: float | None = None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.delay = delay


def _stream(connection: Connection, body: Mapping[str, Any], options: Options) -> Generator[Any, None, None]:
    """Ask for a stream; its lines are read here, which costs a tenth of what the SDK's objects do."""
    chunks = Chunks()
    completions = connection.client.chat.completions.with_streaming_response
    asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
    with completions.create(**_split(asked), timeout=options.timeout) as response:
        for line in lines_of(response.iter_bytes()):
            text = chunks.read(line)
            if text:
                yield text
    yield chunks.reply()


def _whole(connection: Connection, body: Mapping[str, Any], options: Options) -> Generator[Any, None, None]:
    raw = connection.client.chat.completions.with_raw_response.create(**_split(body), timeout=options.timeout)
    try:
        answer = json.loads(raw.content)
    except ValueError:
        raise ModelAnswerInvalid("the model's answer is no JSON") from None
    reply = read_completion(answer)
    if reply.text:
        yield reply.text
    yield reply


#: Members that the SDK takes by name; others (a server's own) travel beside them.
_KNOWN: Final = frozenset(
    {"model", "messages", "tools", "response_format", "temperature", "top_p", "seed", "max_tokens", "stop", "stream",
     "stream_options", "n", "user", "tool_choice", "parallel_tool_calls", "presence_penalty", "frequency_penalty",
     "max_completion_tokens", "reasoning_effort", "logit_bias", "logprobs", "top_logprobs"}
)  # fmt: skip


def _split(body: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in body.items() if name in _KNOWN}
    other = {name: value for name, value in body.items() if name not in _KNOWN}
    inner = other.pop("extra_body", None)
    if isinstance(inner, Mapping):
        other.update(inner)
    return {**known, "extra_body": other} if other else known


def _said(error: Any) -> str:
    """Return what the provider said, without the SDK's words around it."""
    body = error.body
    message = body.get("message") if isinstance(body, Mapping) else None
    return str(message)[:1000] if message else ""


def _delay(error: Any) -> float | None:
    """Return the seconds that the provider asked to wait, if it did."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return min(_LONGEST_WAIT, max(0.0, float(error.response.headers.get(name)) * unit))
        except (TypeError, ValueError):
            continue
    return None


def _backoff(attempt: int) -> float:
    return float(min(8.0, 0.5 * 2**attempt) * random.uniform(0.75, 1.0))


def _wait(cancelled: CancelToken, seconds: float) -> None:
    if cancelled.wait(seconds):
        cancelled.raise_if_set()


def _host(base_url: str) -> str:
    return base_url.split("://", 1)[-1].split("/", 1)[0].rpartition("@")[2]
