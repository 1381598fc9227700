"""Checks of the flows in the flow folders: files that cannot be read or run, and missing components."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from typing import Any

from flowrunner.doctor.finding import Diagnosis, error, warning
from flowrunner.doctor.installation import Installation
from flowrunner.errors import is_interrupt
from flowrunner.flows.check import check_flow
from flowrunner.flows.model import Flow, Vertex
from flowrunner.registry import Registry
from flowrunner.settings.reading import PREFIX


def find_flow_trouble(installation: Installation) -> Iterator[Diagnosis]:
    """Find flow files that cannot be read, and flows that cannot run whole."""
    if installation.plugins is None or installation.settings is None or not installation.settings.flows_dir:
        return
    folders = installation.folders()
    for problem in folders.problems:
        message = f"The flow file {problem.file} cannot be used: {problem.message.rstrip('.')}."
        yield error("flow-unreadable", message, f"flowrunner check {problem.file}")
    allowed = {name for name in installation.settings.variables if os.environ.get(name)}
    for flow in folders.flows():
        yield from _look_at(flow, installation.plugins.registry)
        yield from _missing_packages(flow, installation.plugins.registry)
        yield from _missing_variables(flow, allowed)


def _look_at(flow: Flow, registry: Registry) -> Iterator[Diagnosis]:
    try:
        found = check_flow(flow, registry)
    except BaseException as failure:
        # A plugin's component may stumble over settings that it never expected.
        if is_interrupt(failure):
            raise
        message = f"The flow {flow.name} could not be checked: {type(failure).__name__}."
        yield error("flow-cannot-run", message, "Run flowrunner check FILE for details.")
        return
    errors = [finding for finding in found if finding.level == "error"]
    more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    if errors:
        yield error("flow-cannot-run", f"The flow {flow.name}: {errors[0].message}{more}", _what_to_do(flow))
    elif found:
        yield warning("flow-with-warnings", f"The flow {flow.name}: {found[0].message}{more}", _what_to_do(flow))


def _what_to_do(flow: Flow) -> str:
    return f"Run flowrunner check for details; flowrunner explain {flow.endpoint_name or flow.id} shows what runs."


def _missing_packages(flow: Flow, registry: Registry) -> Iterator[Diagnosis]:
    """Find packages that the flow's components import and that are not installed, each once."""
    wanted: dict[str, tuple[Vertex, str]] = {}
    for vertex in flow.vertices:
        for package, remedy in _packages_of(vertex, registry).items():
            wanted.setdefault(package, (vertex, remedy))
    for package, (vertex, remedy) in wanted.items():
        if importlib.util.find_spec(package) is None:
            message = (
                f"{vertex.shown_name} of the flow {flow.name} needs the package {package}, which is not installed."
            )
            yield error("flow-needs-extra", message, remedy)


def _packages_of(vertex: Vertex, registry: Registry) -> Mapping[str, str]:
    component = registry.component(vertex.type)
    if component is None:
        return {}
    settings: Mapping[str, Any] = {**vertex.hidden, **vertex.settings}
    try:
        return component.packages_for(settings)
    except Exception:  # a setting that says nothing; the check of the flow tells
        return {}


def _missing_variables(flow: Flow, set_here: set[str]) -> Iterator[Diagnosis]:
    """Find variables of a folder's flow that the environment does not give; an owner may have stored one."""
    missing: dict[str, Vertex] = {}
    for vertex in flow.vertices:
        for name in sorted(vertex.variables):
            variable = vertex.settings.get(name)
            if isinstance(variable, str) and variable and variable not in set_here:
                missing.setdefault(variable, vertex)
    for variable, vertex in missing.items():
        message = f"{vertex.shown_name} of the flow {flow.name} reads the variable {variable}, which is not set here."
        remedy = f"Set it and list its name in {PREFIX}VARIABLES, or let each user store a variable of that name."
        yield warning("variable-missing", message, remedy)
