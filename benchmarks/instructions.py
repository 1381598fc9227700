"""What a plain run costs, counted instead of timed: the same figures on a busy machine as on a quiet one.

    python benchmarks/instructions.py [--requests 100] [--top 40]
    python benchmarks/instructions.py --record

Both the app and the limit are called in process, as gunicorn would call them. Machine instructions are counted by
valgrind, where it is installed: with some requests and with more, and the difference is what the requests took.
Without it, only calls of functions are counted, and on Linux system calls that read and write. ``--top`` lists the
functions of Python that a run of ours calls most. ``--record`` tells what it costs to record the run before its answer:
runs with and without that record are made in turn, in one process.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib import import_module
from pathlib import Path

from run import PATH, ROOT, make_key

#: Requests before anything is counted: what is made once is made then.
WARM = 40
BODY = {"input_value": "Hello there, how are you?"}


def environ(key: str, turn: int) -> dict:
    """Return what gunicorn's thread worker hands to an app for a run."""
    body = json.dumps({**BODY, "session_id": f"s{turn % 20}"}).encode()
    return {
        "wsgi.errors": sys.stderr, "wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": False,
        "wsgi.run_once": False, "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True, "SERVER_SOFTWARE": "gunicorn", "REQUEST_METHOD": "POST", "QUERY_STRING": "",
        "RAW_URI": PATH, "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_ACCEPT_ENCODING": "identity", "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json",
        "HTTP_X_API_KEY": key, "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40000", "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000", "PATH_INFO": PATH, "SCRIPT_NAME": "",
    }  # fmt: skip


def ask(app, key: str, requests: int) -> None:
    """Run the flow so many times."""
    for turn in range(requests):
        said: list[str] = []
        answer = app(environ(key, turn), lambda status, headers, info=None, said=said: said.append(status))
        body = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        if not said[0].startswith("200"):
            raise SystemExit(f"{PATH} answered {said[0]}: {body[:300]!r}")


class Counted:
    """Counts calls in every thread while it is entered."""

    def __init__(self) -> None:
        self.calls: collections.Counter[str] = collections.Counter()
        self.builtins = 0

    def _hear(self, frame, event: str, argument) -> None:
        if event == "call":
            code = frame.f_code
            self.calls[f"{code.co_filename.rpartition('site-packages/')[2]}:{code.co_qualname}"] += 1
        elif event == "c_call":
            self.builtins += 1

    def __enter__(self):
        threading.setprofile_all_threads(self._hear) if sys.version_info >= (3, 12) else sys.setprofile(self._hear)
        return self

    def __exit__(self, *failure) -> None:
        threading.setprofile_all_threads(None) if sys.version_info >= (3, 12) else sys.setprofile(None)


def system_calls() -> tuple[int, int]:
    """Return how many system calls of this process have read and written so far; zeros where nobody tells."""
    try:
        lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    except OSError:
        return 0, 0
    return int(lines["syscr"]), int(lines["syscw"])


@contextlib.contextmanager
def unrecorded():
    """Have runs leave no record of their own in the transaction of their messages."""
    from flowrunner.runs.entry import RunEntry

    def commit(entry, store, start, result):
        store()
        entry.state = "success" if result is not None else entry.state

    kept = RunEntry.commit
    RunEntry.commit = commit
    try:
        yield
    finally:
        RunEntry.commit = kept


def measure_record(key: str, rounds: int, requests: int) -> None:
    """Print what a run costs with its record and without."""
    app = import_module("wsgi").app
    gather_run_log()
    ask(app, key, WARM)
    ways = {"with its record": contextlib.nullcontext, "without": unrecorded}
    times: dict[str, list[float]] = {way: [] for way in ways}
    writes = dict.fromkeys(ways, 0)
    for _ in range(rounds):
        for way, entered in ways.items():
            with entered():
                began, before = time.process_time(), system_calls()[1]
                ask(app, key, requests)
                times[way].append((time.process_time() - began) / requests * 1e6)
                writes[way] += system_calls()[1] - before
    for way, found in times.items():
        print(
            f"{way:16} CPU of a run, µs: min {min(found):.0f}  median {statistics.median(found):.0f};"
            f" writing system calls {writes[way] / rounds / requests:.1f}"
        )
    share = statistics.median(a / b for a, b in zip(*times.values(), strict=True))
    print(f"the record adds {share - 1:.1%} (median of pairs; budget 5 %)")
    close(app)


