"""How long a large set of real flow files takes, and how much of it is understood.

    python benchmarks/corpus.py [ARCHIVE]

ARCHIVE is a tar file of flow files; default: ``../shared/corpus/open.tar.xz`` beside the repository.
Prints seconds for reading and for checking, and how many flows have known component types only.
"""

from __future__ import annotations

import collections
import sys
import tarfile
import time
from pathlib import Path

from flowrunner.errors import FlowRunnerError
from flowrunner.flows.check import check_flow
from flowrunner.flows.model import Flow
from flowrunner.flows.reading import read_flows
from flowrunner.plugins import PluginManager
from flowrunner.registry import Registry

DEFAULT = Path(__file__).resolve().parents[1] / ".." / "shared" / "corpus" / "open.tar.xz"


def main() -> None:
    """Measure and print."""
    archive = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    with tarfile.open(archive) as opened:
        files = {m.name: opened.extractfile(m).read() for m in opened if m.isfile()}  # type: ignore[union-attr]
    registry = load_registry()
    started = time.perf_counter()
    flows, failed = read_all(files)
    read = time.perf_counter()
    codes = collections.Counter(f.code for flow in flows for f in check_flow(flow, registry))
    checked = time.perf_counter()
    size = sum(map(len, files.values())) / 1e6
    print(f"{len(files)} files, {size:.1f} MB: {len(flows)} flows read, {len(failed)} files refused")
    print(f"reading {read - started:.2f} s, checking {checked - read:.2f} s, together {checked - started:.2f} s")
    known = [flow for flow in flows if all(registry.component(v.type) for v in flow.vertices)]
    print(f"flows with known types only: {len(known)} of {len(flows)}")
    for name, reason in failed.items():
        print(f"  refused: {name}: {reason}")
    for code, count in codes.most_common():
        print(f"  {code}: {count}")
    missing = collections.Counter(kind for flow in flows for kind in unknown_types(flow, registry))
    print("most wanted types: " + ", ".join(f"{kind} ({count})" for kind, count in missing.most_common(15)))


def load_registry() -> Registry:
    """Return the components that the installed plugins offer."""
    plugins = PluginManager()
    plugins.load_entry_points(keep_going=True)
    plugins.collect_components()
    return plugins.registry


def read_all(files: dict[str, bytes]) -> tuple[list[Flow], dict[str, str]]:
    """Read every file; return the flows, and why files were refused."""
    flows: list[Flow] = []
    failed: dict[str, str] = {}
    for name, data in files.items():
        try:
            flows += read_flows(data, name_hint=Path(name).stem)
        except FlowRunnerError as error:
            failed[name] = error.message
    return flows, failed


def unknown_types(flow: Flow, registry: Registry) -> set[str]:
    """Return the types of a flow that nobody offers."""
    return {vertex.type for vertex in flow.vertices if registry.component(vertex.type) is None}


if __name__ == "__main__":
    main()
