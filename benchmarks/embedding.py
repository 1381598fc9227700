"""What a runner costs the site that it is mounted in: its start-up, and requests of its own views.

    python benchmarks/embedding.py

Budgets: mounting takes at most 20 ms beyond the imports; a request of the site's own views costs nothing that can be
measured, which is here at most 2 %. Times are CPU times, the least of several rounds, so that a busy machine does not
matter much. Nothing heavy may be imported that nobody has used.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flask import Flask, g, jsonify, render_template_string
from werkzeug.test import create_environ

ROOT = Path(__file__).resolve().parents[1]
FLOWS = ROOT / "examples" / "flows"
STARTS = 9
ROUNDS = 75
REQUESTS = 200
MOST_TO_MOUNT = 20.0
MOST_PER_REQUEST = 1.02

#: A process that imports what a site with a database has anyway, then what we need, then us, and mounts.
_START = """
import json, sys, time
clock = time.process_time
def took(begun): return (clock() - begun) * 1000
begun = clock()
import flask, flask_sqlalchemy, sqlalchemy.dialects.sqlite
site = took(begun); begun = clock()
import cryptography.fernet, marshmallow, pluggy
needed = took(begun); begun = clock()
from flowrunner.extension import FlowRunner
ours = took(begun)
extension = FlowRunner(url_prefix="/assistant", identity=lambda request: None, flows_dir=sys.argv[2])
# The plugins' modules are imports, too; a first mounting brings them in.
throwaway = flask.Flask("other", instance_path=sys.argv[1])
begun = clock()
extension.init_app(throwaway).close()
first = took(begun)
mounts = []
for number in range(5):
    app = flask.Flask("site", instance_path=sys.argv[1])
    begun = clock()
    runner = extension.init_app(app)
    mounts.append(took(begun))
    runner.close()
mount = min(mounts)
heavy = [m for m in ("alembic", "openai", "llm", "xllamacpp", "hypothesis", "sqlalchemy.dialects.postgresql",
                     "psycopg", "gunicorn", "nh3", "markdown_it") if m in sys.modules]
print(json.dumps({"site": site, "needed": needed, "ours": ours, "first": first, "mount": mount, "heavy": heavy}))
"""


def measure_start(folder: Path) -> dict[str, object]:
    """Start a process and return what its parts took, in milliseconds."""
    command = [sys.executable, "-c", _START, str(folder), str(FLOWS)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, object] = json.loads(shown.stdout)
    return found


def make_site(folder: Path, *, mounted: bool) -> Flask:
    """Return a site with three views; with a runner beside them where that is asked for."""
    app = Flask("site", instance_path=str(folder))
    app.secret_key = "x"

    @app.before_request
    def before() -> None:
        g.seen = True

    app.add_url_rule("/text", view_func=lambda: "text", endpoint="text")
    app.add_url_rule("/json", view_func=lambda: jsonify(a=1), endpoint="json")
    app.add_url_rule("/page", view_func=lambda: render_template_string("<p>{{ g.seen }}</p>"), endpoint="page")
    if mounted:
        from flowrunner.extension import FlowRunner

        FlowRunner(app, url_prefix="/assistant", identity=lambda request: None, flows_dir=str(FLOWS))
    return app


def request_seconds(app: Flask, path: str) -> float:
    """Return the CPU time of one request of a view."""
    environ = create_environ(path)
    begun = time.process_time()
    for _ in range(REQUESTS):
        answer = app.wsgi_app(dict(environ), lambda status, headers, error=None: lambda data: None)
        answer.close()  # type: ignore[attr-defined]
    return (time.process_time() - begun) / REQUESTS


def compare_requests(folder: Path) -> dict[str, float]:
    """Return by how much a request of the site costs more with a runner: the median ratio of paired rounds."""
    alone, mounted = make_site(folder / "a", mounted=False), make_site(folder / "b", mounted=True)
    ratios: dict[str, float] = {}
    for path in ("/text", "/json", "/page"):
        for app in (alone, mounted):
            request_seconds(app, path)
        pairs = []
        for number in range(ROUNDS):
            # Who goes first changes, so that neither gains from a warm or a quiet machine.
            order = (alone, mounted) if number % 2 else (mounted, alone)
            taken = {app: request_seconds(app, path) for app in order}
            pairs.append(taken[mounted] / taken[alone])
        ratios[path] = statistics.median(pairs)
    for runner in mounted.extensions["flowrunner"].values():
        runner.close()
    return ratios


def main() -> int:
    """Measure, print, and return 1 if a budget is not kept."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure_start(folder / "start")
        rounds = [measure_start(folder / "start") for _ in range(STARTS)]
        least = {key: min(r[key] for r in rounds) for key in ("site", "needed", "ours", "first", "mount")}  # type: ignore[type-var]
        heavy = rounds[0]["heavy"]
        ratios = compare_requests(folder)
    print(f"imports that a site with a database has anyway   {least['site']:7.1f} ms")
    print(f"imports of further dependencies                  {least['needed']:7.1f} ms")
    print(f"import of flowrunner's own modules               {least['ours']:7.1f} ms")
    print(f"first mounting, with the plugins' modules        {least['first']:7.1f} ms")
    print(f"mounting                                         {least['mount']:7.1f} ms, at most {MOST_TO_MOUNT:.0f}")
    print(f"heavy modules imported without use               {heavy or 'none'}")
    for path, ratio in ratios.items():
        print(f"a request of the site's own view {path:6}          {ratio:7.3f} times, at most {MOST_PER_REQUEST}")
    kept = least["mount"] <= MOST_TO_MOUNT and not heavy and max(ratios.values()) <= MOST_PER_REQUEST  # type: ignore[operator]
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