def gather_run_log() -> None:
    """Have the run log write once, at the end: on a slow machine it would write each run by itself."""
    from flowrunner.store import runlog

    runlog._GATHER = 3600.0


def close(app) -> None:
    """Write what is left to write."""
    runner = app.extensions.get("flowrunner", {}).get("flowrunner")
    if runner is not None:
        runner.close()


def work(target: str, key: str, requests: int, count: bool, top: int) -> None:
    """In a process of its own: load the app and run; print what was counted."""
    counted = Counted()
    if sys.version_info < (3, 12):
        # Threads hear of it only as they start, so it is set before the app has any.
        threading.setprofile(counted._hear if count else None)
    app = import_module(target).app
    gather_run_log()
    ask(app, key, WARM)
    if not count:
        ask(app, key, requests)
        close(app)
        os._exit(0)
    counted.calls.clear()
    counted.builtins = 0
    before = system_calls()
    with counted:
        ask(app, key, requests)
        close(app)
    calls = (
        sum(counted.calls.values()),
        counted.builtins,
        *(b - a for a, b in zip(before, system_calls(), strict=True)),
    )
    print(*(f"{number / requests:.1f}" for number in calls))
    for name, calls in counted.calls.most_common(top):
        print(f"    {calls / requests:6.2f}  {name.replace(str(ROOT) + '/', '')}")
    sys.stdout.flush()
    os._exit(0)


def run_child(target: str, key: str, requests: int, env: dict[str, str], *, valgrind: bool, top: int = 0) -> str:
    """Run :func:`work` and return what it, or valgrind, says."""
    command = [sys.executable, __file__, "--target", target, "--key", key, "--requests", str(requests)]
    command += [] if valgrind else ["--count", "--top", str(top)]
    if valgrind:
        command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", *command]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "0", **env}, capture_output=True)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    return (done.stderr if valgrind else done.stdout).decode()


def instructions(target: str, key: str, requests: int, env: dict[str, str]) -> float:
    """Return the machine instructions of one request."""

    def total(number: int) -> int:
        said = run_child(target, key, number, env, valgrind=True)
        return int(re.search(r"I\s+refs:\s+([\d,]+)", said)[1].replace(",", ""))

    return (total(requests) - total(0)) / requests


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--top", type=int, default=0)
    parser.add_argument("--no-valgrind", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only", choices=("ours", "limit"))
    for name in ("--target", "--key"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.target:
        sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
        work(asked.target, asked.key, asked.requests, asked.count, asked.top)
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        env = {
            "FLOWRUNNER_DATA_DIR": ours,
            "FLOWRUNNER_FLOWS_DIR": str(ROOT / "examples" / "flows"),
            "FLOWRUNNER_MEMORY": "sqlite",
        }
        key = make_key(env)
        if asked.record:
            os.environ.update(env)
            sys.path[:0] = [str(ROOT)]
            measure_record(key, asked.rounds, min(asked.requests, 20))
            return
        targets = {"ours": ("wsgi", env), "limit": ("limit_app", {"LIMIT_DATA_DIR": theirs, "LIMIT_KEY": key})}
        found = {}
        for name, (target, its) in targets.items():
            if asked.only not in (None, name):
                continue
            counted = run_child(target, key, asked.requests, its, valgrind=False, top=asked.top)
            first, _, rest = counted.partition("\n")
            python, builtin, reads, writes = first.split()
            print(
                f"{name:6} calls per run: {python} of Python functions, {builtin} of built-in ones;"
                f" system calls that read {reads}, that write {writes}"
            )
            print(rest, end="")
            if shutil.which("valgrind") and not asked.no_valgrind:
                found[name] = instructions(target, key, asked.requests, its)
                print(f"{name:6} instructions per run: {found[name] / 1e3:.0f} thousand")
        if len(found) == 2:
            print(f"ratio  {found['ours'] / found['limit']:.2f}")


if __name__ == "__main__":
    main()
