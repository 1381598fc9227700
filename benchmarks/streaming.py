"""What a streamed reply costs over the model's own: time to the first token, and CPU time a token.

    python benchmarks/streaming.py [ROUNDS]

A stand-in model says 400 tokens. It is asked directly, through a bare Flask view that relays the
stream, and through a flow (line form and server-sent events), in turn, under the same gunicorn.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers import free_port, serve

ROOT = Path(__file__).resolve().parents[1]
TOKENS = 400
FLOW = {
    "name": "chat",
    "components": {
        "question": {"type": "ChatInput"},
        "model": {"type": "LanguageModelComponent"},
        "answer": {"type": "ChatOutput"},
    },
    "edges": ["question.message -> model.input_value", "model.text_output -> answer.input_value"],
}


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder, running_model() as url:
        flows = Path(folder) / "flows"
        flows.mkdir()
        (flows / "chat.json").write_text(json.dumps(FLOW))
        ours = {
            "FLOWRUNNER_DATA_DIR": folder,
            "FLOWRUNNER_FLOWS_DIR": str(flows),
            "FLOWRUNNER_AUTH": "none",
            "FLOWRUNNER_MODEL": "openai:stand-in",
            "FLOWRUNNER_MODEL_BASE_URLS": f"all={url}",
        }
        with (
            serve("wsgi:app", env=ours) as flowrunner,
            serve("relay_app:app", env={"MODEL_URL": url, "PYTHONPATH": str(ROOT / "benchmarks")}) as bare,
        ):
            ways = {
                "the model itself": (None, int(url.split(":")[2].split("/")[0]), "/v1/chat/completions"),
                "bare Flask view": (bare, bare.port, "/relay"),
                "flow, line form": (flowrunner, flowrunner.port, "/api/v1/run/chat?stream=true"),
                "flow, SSE": (flowrunner, flowrunner.port, "/api/v1/run/chat?stream=sse"),
            }
            measured = {name: [] for name in ways}
            for number in range(rounds + 2):
                for name, (server, port, path) in ways.items():
                    found = ask(server, port, path, f"{name}-{number}")
                    if number > 1:
                        measured[name].append(found)
            show(measured)


def ask(server, port: int, path: str, session: str) -> tuple[float, float, float]:
    """Return seconds to the first token, seconds in all, and CPU seconds of the server."""
    before = server.cpu_seconds() if server else 0.0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = {"input_value": "hi", "session_id": session, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    started = time.perf_counter()
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    first, seen = 0.0, b""
    while piece := answer.read1(65536):
        if not first:
            seen += piece
            if b"word0" in seen:
                first = time.perf_counter() - started
    whole = time.perf_counter() - started
    connection.close()
    return first, whole, (server.cpu_seconds() if server else 0.0) - before


def show(measured: dict[str, list[tuple[float, float, float]]]) -> None:
    """Print medians, and what is above the limit."""
    firsts = {name: statistics.median(r[0] for r in rows) for name, rows in measured.items()}
    wholes = {name: statistics.median(r[1] for r in rows) for name, rows in measured.items()}
    # A clock tick is longer than most replies, so CPU time is taken over all rounds.
    cpu = {name: sum(r[2] for r in rows) / len(rows) / TOKENS for name, rows in measured.items()}
    own = firsts["the model itself"]
    print(f"{'':20}{'first token':>14}{'over its own':>14}{'whole reply':>14}{'CPU a token':>14}")
    for name in measured:
        shown = f"{cpu[name] * 1e6:.0f} us" if cpu[name] else ""
        print(
            f"{name:20}{firsts[name] * 1000:>11.1f} ms{(firsts[name] - own) * 1000:>11.1f} ms"
            f"{wholes[name] * 1000:>11.1f} ms{shown:>14}"
        )


@contextmanager
def running_model() -> Iterator[str]:
    """Run the stand-in in a process of its own, so that it does not share our interpreter."""
    port = free_port()
    code = (
        "import threading\n"
        "from flowrunner.testing.model_script import say\n"
        "from flowrunner.testing.model_server import ModelServer\n"
        f"words = [f'word{{n}} ' for n in range({TOKENS})]\n"
        f"with ModelServer(lambda body: say(*words), port={port}):\n"
        "    threading.Event().wait()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/v1/models")
                connection.getresponse().read()
                connection.close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=10)


if __name__ == "__main__":
    main()
