"""Settings for gunicorn: ``gunicorn -c python:flowrunner.serving wsgi:app``, or beside our gunicorn.conf.py.

Threads, because a stream holds one for its whole length: with 64, 200 streams starved the health
check for seconds; with 128 it answered in milliseconds. How many flows run at a time is bounded
beside it (FLOWRUNNER_MAX_RUNS).
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - names of hosts are read by it; loaded here, all workers share it
import gc
import ipaddress
import os
import signal
import sys
import threading
from typing import Any

import gunicorn.http.message as _message
from gunicorn.workers.gthread import TConn as _TConn

from flowrunner.addresses import is_loopback
from flowrunner.errors import FlowRunnerError, SettingsInvalid
from flowrunner.runs.service import look_after_runs, stop_runs
from flowrunner.settings.reading import PREFIX, read_settings
from flowrunner.settings.table import SETTINGS
from flowrunner.site.allocator import fill_holes, settle_allocator

_OURS = ("BIND", "WORKERS", "THREADS", "AUTH", "STOP_WAIT", "LOG_FORMAT")

try:
    _settings = read_settings((s for s in SETTINGS if s.name in _OURS), config={})
except SettingsInvalid as _error:
    sys.exit(f"flowrunner: {_error.message}")

bind = _settings.bind
workers = _settings.workers or int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = _settings.threads
#: Threads, and two more for health checks while all others are taken; older releases of gunicorn do without these.
worker_class = "flowrunner.site.worker.Worker" if hasattr(_TConn, "wait_for_data") else "gthread"
timeout = 120
#: The master kills a worker after that; by then runs that do not end by themselves have been cancelled, and said so.
graceful_timeout = int(max(30, _settings.stop_wait + 10))
keepalive = 5
#: A session id of 2,000 characters takes up to 24,000 of a request line, and a rename names two. gunicorn itself knows
#: 8190 at most or no limit at all, and without one a client could fill the memory; so its bound is moved.
limit_request_line = 64 * 1024
vars(_message)["MAX_REQUEST_LINE"] = max(_message.MAX_REQUEST_LINE, limit_request_line)
#: gunicorn 25 and later would make a socket in the home folder, through which the server can be steered.
control_socket_disable = True
#: Without it gunicorn drops headers with an underscore in their name, and with them the variables that
#: a request brings (X-LANGFLOW-GLOBAL-VAR-OPENAI_API_KEY). No header here says who a request is from.
header_map = "dangerous"


#: gunicorn's own lines, in the form of all others. The app sets up the root logger.
if _settings.log_format == "json":
    logconfig_dict = {
        "version": 1,
        "disable_existing_loggers": False,
        "root": {"handlers": []},
        "formatters": {"json": {"()": "flowrunner.telemetry.logs.JsonFormatter"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        # The access log stays as the operator has it: named here, gunicorn would write it, with whole queries.
        "loggers": {"gunicorn.error": {"handlers": ["console"], "propagate": False, "level": "INFO"}},
    }


def on_starting(server: Any) -> None:
    """Refuse what must not be, and log what is seriously wrong with the installation (``flowrunner doctor``)."""
    refuse_open_server(server)
    from flowrunner.doctor import Installation, serious

    # gunicorn's own options may say otherwise than our settings.
    for finding in serious(Installation.find({"WORKERS": server.cfg.workers})):
        server.log.warning("flowrunner: %s %s [%s]", finding.message, finding.remedy, finding.code)


def refuse_open_server(server: Any) -> None:
    """Refuse to listen where other machines can reach a server that asks for no key.

    What an app is told otherwise than by the environment is not known here; it refuses each request by itself.
    """
    if _settings.auth != "none":
        return
    for address in server.cfg.address:
        if isinstance(address, tuple) and not is_loopback(str(address[0])):
            sys.exit(
                f"flowrunner: {address[0]} can be reached from other machines and so requires API keys; remove"
                f" {PREFIX}AUTH=none."
            )


#: Workers are forked from one process that has loaded everything, and share its memory. Nothing is open
#: by then: each worker opens databases and threads of its own.
preload_app = True


def pre_request(worker: Any, req: Any) -> None:
    """Drop headers by which a client would move the root of the application.

    With the map above gunicorn takes ``SCRIPT_NAME`` from anybody. It is believed from a proxy that the
    operator names in ``FORWARDED_ALLOW_IPS``; everybody on this machine, whom gunicorn trusts else, is none.
    """
    if any(name in _STEERING for name, _ in req.headers) and not _is_named_proxy(req.peer_addr):
        req.headers[:] = [(name, value) for name, value in req.headers if name not in _STEERING]


_STEERING = frozenset({"SCRIPT_NAME", "PATH_INFO"})


def _is_named_proxy(peer: Any) -> bool:
    named = [word.strip() for word in os.environ.get("FORWARDED_ALLOW_IPS", "").split(",") if word.strip()]
    if not named or "*" in named:
        return bool(named)
    if not isinstance(peer, tuple):
        return True  # a socket in the file system, whose permissions say who may write to it
    try:
        address = ipaddress.ip_address(peer[0])
        return any(address in ipaddress.ip_network(word, strict=False) for word in named)
    except ValueError:
        return False


#: Objects that may be made before the garbage collector looks for cycles among them: Python's own 700 are a dozen runs,
#: and cost 0.9 % of their CPU time.
_BETWEEN_COLLECTIONS = 5_000


def when_ready(server: Any) -> None:
    """Hide what is loaded from the garbage collector before the workers are forked.

    It stays for good; looking through it takes tens of milliseconds, and would copy the shared pages. Nothing is
    collected before: that takes 55 ms of a start, finds some hundred objects, and leaves holes for workers to write to.
    """
    gc.freeze()
    gc.set_threshold(_BETWEEN_COLLECTIONS, 10, 10)
    settle_allocator()
    fill_holes()


def worker_exit(server: Any, worker: Any) -> None:
    """Let runs end before the interpreter does, which starts no threads any more."""
    stop_runs()


def _stop_runs_with(number: signal.Signals) -> None:
    """Begin to end runs as soon as the worker is told to stop: gunicorn waits for requests first."""
    before = signal.getsignal(number)

    def stop(received: int, frame: Any) -> None:
        threading.Thread(target=stop_runs, name="flowrunner-stop", daemon=True).start()
        if callable(before):
            before(received, frame)

    signal.signal(number, stop)


def post_worker_init(worker: Any) -> None:
    """Open the runners of the app now, not with the first request, and look after what was accepted before."""
    for runner in getattr(worker.wsgi, "extensions", {}).get("flowrunner", {}).values():
        try:
            runner.open()
        except FlowRunnerError as error:
            worker.log.error("flowrunner: %s", error.message)
    look_after_runs()
    _stop_runs_with(signal.SIGTERM)


def nworkers_changed(server: Any, new_value: int, old_value: int | None) -> None:
    """Let the workers know how many there are: a store that only one of them sees warns about it."""
    os.environ["FLOWRUNNER_WORKERS"] = str(new_value)
