"""A runner and a flow for commands that run one here, without a server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrunner.cli.suggestions import did_you_mean

if TYPE_CHECKING:
    from flowrunner.flows.model import Flow
    from flowrunner.runner import Runner


def running_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where flows, data and plugins are."""
    for option in (
        click.option("--memory", help="Memory backend."),
        click.option("--plugins-dir", type=click.Path(exists=True, file_okay=False), help="Folder of plugins."),
        click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for the database."),
        click.option("--flows-dir", type=click.Path(exists=True, file_okay=False), help="Folder of flow files."),
    ):
        command = option(command)
    return command


@contextmanager
def open_flow(
    name: str, *, flows_dir: str | None, data_dir: Path | None, plugins_dir: str | None, memory: str | None
) -> Iterator[tuple[Runner, Flow]]:
    """Open a runner for the local user and find a flow: a file, an id or an endpoint name.

    :raises FlowRunnerError: if the runner cannot be opened, or there is no such flow.
    """
    from flowrunner.app import create_app, runner_of
    from flowrunner.cli.flowfile import is_flow_file, read_flow_file

    folders = (flows_dir,) if flows_dir else None
    app = create_app(flows_dir=folders, data_dir=data_dir, plugins_dir=plugins_dir, memory=memory, auth="none")
    runner = runner_of(app)
    log = logging.getLogger("flowrunner")
    log.addFilter(_is_said_elsewhere)
    try:
        yield runner, read_flow_file(Path(name)) if is_flow_file(name) else _find(runner, name)
    finally:
        log.removeFilter(_is_said_elsewhere)
        runner.close()


def _is_said_elsewhere(record: logging.LogRecord) -> bool:
    """Leave out the line about a run that failed: the command itself says so."""
    return not hasattr(record, "run_id")


def _find(runner: Runner, name: str) -> Flow:
    from flowrunner.errors import FlowNotFound
    from flowrunner.identity import LOCAL_IDENTITY

    try:
        return runner.find(name, LOCAL_IDENTITY)
    except FlowNotFound as error:
        names = [one.endpoint_name or one.id for one in runner.library.folders.flows()]
        names += [one.endpoint_name or one.id for one in runner.stores.flows.list(LOCAL_IDENTITY.id)]
        hint = did_you_mean(name, names)
        raise FlowNotFound(f"{error.message.rstrip('.')}; {hint}" if hint else error.message) from None
