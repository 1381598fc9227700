"""Apps with what an author wrote: plugin objects, and files of a plugins folder."""

from __future__ import annotations

import json
import textwrap

import pytest

from flowrunner.app import create_app, runner_of


@pytest.fixture
def start(tmp_path):
    """Start an app with plugins and flows by name; return its runner."""
    started = []

    def start(*plugins, flows=None, **settings):
        folder = tmp_path / "flows"
        folder.mkdir(exist_ok=True)
        for name, components in (flows or {}).items():
            names = list(components)
            edges = [f"{one} -> {two}" for one, two in zip(names, names[1:], strict=False)]
            flow = {"components": {key: {"type": kind} for key, kind in components.items()}, "edges": edges}
            (folder / f"{name}.json").write_text(json.dumps(flow))
        settings = {"memory": "in-memory", "auth": "none", "data_dir": tmp_path / "data", **settings}
        app = create_app(plugins=plugins, flows_dir=str(folder), **settings)
        started.append(runner_of(app))
        started[-1].app = app
        return started[-1]

    yield start
    for runner in started:
        runner.close()


@pytest.fixture
def plugin_file(tmp_path):
    """Write a file into a plugins folder; return the folder."""

    def write(source, name="mine.py"):
        path = tmp_path / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return tmp_path / "plugins"

    return write
