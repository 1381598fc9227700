"""What the monitor API costs as conversations grow, and what the run log costs: ``python benchmarks/monitor.py``.

Requests go through the whole app, without a socket. Sizes and settings are compared in one run,
call by call, because absolute times are the machine's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from memory import fill, folder_for, median_times

from flowrunner.app import create_app, runner_of
from flowrunner.memory import EVERY_OWNER

FLOW = "5f0c1f38-6e3c-4a55-9d3e-0c7a3d7f3c11"
MESSAGES = "/api/v1/monitor/messages"
ECHO = {
    "name": "echo",
    "components": {"in": {"type": "ChatInput"}, "out": {"type": "ChatOutput"}},
    "edges": ["in.message -> out.input_value"],
}


def open_app(opened: ExitStack, base: Path | None, **settings: Any) -> Any:
    """Open an app on an empty folder; it is closed with the stack."""
    folder = opened.enter_context(folder_for(base))
    app = create_app(data_dir=folder, auth="none", log_level="WARNING", **settings)
    opened.callback(runner_of(app).close)
    return app


def read(client: Any, path: str) -> Any:
    """Send a request, which must succeed, and return the answer."""
    answer = client.get(path)
    if answer.status_code != 200:
        raise SystemExit(f"{path}: {answer.status_code} {answer.get_data(as_text=True)[:200]}")
    return answer


def send(client: Any, body: dict[str, Any]) -> Any:
    """Ask for a part of the preview of a purge, which must succeed."""
    answer = client.post("/api/v1/memory/purge/preview", json=body)
    if answer.status_code != 200:
        raise SystemExit(answer.get_data(as_text=True)[:200])
    return answer


def requests_of(opened: ExitStack, base: Path | None, memory: str, rows: int) -> dict[str, Callable[[int], object]]:
    """Fill a store and return what is measured on it, by name."""
    app = open_app(opened, base, memory=memory, run_log=False)
    backend = runner_of(app).memory.backend
    started = time.perf_counter()
    fill(backend, rows)
    index = getattr(backend, "_index", None)
    if index is not None:
        runner_of(app).memory.for_owner(EVERY_OWNER).fetch(text="zebra", limit=1)
        index.catch_up(rows)
    print(f"{memory}: {rows:,} messages stored in {time.perf_counter() - started:.0f} s", flush=True)
    client = app.test_client()
    middle = read(client, f"{MESSAGES}?limit=1&session_id=session-{rows // 100}").get_json()[0]["id"]
    following = read(client, f"{MESSAGES}/sessions?view=summary&limit=50").headers["X-Next-Cursor"]
    paths = {
        "messages, first page": f"{MESSAGES}?limit=100",
        "messages of a flow": f"{MESSAGES}?limit=100&flow_id={FLOW}",
        "messages of a session": f"{MESSAGES}?limit=100&session_id=session-7",
        "messages, a page by cursor": f"{MESSAGES}?limit=100&cursor={middle}",
        "sessions, ids": f"{MESSAGES}/sessions?limit=50",
        "sessions, summaries": f"{MESSAGES}/sessions?view=summary&limit=50",
        "sessions, next by cursor": f"{MESSAGES}/sessions?view=summary&limit=50&cursor={following}",
        "search, newest 20": f"{MESSAGES}?q=zebra&limit=20",
        "search, two words": f"{MESSAGES}?q=zebra+LAZY&limit=20",
        "search that finds nothing": f"{MESSAGES}?q=unheardof&limit=20",
        "facts of the memory page": "/api/v1/memory",
    }
    preview = {"rules": "age=36500d newest=100000"}
    asked: dict[str, Callable[[int], object]] = {"a part of a purge's preview": lambda n: send(client, preview)}
    return asked | {name: lambda n, path=path: read(client, path) for name, path in paths.items()}


def compare_sizes(base: Path | None, memory: str, sizes: list[int], calls: int) -> None:
    """Print the time of each request at each size, and as a multiple of that at the first."""
    with ExitStack() as opened:
        stores = [requests_of(opened, base, memory, rows) for rows in sizes]
        print(f"\nMedian of {calls} calls in ms, and as a multiple of that at {sizes[0]:,}; the budget is 1.5 x\n")
        for name in stores[0]:
            times = median_times([store[name] for store in stores], calls)
            print(f"  {name:28}" + "".join(f"{t * 1e3:10.2f} ({t / times[0]:5.2f} x)" for t in times), flush=True)


def compare_run_log(base: Path | None, rounds: int, runs: int) -> None:
    """Print what a run costs with the run log and without it, as the median of paired rounds."""
    with ExitStack() as opened:
        contenders = []
        for run_log in (False, True):
            app = open_app(opened, base, run_log=run_log)
            client = app.test_client()
            client.post("/api/v1/flows/", json={"name": "echo", "endpoint_name": "echo", "data": ECHO})
            contenders.append((app, client))
        cpu: list[list[float]] = [[], []]
        wall: list[list[float]] = [[], []]
        for number in range(rounds + 1):
            for place, (app, client) in enumerate(contenders):
                started, spent = time.perf_counter(), time.process_time()
                for n in range(runs):
                    body = {"input_value": f"word {n}", "session_id": f"s{n % 20}"}
                    if client.post("/api/v1/run/echo", json=body).status_code != 200:
                        raise SystemExit("a run failed")
                log = runner_of(app).stores.run_log
                if log is not None:
                    log.flush()
                if number:
                    wall[place].append((time.perf_counter() - started) / runs)
                    cpu[place].append((time.process_time() - spent) / runs)
    print(f"\nA run of two components, {rounds} rounds of {runs}; the budget is 1.2 x\n")
    for name, times in (("CPU", cpu), ("wall", wall)):
        ratio = statistics.median(on / off for off, on in zip(*times, strict=True))
        off, on = (statistics.median(taken) * 1e3 for taken in times)
        print(f"  {name:6} without the run log {off:7.3f} ms, with it {on:7.3f} ms: {ratio:5.2f} x")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["sizes", "run-log", []], help="default: both")
    parser.add_argument("--memory", default="sqlite")
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 1_000_000])
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure; default: the system's own")
    asked = parser.parse_args()
    what = asked.what or ["run-log", "sizes"]
    if "run-log" in what:
        compare_run_log(asked.folder, asked.rounds, asked.runs)
    if "sizes" in what:
        compare_sizes(asked.folder, asked.memory, asked.sizes, asked.calls)


if __name__ == "__main__":
    main()
