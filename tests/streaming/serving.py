"""Real servers for tests: gunicorn on a port of its own, with a stand-in model behind it."""

from __future__ import annotations

import json
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from flowrunner.site.building import load_plugins
from flowrunner.store.engine import database_engine
from flowrunner.store.keys import KeyStore
from flowrunner.store.tables import SCHEMA
from tests.live_server import ForkedServer

ROOT = Path(__file__).resolve().parents[2]

#: A flow in the native form: a question, a model, an answer.
CHAT = {
    "name": "chat",
    "components": {
        "question": {"type": "ChatInput"},
        "model": {"type": "LanguageModelComponent", "settings": {"system_message": "You are a pirate."}},
        "answer": {"type": "ChatOutput"},
    },
    "edges": ["question.message -> model.input_value", "model.text_output -> answer.input_value"],
}
ECHO = {
    "name": "echo",
    "components": {"question": {"type": "ChatInput"}, "answer": {"type": "ChatOutput"}},
    "edges": ["question.message -> answer.input_value"],
}

_MODEL = {"type": "LanguageModelComponent"}
PROMPT = {
    "name": "prompt",
    "components": {
        "q": {"type": "ChatInput"},
        "m": _MODEL,
        "p": {"type": "Prompt Template", "settings": {"template": "{said}"}},
        "out": {"type": "ChatOutput"},
    },
    "edges": ["q.message -> m.input_value", "m.text_output -> p.said", "p.prompt -> out.input_value"],
}
WRAPPED = {
    **PROMPT,
    "name": "wrapped",
    "components": {
        **PROMPT["components"],
        "p": {"type": "Prompt Template", "settings": {"template": "Answer: {said} -- end"}},
    },
}
ROUTER = {
    "name": "router",
    "components": {
        "q": {"type": "ChatInput"},
        "m": _MODEL,
        "r": {"type": "ConditionalRouter", "settings": {"match_text": "Ahoy", "operator": "starts with"}},
        "yes": {"type": "ChatOutput"},
        "no": {"type": "ChatOutput"},
    },
    "edges": [
        "q.message -> m.input_value",
        "m.text_output -> r.input_text",
        "r.true_result -> yes.input_value",
        "r.false_result -> no.input_value",
    ],
}


class Served:
    """A running server; ``url`` is its root, ``pid`` that of its master, ``key`` an API key."""

    def __init__(self, server, key):
        self.url, self.pid, self.key = server.url, server.pid, key

    def get(self, path, timeout=10):
        request = urllib.request.Request(self.url + path, headers={"x-api-key": self.key})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read())

    def messages(self, session):
        return self.get(f"/api/v1/monitor/messages?session_id={session}")


def make_key(data):
    """Return a fresh API key of an owner."""
    data.mkdir(parents=True, exist_ok=True)
    _, settings = load_plugins({"FLOWRUNNER_DATA_DIR": str(data)})
    engine = database_engine(None, settings)
    try:
        SCHEMA.ensure(engine)
        keys = KeyStore(engine, data)
        try:
            return keys.create("ann")
        finally:
            keys.close()
    finally:
        engine.dispose()


@contextmanager
def serve(folder, model_url, *, workers=1, threads=32, flows=(CHAT, ECHO, PROMPT, WRAPPED, ROUTER), **settings):
    """Serve flows on a free port; several servers on one folder are workers of one site."""
    place = folder / "flows"
    place.mkdir(parents=True, exist_ok=True)
    for flow in flows:
        (place / f"{flow['name']}.json").write_text(json.dumps(flow))
    given = {
        "data_dir": folder / "data",
        "flows_dir": place,
        "model": "openai:stand-in",
        "model_base_urls": f"all={model_url}",
        **settings,
    }
    environment = {f"FLOWRUNNER_{name.upper()}": str(value) for name, value in given.items()}
    key = make_key(folder / "data")
    command = [
        "gunicorn",
        "-b",
        "127.0.0.1:0",
        "-k",
        "gthread",
        "-w",
        str(workers),
        "--threads",
        str(threads),
        "--graceful-timeout",
        "2",
        "wsgi:app",
    ]
    server = ForkedServer(command, environment=environment)
    try:
        yield Served(server.wait_until_ready(), key)
    finally:
        server.close()
