"""A runner with the real plugins and a real store, and a stand-in that answers chats and embeds texts over HTTP."""

from __future__ import annotations

import io

import pytest

from flowrunner.app import create_app, runner_of
from flowrunner.engine.request import RunRequest
from flowrunner.identity import LOCAL_IDENTITY, Identity
from flowrunner.testing.model_server import ModelServer
from tests.engine.rig import FLOW_ID, make_flow
from tests.installed import require

require("numpy", "openai")


class House:
    """Runs flows of vertices and edges written as tuples, for one owner or another."""

    def __init__(self, folder, model, **settings):
        given = {
            "model": "openai:stand-in",
            "embedding": "openai:stand-in",
            "model_base_urls": f"all={model.url}",
            "auth": "none",
            "memory": "in-memory",
            **settings,
        }
        self.app = create_app(data_dir=folder, **{name: value for name, value in given.items() if value is not None})
        self.runner = runner_of(self.app)
        self.model = model

    def run(self, vertices, edges=(), *, owner="local", flow=None, **request):
        made = flow or make_flow(vertices, edges)
        identity = LOCAL_IDENTITY if owner == "local" else Identity(owner)
        return self.runner.execute(made, RunRequest(**{"input_value": "hi", **request}), identity)

    def outputs(self, kind, settings=None, *, output, owner="local", more=(), edges=()):
        """Run one component and return what it gives at an output: it is followed by one that keeps it."""
        vertices = [("it", kind, settings or {}), ("out", "ChatOutput"), *more]
        result = self.run(vertices, [f"it.{output} -> out.input_value", *edges], owner=owner)
        return next(v.outputs[output] for v in result.vertices if v.vertex_id == "it")

    def upload(self, name, data, *, owner="local", flow_id=FLOW_ID):
        """Upload a file and return the name by which flows speak of it."""
        data = data.encode() if isinstance(data, str) else data
        return self.runner.stores.files.save(owner, io.BytesIO(data), name=name, flow_id=flow_id).path

    def vectors(self, owner="local"):
        return self.runner.vectors.for_owner(owner)


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
        one.runner.close()


@pytest.fixture
def house(open_house, model):
    model.embedded.clear()
    model.asked.clear()
    return open_house()
