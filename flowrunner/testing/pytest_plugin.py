"""pytest fixtures for sites with a runner, found automatically and imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from flowrunner.memory import MemoryBackend
    from flowrunner.site.current import BoundRunner
    from flowrunner.testing.scripted import ScriptedModel


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the ini file and the command line."""
    group = parser.getgroup("flowrunner")
    group.addoption(
        "--flowrunner-update", action="store_true", help="update recorded conversations with the current answers"
    )
    parser.addini("flowrunner_flows", "folder of flow files for the fixture flow_runner, relative to the ini file")


@pytest.fixture
def flow_memory() -> Iterator[MemoryBackend]:
    """A memory backend that keeps conversations in a dict during the test."""
    from flowrunner_in_memory import InMemory

    backend = InMemory()
    yield backend
    backend.close()


@pytest.fixture
def flow_settings() -> dict[str, Any]:
    """Settings for the runner that :func:`flow_runner` creates if there is no fixture ``app``; override it."""
    return {}


@pytest.fixture
def flow_runner(request: pytest.FixtureRequest) -> Iterator[BoundRunner]:
    """The runner of the fixture ``app``, bound to the user ``tester``, within the app context.

    Without a fixture ``app``, or if it has no runner, a new runner with the flows of the ini setting
    ``flowrunner_flows`` and conversations in memory.
    """
    app = _app_of(request)
    if app is None:
        yield from _runner_of_its_own(request)
        return
    from flowrunner.site.current import get_runner

    with app.app_context():
        yield get_runner(app=app).acting_as("tester")


@pytest.fixture
def scripted_model(monkeypatch: pytest.MonkeyPatch) -> ScriptedModel:
    """A scripted model that replaces all models of flows; the test sets its answers."""
    from flowrunner.testing.scripted import ScriptedModel, replace_models

    scripted = ScriptedModel()
    replace_models(scripted, monkeypatch)
    return scripted


@pytest.fixture
def replay_conversation(request: pytest.FixtureRequest, flow_runner: BoundRunner) -> Callable[..., None]:
    """A function that replays a recorded conversation, and fails the test if anything differs.

    Call ``replay_conversation(path)``, or ``replay_conversation(path, flow, *says)``, which records the conversation
    if the file does not exist. With ``--flowrunner-update`` the file is updated. Paths are relative to pytest's root
    folder.
    """
    from flowrunner.testing.conversations import load, record, replay, save
    from flowrunner.testing.differences import find_differences, show_differences

    def replay_it(path: str | Path, flow: str | None = None, *says: str) -> None:
        place, runner = request.config.rootpath / path, flow_runner.runner
        if flow is not None and not place.exists():
            save(record(runner, flow, says), place)
        recorded = load(place)
        now = replay(runner, recorded)
        if request.config.getoption("flowrunner_update"):
            save(now, place)
            return
        found = find_differences(recorded, now)
        if found:
            pytest.fail(show_differences(str(path), found), pytrace=False)

    return replay_it


def _app_of(request: pytest.FixtureRequest) -> Any:
    """Return the app of the site, if it has a runner."""
    try:
        app = request.getfixturevalue("app")
    except pytest.FixtureLookupError:
        return None
    return app if getattr(app, "extensions", {}).get("flowrunner") else None


def _runner_of_its_own(request: pytest.FixtureRequest) -> Iterator[BoundRunner]:
    from flowrunner.app import create_app
    from flowrunner.site.current import get_runner

    settings: dict[str, Any] = {
        "data_dir": request.getfixturevalue("tmp_path"),
        "memory": request.getfixturevalue("flow_memory"),
        "auth": "none",
        "run_log": False,
        **request.getfixturevalue("flow_settings"),
    }
    folder = request.config.getini("flowrunner_flows")
    if folder and "flows_dir" not in settings:
        settings["flows_dir"] = str(request.config.rootpath / folder)
    app = create_app(**settings)
    bound = get_runner(app=app)
    with app.app_context():
        yield bound.acting_as("tester")
    bound.runner.close()
