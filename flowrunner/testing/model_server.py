"""A scripted model server on a loopback port: OpenAI's chat completions and embeddings."""

from __future__ import annotations

import http.server
import json
import re
import select
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from flowrunner.testing.model_script import Call, Cut, Fail, Hang, Malformed, Raw, Say, Step, Write, usual_answer

_USAGE: Final = {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15}


class ModelServer:
    """A fake model server; ``with ModelServer() as server:`` starts and closes it.

    ``url`` is its base URL. ``asked`` collects the request bodies, ``headers`` their headers. ``embedded`` collects
    the texts to embed; texts with words in common get similar vectors. ``left`` counts clients that disconnected
    before they had their answer. The steps passed to :meth:`script` are answered in order; then ``answer(body)``
    decides. With ``raw``, non-ASCII characters are sent unescaped, as many servers do, instead of as ``\\u`` escapes.
    """

    def __init__(
        self, answer: Callable[[Mapping[str, Any]], Step] = usual_answer, *, port: int = 0, raw: bool = False
    ) -> None:
        self.raw = raw
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.embedded: list[str] = []
        self.left = 0
        self.closing = threading.Event()
        self._answer = answer
        self._steps: list[Step] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"stand_in": self})
        self._http = _Server(("127.0.0.1", port), handler)
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> ModelServer:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def script(self, *steps: Step) -> None:
        """Add steps, each the answer to one request."""
        with self._lock:
            self._steps += steps

    def note_left(self) -> None:
        """Count a client that disconnected early."""
        with self._lock:
            self.left += 1

    def next_step(self, body: dict[str, Any], headers: Mapping[str, str]) -> Step:
        """Record a request and return the next step."""
        with self._lock:
            self.asked.append(body)
            self.headers.append({name.lower(): value for name, value in headers.items()})
            return self._steps.pop(0) if self._steps else self._answer(body)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: ModelServer

    def log_message(self, *args: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        self._json(200, {"object": "list", "data": [{"id": "stand-in", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        if self.path.endswith("/embeddings"):
            self._json(200, _vectors(self.stand_in, body))
            return
        step = self.stand_in.next_step(body, dict(self.headers))
        try:
            if isinstance(step, Fail):
                error = {"message": step.message, "type": "stand_in_error", "code": None}
                self._json(step.status, {"error": error}, step.headers)
            elif isinstance(step, Raw):
                body_bytes = step.body if isinstance(step.body, bytes) else step.body.encode()
                self._send(step.status, body_bytes, {"content-type": step.kind})
            elif body.get("stream"):
                self._stream(step, body)
            else:
                self._whole(step, body)
        except (BrokenPipeError, ConnectionResetError):
            self.stand_in.note_left()
            self.close_connection = True

    def _whole(self, step: Step, body: Mapping[str, Any]) -> None:
        if isinstance(step, Hang):
            self._wait_for_leaving()
        elif isinstance(step, Malformed):
            self._send(200, step.text.encode())
        elif isinstance(step, Cut):
            self._head("application/json", length=1000)
            self.wfile.write(b'{"choices": [')
            self._break()
        else:
            self._json(200, _completion(step, body))

    def _stream(self, step: Step, body: Mapping[str, Any]) -> None:
        self._head("text/event-stream")
        base = {"id": "chatcmpl-stand-in", "object": "chat.completion.chunk", "created": 1, "model": body.get("model")}
        if isinstance(step, Malformed):
            self._data(step.text)
            self._data("[DONE]")
            return
        if isinstance(step, Write):
            self._written(base, step)
            return
        self._delta(base, {"role": "assistant", "content": ""})
        reason = "stop"
        if isinstance(step, Call):
            if step.text:
                self._delta(base, {"content": step.text})
            for delta in _call_deltas(step.calls):
                self._delta(base, {"tool_calls": [delta]})
            reason = "tool_calls"
        elif isinstance(step, (Say, Hang, Cut)):
            self._parts(base, step)
            if isinstance(step, Hang):
                self._wait_for_leaving()
                return
            if isinstance(step, Cut):
                self._break()
                return
            reason = step.reason
        self._delta(base, {}, reason)
        asks_usage = (body.get("stream_options") or {}).get("include_usage")
        if asks_usage and getattr(step, "usage", True):
            self._data(json.dumps({**base, "choices": [], "usage": _USAGE}))
        self._data("[DONE]")

    def _written(self, base: Mapping[str, Any], step: Write) -> None:
        for delta in step.deltas or (step.message,):
            self._delta(base, delta)
        if step.reason:
            self._delta(base, {}, step.reason)
        if step.usage is not None:
            self._data(json.dumps({**base, "choices": [], "usage": step.usage}))
        self._data("[DONE]")

    def _parts(self, base: Mapping[str, Any], step: Say | Hang | Cut) -> None:
        gate, pause = getattr(step, "gate", None), getattr(step, "pause", 0.0)
        for number, part in enumerate(step.parts):
            if gate is not None and number == 1:
                self._wait_for_gate(gate)
            if pause:
                time.sleep(pause)
            self._delta(base, {"content": part})

    def _delta(self, base: Mapping[str, Any], delta: Mapping[str, Any], reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        self._data(json.dumps({**base, "choices": [choice]}, ensure_ascii=not self.stand_in.raw))

    def _data(self, text: str) -> None:
        self.wfile.write(f"data: {text}\n\n".encode())
        self.wfile.flush()

    def _head(self, kind: str, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        if length is not None:
            self.send_header("content-length", str(length))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True

    def _json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(body, ensure_ascii=not self.stand_in.raw).encode(), headers)

    def _send(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _break(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _wait_for_gate(self, gate: threading.Event) -> None:
        while not (gate.wait(0.02) or self.stand_in.closing.is_set()):
            if self._is_alone():
                raise BrokenPipeError

    def _wait_for_leaving(self) -> None:
        while not self.stand_in.closing.wait(0.02):
            if self._is_alone():
                raise BrokenPipeError

    def _is_alone(self) -> bool:
        """Return whether the client has disconnected."""
        waiting = select.poll()
        waiting.register(self.connection, select.POLLIN)
        return bool(waiting.poll(0)) and self.connection.recv(1, socket.MSG_PEEK) == b""


def embed_words(text: str, size: int = 256) -> list[float]:
    """Return the vector of a text: each word has its own dimension, so texts with words in common are similar."""
    vector = [0.0] * size
    for word in re.findall(r"\w+", text.lower()):
        vector[zlib.crc32(word.encode("utf-8", "replace")) % size] += 1.0
    return vector if any(vector) else [1e-3] * size


def _vectors(stand_in: ModelServer, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a request for embeddings."""
    given = body.get("input")
    texts = [given] if isinstance(given, str) else list(given or [])
    stand_in.embedded += texts
    data = [
        {"object": "embedding", "index": place, "embedding": embed_words(text, body.get("dimensions") or 256)}
        for place, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return {"object": "list", "model": body.get("model"), "data": data, "usage": usage}


def _call_deltas(calls: Sequence[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Return tool calls as deltas of a stream: the name first, then the arguments in two parts."""
    deltas: list[dict[str, Any]] = []
    for index, (name, arguments) in enumerate(calls):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        half = len(text) // 2
        function = {"name": name, "arguments": ""}
        deltas.append({"index": index, "id": f"call_{index}", "type": "function", "function": function})
        for piece in (text[:half], text[half:]):
            deltas.append({"index": index, "function": {"arguments": piece}})
    return deltas


def _completion(step: Step, body: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    reason = "stop"
    if isinstance(step, Say):
        message["content"], reason = "".join(step.parts), step.reason
    if isinstance(step, Write):
        message, reason = {**message, **step.message}, step.reason
    if isinstance(step, Call):
        reason, message["content"] = "tool_calls", step.text or None
        message["tool_calls"] = [
            {
                "id": f"call_{index}",
                "type": "function",
                "function": {"name": name, "arguments": a if isinstance(a, str) else json.dumps(a)},
            }
            for index, (name, a) in enumerate(step.calls)
        ]
    whole = {
        "id": "chatcmpl-stand-in",
        "object": "chat.completion",
        "created": 1,
        "model": body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": reason or None}],
    }
    if isinstance(step, Write):
        return {**whole, "usage": step.usage}
    return {**whole, "usage": _USAGE} if getattr(step, "usage", True) else whole
