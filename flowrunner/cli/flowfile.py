"""Flow files as command-line arguments."""

from __future__ import annotations

from pathlib import Path

from flowrunner.errors import FlowInvalid
from flowrunner.flows.model import Flow
from flowrunner.flows.reading import read_flows


def is_flow_file(name: str) -> bool:
    """Return whether a name on the command line means a file rather than an id or endpoint name."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def read_flow_file(path: Path) -> Flow:
    """Return the one flow of a file.

    :raises FlowInvalid: if the file cannot be read, or holds no flow or several.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FlowInvalid(f"{path} cannot be read: {error.strerror or error}.") from error
    flows = read_flows(data, name_hint=path.stem, endpoint_hint=path.stem)
    if len(flows) != 1:
        raise FlowInvalid(f"{path} holds {len(flows) or 'no'} flows; choose one by its endpoint name and --flows-dir.")
    return flows[0]
