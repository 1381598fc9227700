"""Memory of a server: master and two workers together after 1,000 runs (PSS), beside the limit written by hand.

    python benchmarks/pss.py [--runs 1000]

Budget: at most 90 MB. PSS counts a page that several processes share once among them; Linux only.
"""

from __future__ import annotations

import argparse
import http.client
import tempfile
from pathlib import Path

from servers import ROOT, Server, post, serve

KEY = "key-of-the-limit"
SETTINGS = {"FLOWRUNNER_AUTH": "none", "FLOWRUNNER_FLOWS_DIR": str(ROOT / "examples/flows")}


def pss(pid: int) -> float:
    """Return the proportional set size of a process, in MB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this system tells no PSS")


def measure(server: Server, runs: int, headers: dict[str, str]) -> float:
    """Run so many flows, and return what master and workers take together, in MB."""
    for number in range(runs):
        if number % 50 == 0:
            # A new connection now and then, so that both workers get some.
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        body = {"input_value": "Hello", "session_id": f"s{number % 20}"}
        post(connection, "/api/v1/run/basic-chat", body, headers)
    return sum(pss(pid) for pid in server.pids())


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
    print(f"master and two workers after {asked.runs} runs: ours {found:.0f} MB (budget 90), by hand {limit:.0f} MB")


if __name__ == "__main__":
    main()
