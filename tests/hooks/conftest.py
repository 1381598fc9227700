"""Apps with plugins, on every backend."""

from __future__ import annotations

import json

import pytest

from flowrunner.app import create_app, runner_of

FLOW = {
    "components": {"question": {"type": "ChatInput"}, "answer": {"type": "ChatOutput"}},
    "edges": ["question -> answer"],
}


@pytest.fixture
def start(tmp_path):
    """Start an app with plugins and a flow called ``echo``; return its runner."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "echo.json").write_text(json.dumps(FLOW))
    started = []

    def start(*plugins, config=None, **settings):
        settings = {"memory": "in-memory", "auth": "none", "data_dir": tmp_path / "data", **settings}
        app = create_app(config, plugins=plugins, flows_dir=str(tmp_path / "flows"), **settings)
        started.append(runner_of(app))
        return started[-1]

    yield start
    for runner in started:
        runner.close()
