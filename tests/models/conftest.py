"""An engine with the real plugins, and a stand-in model that the real SDK asks over real HTTP."""

from __future__ import annotations

import pytest

from flowrunner.testing.model_server import ModelServer
from tests.engine.rig import Rig
from tests.installed import require

require("openai")

CHAIN = ["in.message -> model.input_value", "model.text_output -> out.input_value"]


class House(Rig):
    """A rig whose models are the stand-in."""

    def __init__(self, folder, model, *, components=(), **settings):
        given = {"model": "openai:stand-in", "model_base_urls": f"all={model.url}", **settings}
        super().__init__(
            folder, components=components, **{name: value for name, value in given.items() if value is not None}
        )
        self.model = model

    def chat(self, text="hi", *, kind="LanguageModelComponent", settings=None, edges=(), more=(), **request):
        """Run question, model, answer; return the result."""
        output = "response" if "Agent" in kind else "text_output"
        vertices = [("in", "ChatInput"), ("model", kind, settings or {}), ("out", "ChatOutput"), *more]
        chain = ["in.message -> model.input_value", f"model.{output} -> out.input_value", *edges]
        return self.run(vertices, chain, input_value=text, **request)

    def asked(self):
        """Return what the model was asked last: role and content of each message."""
        return [(m["role"], m["content"]) for m in self.model.asked[-1]["messages"]]


@pytest.fixture(scope="package")
def model():
    with ModelServer() as server:
        yield server


@pytest.fixture
def open_house(tmp_path, model):
    opened = []

    def open_one(**settings):
        opened.append(House(tmp_path / str(len(opened)), model, **settings))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def house(open_house):
    return open_house()
