"""A run over HTTP against the limit: CPU per request under gunicorn, in paired rounds.

    python benchmarks/run.py [--rounds 9] [--requests 300] [--no-run-log]

Budget: at most 1.4 times the limit, the run log being on.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import tempfile
import time

from servers import ROOT, post, serve

PATH = "/api/v1/run/basic-chat"
SLICE = 30
#: Seconds after a round in which the run log is written.
LATER = 1.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--no-run-log", action="store_true")
    parser.add_argument("--memory", default="sqlite")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        env = {
            "FLOWRUNNER_DATA_DIR": ours,
            "FLOWRUNNER_FLOWS_DIR": str(ROOT / "examples" / "flows"),
            "FLOWRUNNER_MEMORY": asked.memory,
            "FLOWRUNNER_RUN_LOG": "false" if asked.no_run_log else "true",
        }
        key = make_key(env)
        limit_env = {"LIMIT_DATA_DIR": theirs, "LIMIT_KEY": key, "PYTHONPATH": str(ROOT / "benchmarks")}
        with serve("wsgi:app", env=env) as runner, serve("limit_app:app", env=limit_env, ready="/") as limit:
            compare(runner, limit, key, asked.rounds, asked.requests)


def make_key(env: dict[str, str], owner: str = "bench") -> str:
    """Return an API key of a fresh data folder."""
    from flowrunner.site.building import load_plugins
    from flowrunner.store.engine import close_database, database_engine
    from flowrunner.store.keys import KeyStore
    from flowrunner.store.tables import SCHEMA

    _, settings = load_plugins(env)
    engine = database_engine(None, settings)
    SCHEMA.ensure(engine)
    keys = KeyStore(engine, settings.data_dir)
    key = keys.create(owner)
    keys.close()
    close_database(None, settings)
    return key


def compare(runner, limit, key: str, rounds: int, requests: int) -> None:
    """Run both in turn and print the ratios of CPU per request."""
    costs: dict[str, list[float]] = {"ours": [], "limit": []}
    connections = {
        name: http.client.HTTPConnection("127.0.0.1", server.port)
        for name, server in (("ours", runner), ("limit", limit))
    }
    servers = {"ours": runner, "limit": limit}
    for number in range(-1, rounds):
        spent = dict.fromkeys(servers, 0.0)
        # Small slices in turn: what else the machine does meets both alike.
        for piece in range(0, requests, SLICE):
            for name in ("ours", "limit") if (number + piece // SLICE) % 2 else ("limit", "ours"):
                before = servers[name].cpu_seconds()
                for turn in range(piece, piece + SLICE):
                    body = {"input_value": "Hello there, how are you?", "session_id": f"s{turn % 20}"}
                    post(connections[name], PATH, body, {"x-api-key": key})
                spent[name] += servers[name].cpu_seconds() - before
        # What is written beside the runs counts as well.
        before = {name: server.cpu_seconds() for name, server in servers.items()}
        time.sleep(LATER)
        for name, server in servers.items():
            spent[name] += server.cpu_seconds() - before[name]
            if number >= 0:
                costs[name].append(spent[name] / requests * 1e6)
    ratios = [a / b for a, b in zip(costs["ours"], costs["limit"], strict=True)]
    for name, values in costs.items():
        print(f"{name:6} CPU per request, µs: min {min(values):.0f}  median {statistics.median(values):.0f}")
    print(f"ratio  min {min(ratios):.2f}  median {statistics.median(ratios):.2f}  max {max(ratios):.2f}  (budget 1.4)")


if __name__ == "__main__":
    main()
