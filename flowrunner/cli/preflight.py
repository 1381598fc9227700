"""Checks of ``flowrunner serve`` before a worker starts: the app, the address, and who may call."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask

from flowrunner.addresses import LOCAL_NAMES, is_loopback
from flowrunner.app import runner_of
from flowrunner.errors import SettingsInvalid
from flowrunner.extension import stand_alone
from flowrunner.runner import Runner
from flowrunner.settings.values import split_address
from flowrunner.site.older_data import notes_on
from flowrunner.telemetry.logs import set_up_logging


@dataclass(frozen=True, slots=True)
class Performance:
    """How the server is to be started: settings for the app of each worker, and what to tell the user.

    ``settings`` are the runner's, by lower-case name. ``memory`` says where conversations are.
    ``flows`` are endpoint names of the folders' flows; ``pages`` the paths of pages for people,
    ``notes`` what the user should know of the data folder.
    """

    host: str
    port: int
    workers: int
    threads: int
    settings: Mapping[str, Any]
    open: bool
    has_keys: bool
    flows: tuple[str, ...]
    folders: tuple[str, ...]
    memory: str
    pages: tuple[str, ...]
    notes: tuple[str, ...]


def rehearse(settings: Mapping[str, Any], *, host: str | None, port: int | None) -> Performance:
    """Build the app once and take it down again, so that what is wrong is said here and not by every worker.

    The workers build their own: a connection or a thread of a plugin does not survive a fork.

    :param settings: the command line's, by lower-case name.
    :param host: the address asked for, None for the setting's.
    :raises FlowRunnerError: in one sentence, why the server cannot start.
    """
    set_up_logging({}, settings)
    if not os.environ.get("FLOWRUNNER_PLAYGROUND"):
        settings = {"playground": True, **settings}
    with _trial(settings) as (app, runner):
        found = runner.settings
        host, port = _address(found.bind, host, port)
        keys = bool(runner.stores.keys.list())
        opened = _is_open(runner, host, keys)
        chosen = {**settings, "auth": "none" if opened else "key"}
        if opened and not found.trusted_hosts:
            chosen["trusted_hosts"] = (*LOCAL_NAMES, f"[{host}]" if ":" in host else host)
        rehearsed = Performance(
            host=host,
            port=port,
            workers=found.workers or 1,
            threads=found.threads,
            settings=chosen,
            open=opened,
            has_keys=keys,
            flows=tuple(flow.endpoint_name or flow.id for flow in runner.library.folders.flows()),
            folders=tuple(found.flows_dir),
            memory=_memory(runner),
            pages=tuple(rule.rule for rule in app.url_map.iter_rules() if rule.rule in ("/playground", "/playground/")),
            notes=(*notes_on(found.data_dir), *_serious_notes(runner)),
        )
    refuse_taken_port(host, port)
    return rehearsed


def _serious_notes(runner: Runner) -> Iterator[str]:
    """Return what is seriously wrong with an installation that starts nevertheless."""
    from flowrunner.doctor import Installation, serious

    for finding in serious(Installation(runner.plugins, runner.settings, data_dir=runner.settings.data_dir)):
        yield f"{finding.message} {finding.remedy}"


def refuse_taken_port(host: str, port: int) -> None:
    """Refuse an address on which this machine cannot listen; gunicorn would try for seconds, then end.

    :raises SettingsInvalid: saying what is wrong with it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SettingsInvalid(
            f"Nothing can listen on {host}, port {port}: {reason}. Choose another address with --host and --port."
        ) from error


@contextmanager
def _trial(settings: Mapping[str, Any]) -> Iterator[tuple[Flask, Runner]]:
    """Build the app, without its warnings: the workers will give them."""
    app = Flask("flowrunner", static_folder=None)
    logging.disable(logging.ERROR)
    try:
        stand_alone(**settings).init_app(app)
        runner = runner_of(app)
        try:
            runner.open()
            yield app, runner
        finally:
            runner.close()
    finally:
        logging.disable(logging.NOTSET)


def _memory(runner: Runner) -> str:
    """Say which backend keeps conversations, and where: as far as it says so itself."""
    memory = runner.memory
    if not (memory.backend.durable or memory.backend.shared):
        return f"{memory.name}, lost when the server stops"
    return f"{memory.name}, in {memory.backend.place}" if memory.backend.place else memory.name


def _address(bind: str, host: str | None, port: int | None) -> tuple[str, int]:
    usual_host, usual_port = split_address(bind)
    return (host or usual_host).strip("[]"), usual_port if port is None else port


def _is_open(runner: Runner, host: str, keys: bool) -> bool:
    """Return whether everybody on this machine is to be the local user.

    :raises SettingsInvalid: where that, or the lack of keys, would let in others or nobody.
    """
    auth, said = runner.settings.auth, runner.settings.sources["AUTH"] != "default"
    if is_loopback(host):
        return auth == "none" or not (said or keys or runner.identify)
    if auth == "none":
        raise SettingsInvalid(
            f"{host} can be reached from other machines and so requires API keys; remove FLOWRUNNER_AUTH=none or --auth"
            " none."
        )
    if not (keys or runner.identify):
        raise SettingsInvalid(
            f"{host} can be reached from other machines and there is no API key yet: create one with"
            " flowrunner keys create --user NAME, or listen on 127.0.0.1."
        )
    return False
