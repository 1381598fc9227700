"""How long background runs take on each engine: ``python -m benchmarks.engines [runs]``.

A server with two workers accepts runs of ChatInput to ChatOutput, each in a session of its own; then the
engine's workers carry them out. It wants redis-server and the programs of PostgreSQL.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.faults.site import Site
from tests.faults.test_engines import Workers
from tests.postgres_server import PostgresServer, find_programs
from tests.redis_server import RedisServer

FLOW = {
    "components": {"in": {"type": "ChatInput"}, "out": {"type": "ChatOutput"}},
    "edges": ["in.message -> out.input_value"],
}


def measure(name: str, runs: int, settings: dict[str, Any], folder: Path) -> None:
    """Print how many runs a second are accepted, and how many end."""
    folder.mkdir()
    site = Site(folder, {"chat": FLOW}, WORKERS=2, ENGINE=name, **settings)
    site.start()
    workers = None if name == "pool" else Workers(name, site)
    if workers is not None:
        workers.start()
        # One run, so that the workers are up.
        first = site.post("/api/v1/run/chat?background=true", {"input_value": "hi"})
        assert first.status_code == 202
        while site.open_runs():
            time.sleep(0.05)

    def ask(number: int) -> None:
        body = {"input_value": "hi", "session_id": f"s{number}"}
        assert site.post("/api/v1/run/chat?background=true", body).status_code == 202

    try:
        started = time.perf_counter()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(runs)))
        accepted = time.perf_counter() - started
        while site.open_runs():
            time.sleep(0.05)
        ended = time.perf_counter() - started
        print(f"{name}: {runs / accepted:.0f} accepted a second, {runs / ended:.0f} ended a second")
    finally:
        if workers is not None:
            workers.close()
        site.close()


def main() -> None:
    """Measure each engine."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        measure("pool", runs, {}, folder / "pool")
        redis = RedisServer(folder)
        try:
            measure("celery", runs, {"CELERY_BROKER": redis.url}, folder / "celery")
        finally:
            redis.stop()
        programs = find_programs()
        assert programs is not None, "PostgreSQL is not installed"
        server = PostgresServer(programs)
        try:
            url = f"postgresql:///test?host={server.folder}&user=postgres"
            measure("procrastinate", runs, {"PROCRASTINATE_URL": url}, folder / "procrastinate")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
