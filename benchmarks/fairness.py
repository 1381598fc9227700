"""What three polite callers feel of a greedy one, and what a greedy one gets done alone.

    python benchmarks/fairness.py [--greedy 120] [--polite 3] [--seconds 10] [--rounds 3] [--workers 2]

The first part has 120 connections of one key beside three of others. Every caller has a key of its own and asks again
as soon as it is answered. Rounds are had with the polite ones all connected to one worker and with each to another
one, as far as there are so many: who is connected where is chance otherwise, and decides how much they feel. Budget:
the 95th percentile of the polite ones beside the greedy one is at most 2 times what it is without it.

The second part has 64 threads of one key in one process, with the disk as it is and with one whose commits take 20 ms:
alone, a greedy caller has all of the machine. Its figures are runs in a second, to be compared with those of another
version on the same machine (``--alone`` measures nothing else).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import selectors
import socket
import statistics
import tempfile
import threading
import time

from run import make_key
from servers import ROOT, serve

WHERE = {"together": "all on one worker", "apart": "on different workers"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--greedy", type=int, default=120)
    parser.add_argument("--polite", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flow", default="basic-chat")
    parser.add_argument("--alone", action="store_true")
    asked = parser.parse_args()
    if not asked.alone:
        measure_polite(asked)
    for commit in (0.0, 0.02):
        rates = [measure_alone(asked, commit) for _ in range(asked.rounds)]
        disk = "a commit takes 20 ms" if commit else "the disk as it is"
        shown = f"{statistics.median(rates):.0f} runs/s ({min(rates):.0f} to {max(rates):.0f})"
        print(f"64 threads of one key alone, {disk}: {shown}")


def measure_polite(asked: argparse.Namespace) -> None:
    """Measure the polite callers beside the greedy one, and print what it is against without it."""
    with tempfile.TemporaryDirectory() as data:
        env = {"FLOWRUNNER_DATA_DIR": data, "FLOWRUNNER_FLOWS_DIR": str(ROOT / "examples" / "flows")}
        env["FLOWRUNNER_LOG_LEVEL"] = "WARNING"
        keys = [make_key(env, f"caller-{number}") for number in range(1 + asked.polite)]
        config = {"GUNICORN_CMD_ARGS": "-c gunicorn.conf.py"}
        with serve("wsgi:app", workers=asked.workers, threads=asked.threads, env={**env, **config}) as server:
            path = f"/api/v1/run/{asked.flow}"
            talk(connect(server.port, path, keys[1:]), 2.0)
            found = {
                where: [compare(server.port, path, keys, asked, where) for _ in range(asked.rounds)]
                for where in WHERE
                if where == "together" or asked.workers > 1
            }
    for where, ratios in found.items():
        for percent, of_all in zip((50, 95), zip(*ratios, strict=True), strict=True):
            budget = "  (budget 2)" if percent == 95 else ""
            shown = f"{statistics.median(of_all):.2f} ({min(of_all):.2f} to {max(of_all):.2f})"
            print(f"ratio of p{percent}, polite ones {WHERE[where]}: {shown}{budget}")


def compare(port: int, path: str, keys: list[str], asked: argparse.Namespace, where: str) -> tuple[float, float]:
    """Measure the polite callers alone and beside the greedy one; return the ratios of median and 95th percentile."""
    polite = connect(port, path, keys[1:], where)
    alone = talk(polite, asked.seconds)
    heard = multiprocessing.Queue()
    crowd = multiprocessing.Process(
        target=lambda: heard.put(len(talk(connect(port, path, [keys[0]] * asked.greedy), asked.seconds + 2)))
    )
    crowd.start()
    time.sleep(1)
    beside = talk(polite, asked.seconds)
    served = heard.get()
    crowd.join()
    for caller in polite:
        caller.socket.close()
    for name, times in (("alone", alone), ("beside", beside)):
        shown = "  ".join(f"p{n} {at(times, n) * 1000:.1f} ms" for n in (50, 95, 99))
        print(f"{where:8} polite {name:7} {len(times) / asked.seconds:6.0f}/s  {shown}")
    print(f"{where:8} greedy         {served / (asked.seconds + 2):6.0f}/s", flush=True)
    return at(beside, 50) / at(alone, 50), at(beside, 95) / at(alone, 95)


def measure_alone(asked: argparse.Namespace, commit: float) -> float:
    """Return how many runs a second 64 threads of one caller get done in one process."""
    # In a process of its own, so that the next measurement begins afresh.
    heard = multiprocessing.Queue()
    crowd = multiprocessing.Process(target=lambda: heard.put(run_alone(asked.flow, asked.seconds, commit)))
    crowd.start()
    rate: float = heard.get()
    crowd.join()
    return rate


def run_alone(flow: str, seconds: float, commit: float) -> float:
    """Run a flow on 64 threads for so long; return the runs of a second."""
    from flowrunner_sqlite.writer import GroupCommit

    from flowrunner.app import create_app
    from flowrunner.identity import Identity

    if commit:
        write = GroupCommit._write
        # Within the transaction, as a disk takes it.
        GroupCommit._write = lambda self, rows, along: (write(self, rows, along), time.sleep(commit))[0]
    with tempfile.TemporaryDirectory() as data:
        os.environ.update(FLOWRUNNER_DATA_DIR=data, FLOWRUNNER_FLOWS_DIR=str(ROOT / "examples" / "flows"))
        os.environ["FLOWRUNNER_LOG_LEVEL"] = "WARNING"
        app = create_app()
        runner = app.extensions["flowrunner"]["flowrunner"]
        greedy, end, done = Identity("greedy"), time.monotonic() + seconds, [0] * 64

        def ask(number: int) -> None:
            while time.monotonic() < end:
                runner.run(flow, "Hello there, how are you?", session_id=f"s{number}", identity=greedy)
                done[number] += 1

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        runner.close()
    return sum(done) / seconds


def at(times: list[float], percent: int) -> float:
    """Return a percentile."""
    return sorted(times)[min(len(times) - 1, len(times) * percent // 100)]


class Caller:
    """One connection that asks again as soon as it is answered."""

    def __init__(self, port: int, path: str, key: str, number: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = json.dumps({"input_value": "Hello there, how are you?", "session_id": f"s{os.getpid()}-{number}"})
        self.request = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nx-api-key: {key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        self.data = b""
        self.asked = 0.0

    def ask(self) -> None:
        """Send the request."""
        self.data, self.asked = b"", time.perf_counter()
        self.socket.sendall(self.request)

    def answered(self) -> bool:
        """Take what has come; say whether it is all."""
        got = self.socket.recv(1 << 16)
        self.data += got
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not got or (found and not head.startswith(b"HTTP/1.1 200")):
            raise SystemExit(f"answered {self.data[:300]!r}")
        return bool(found) and len(body) >= int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])

    def worker(self) -> str:
        """Ask once; return which worker the connection belongs to: its number is in the id of the request."""
        self.ask()
        while not self.answered():
            pass
        return self.data.lower().split(b"x-request-id:")[1].split(b"\r\n")[0].split(b"-")[1].decode()


def connect(port: int, path: str, keys: list[str], where: str = "") -> list[Caller]:
    """Return a connection for each key.

    :param where: ``together`` on one worker, or ``apart``, the second one on another than the first; blank: anywhere.
    """
    callers: list[Caller] = []
    workers: list[str] = []
    for number, key in enumerate(keys):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            caller = Caller(port, path, key, number)
            worker = caller.worker() if where else ""
            if not where or not workers or (worker == workers[-1]) == (where == "together"):
                break
            caller.socket.close()
        else:
            raise SystemExit("no connection was made to the worker that is wanted")
        callers.append(caller)
        workers.append(worker)
    return callers


def talk(callers: list[Caller], seconds: float) -> list[float]:
    """Ask on each connection for so long; return how long each answer took."""
    waiting = selectors.DefaultSelector()
    for caller in callers:
        waiting.register(caller.socket, selectors.EVENT_READ, caller)
        caller.ask()
    times, end, left = [], time.perf_counter() + seconds, len(callers)
    while left:
        for ready, _ in waiting.select(1):
            if ready.data.answered():
                times.append(time.perf_counter() - ready.data.asked)
                if time.perf_counter() < end:
                    ready.data.ask()
                else:
                    left -= 1
    return times


if __name__ == "__main__":
    main()
