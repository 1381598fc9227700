"""Start to first answer, and memory of a worker, against an app that imports the same and does nothing.

    python benchmarks/startup.py [--rounds 7]

Budget: at most 1.5 times, both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time

from servers import ROOT, serve


def measure(target: str, env: dict[str, str]) -> tuple[float, float]:
    """Return the seconds until the first answer, and the worker's memory in MB."""
    started = time.perf_counter()
    with serve(target, env=env) as server:
        return time.perf_counter() - started, server.worker_memory()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    seconds: dict[str, list[float]] = {"ours": [], "bare": []}
    memory: dict[str, list[float]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        targets = {
            "ours": ("wsgi:app", {"FLOWRUNNER_DATA_DIR": ours, "FLOWRUNNER_FLOWS_DIR": str(ROOT / "examples/flows")}),
            "bare": ("bare_app:app", {"LIMIT_DATA_DIR": theirs, "PYTHONPATH": str(ROOT / "benchmarks")}),
        }
        for number in range(-1, asked.rounds):
            for name, (target, env) in targets.items():
                took, size = measure(target, env)
                if number >= 0:
                    seconds[name].append(took)
                    memory[name].append(size)
    for what, unit, found in (("start to first answer", "s", seconds), ("memory of a worker", "MB", memory)):
        ratio = statistics.median(a / b for a, b in zip(found["ours"], found["bare"], strict=True))
        middle = {name: statistics.median(values) for name, values in found.items()}
        print(
            f"{what:22} ours {middle['ours']:.2f} {unit}, bare {middle['bare']:.2f} {unit}: ratio {ratio:.2f}"
            " (budget 1.5)"
        )


if __name__ == "__main__":
    main()
