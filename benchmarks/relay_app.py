"""The limit of a streamed reply: a bare Flask view that hands a model's stream on, token by token."""

from __future__ import annotations

import json
import os
import urllib.request

from flask import Flask, Response, request

app = Flask(__name__)


@app.get("/health")
def health() -> str:
    """Say that it is there."""
    return "ok"


@app.post("/relay")
def relay() -> Response:
    """Ask the model and yield a line a token."""
    said = request.get_json()
    body = {
        "model": "stand-in",
        "messages": [{"role": "user", "content": said["input_value"]}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    asked = urllib.request.Request(
        os.environ["MODEL_URL"] + "/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )

    def lines():
        with urllib.request.urlopen(asked) as answer:
            for line in answer:
                if line.startswith(b"data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        text = choice["delta"].get("content")
                        if text:
                            yield json.dumps({"event": "token", "data": {"chunk": text}}) + "\n\n"

    return Response(lines(), content_type="text/event-stream")
