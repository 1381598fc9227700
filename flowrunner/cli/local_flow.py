"""A runner and a flow for commands that run one here, without a server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrunner.cli.suggestions import did_you_mean

if TYPE_CHECKING:
    from flowrunner.errors import FlowNotFound
    from flowrunner.flows.model import Flow
    from flowrunner.identity import Identity
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
        yield runner, read_flow_file(Path(name)) if is_flow_file(name) else find_flow(runner, name)
    finally:
        log.removeFilter(_is_said_elsewhere)
        runner.close()


def _is_said_elsewhere(record: logging.LogRecord) -> bool:
    """Leave out the line about a run that failed: the command itself says so."""
    return not hasattr(record, "run_id")


def find_flow(runner: Runner, name: str, identity: Identity | None = None) -> Flow:
    """Find a flow by its id, endpoint name or name.

    :raises FlowNotFound: if there is none, with names and files that are near.
    """
    from flowrunner.errors import FlowNotFound
    from flowrunner.identity import LOCAL_IDENTITY

    who = identity or LOCAL_IDENTITY
    try:
        return runner.find(name, who)
    except FlowNotFound as error:
        flows = [(one.id, one.endpoint_name, one.name) for one in runner.library.folders.flows()]
        flows += [(one.id, one.endpoint_name, one.name) for one in runner.stores.flows.list(who.id)]
        called = [flow_id for flow_id, _, shown in flows if shown == name]
        if len(called) == 1:
            return runner.find(called[0], who)
        names = [known for flow_id, endpoint, shown in flows for known in (endpoint or flow_id, shown)]
        raise not_found(error, name, names) from None


def not_found(error: FlowNotFound, name: str, names: Iterable[str]) -> FlowNotFound:
    """Return the error about a flow that is not there, with names of flows and of files that are near."""
    from flowrunner.cli.flowfiles import files_near
    from flowrunner.errors import FlowNotFound

    hint = did_you_mean(name, [*dict.fromkeys(names), *files_near(Path(name))])
    return FlowNotFound(f"{error.message.rstrip('.')}; {hint}" if hint else error.message)
