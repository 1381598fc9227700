"""What three polite callers feel of a greedy one: 120 connections of one key beside three of others.

    python benchmarks/fairness.py [--greedy 120] [--polite 3] [--seconds 10] [--workers 2] [--flow basic-chat]

Every caller has a key of its own and asks again as soon as it is answered. Budget: the 95th percentile of the
polite ones beside the greedy one is at most 2 times what it is without it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import selectors
import socket
import tempfile
import time

from run import make_key
from servers import ROOT, serve


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
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        env = {"FLOWRUNNER_DATA_DIR": data, "FLOWRUNNER_FLOWS_DIR": str(ROOT / "examples" / "flows")}
        keys = [make_key(env, f"caller-{number}") for number in range(1 + asked.polite)]
        config = {"GUNICORN_CMD_ARGS": "-c gunicorn.conf.py"}
        with serve("wsgi:app", workers=asked.workers, threads=asked.threads, env={**env, **config}) as server:
            path = f"/api/v1/run/{asked.flow}"
            talk(server.port, path, [*keys[1:]], 2.0)
            ratios = [compare(server.port, path, keys, asked) for _ in range(asked.rounds)]
    print(f"ratio of the 95th percentiles: {sorted(ratios)[len(ratios) // 2]:.2f}  (budget 2)")


def compare(port: int, path: str, keys: list[str], asked: argparse.Namespace) -> float:
    """Measure the polite callers alone and beside the greedy one; return the ratio of their 95th percentiles."""
    alone = talk(port, path, keys[1:], asked.seconds)
    heard = multiprocessing.Queue()
    crowd = multiprocessing.Process(
        target=lambda: heard.put(len(talk(port, path, [keys[0]] * asked.greedy, asked.seconds + 2)))
    )
    crowd.start()
    time.sleep(1)
    beside = talk(port, path, keys[1:], asked.seconds)
    served = heard.get()
    crowd.join()
    for name, times in (("alone", alone), ("beside", beside)):
        shown = "  ".join(f"p{n} {at(times, n) * 1000:.1f} ms" for n in (50, 95, 99))
        print(f"polite {name:7} {len(times) / asked.seconds:6.0f}/s  {shown}")
    print(f"greedy         {served / (asked.seconds + 2):6.0f}/s")
    return at(beside, 95) / at(alone, 95)


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


def talk(port: int, path: str, keys: list[str], seconds: float) -> list[float]:
    """Ask on one connection for each key, for so long; return how long each answer took."""
    waiting = selectors.DefaultSelector()
    for number, key in enumerate(keys):
        caller = Caller(port, path, key, number)
        waiting.register(caller.socket, selectors.EVENT_READ, caller)
        caller.ask()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        for ready, _ in waiting.select(1):
            if ready.data.answered():
                times.append(time.perf_counter() - ready.data.asked)
                ready.data.ask()
    for ready in list(waiting.get_map().values()):
        ready.data.socket.close()
    return times


if __name__ == "__main__":
    main()
