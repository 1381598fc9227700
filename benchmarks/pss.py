"""Memory of a server: master and two workers together after 1,000 runs (PSS), beside the limit written by hand.

    python benchmarks/pss.py [--runs 1000]

Budget: at most 90 MB. PSS counts a page that several processes share once among them, so the pages of files (Python,
libraries) cost less while other programs use them, too; what the processes hold for themselves does not. Linux only.
"""

from __future__ import annotations

import argparse
import http.client
import tempfile
from pathlib import Path
from typing import NamedTuple

from servers import ROOT, Server, post, serve

KEY = "key-of-the-limit"
SETTINGS = {"FLOWRUNNER_AUTH": "none", "FLOWRUNNER_FLOWS_DIR": str(ROOT / "examples/flows")}


class Memory(NamedTuple):
    """What some processes take together, in MB: all of it, and of that what is in no file."""

    whole: float
    own: float

    def __str__(self) -> str:
        return f"{self.whole:.0f} MB ({self.own:.0f} of its own, {self.whole - self.own:.0f} of files)"


def memory_of(pids: list[int]) -> Memory:
    """Return the proportional set size of some processes."""
    found = {"Pss": 0, "Pss_Anon": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in found:
                found[name] += int(value.split()[0])
    if not all(found.values()):
        raise SystemExit("this system tells no PSS")
    return Memory(found["Pss"] / 1024, found["Pss_Anon"] / 1024)


def measure(server: Server, runs: int, headers: dict[str, str]) -> Memory:
    """Run so many flows, and return what master and workers take together."""
    for number in range(runs):
        if number % 50 == 0:
            # A new connection now and then, so that both workers get some.
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        body = {"input_value": "Hello", "session_id": f"s{number % 20}"}
        post(connection, "/api/v1/run/basic-chat", body, headers)
    return memory_of(server.pids())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        with serve("wsgi:app", workers=2, env={**SETTINGS, "FLOWRUNNER_DATA_DIR": ours}) as server:
            found = measure(server, asked.runs, {})
        env = {"LIMIT_DATA_DIR": theirs, "LIMIT_KEY": KEY, "PYTHONPATH": str(ROOT / "benchmarks")}
        with serve("limit_app:app", workers=2, env=env) as server:
            limit = measure(server, asked.runs, {"x-api-key": KEY})
    print(f"master and two workers after {asked.runs} runs: ours {found}, budget 90; by hand {limit}")


if __name__ == "__main__":
    main()
