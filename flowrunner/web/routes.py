"""The groups of routes that make up the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from flowrunner.web import (
    apikeys,
    chatbox,
    collections,
    files,
    flows,
    forks,
    memory,
    messages,
    projects,
    responses,
    run,
    runlog,
    runs,
    service,
    sessions,
    traces,
    variables,
    webhook,
)
from flowrunner.web.openapi import route as openapi
from flowrunner.web.route import RouteGroup

#: The routes for running flows and reading conversations, mounted everywhere.
TALKING: Final[tuple[RouteGroup, ...]] = (
    service.health_routes,
    run.routes,
    runs.routes,
    responses.routes,
    messages.routes,
    sessions.routes,
    forks.routes,
    chatbox.routes,
    files.routes,
)

#: Further routes of the stand-alone server, by their names in the setting API; a site can enable them.
MORE: Final[Mapping[str, tuple[RouteGroup, ...]]] = {
    "flows": (flows.routes, projects.routes, projects.older_routes),
    "variables": (variables.routes,),
    "files": (files.own_routes, collections.routes),
    "keys": (apikeys.routes,),
    "monitor": (runlog.routes, traces.routes, memory.routes),
    "webhook": (webhook.routes,),
    "openapi": (service.about_routes, openapi.routes),
}


def groups_of(names: Iterable[str], *, metrics: bool = False) -> tuple[RouteGroup, ...]:
    """Return the route groups with some names, in addition to those that are always mounted.

    :param metrics: whether to include metrics.
    """
    found = [*TALKING, *(group for name in MORE if name in names for group in MORE[name])]
    return (*found, service.metrics_routes) if metrics else tuple(found)
