"""What declaring a route costs: reading path, query and body through the declaration, against the bare view.

The body of a run skips its schema where its types are plain; ``with the schema`` is the same run without that. With
flask-smorest installed, the same views are measured under its decorators, too. Rounds are taken in turns.
"""

import argparse
import cProfile
import logging
import pstats
import statistics
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from marshmallow import EXCLUDE, Schema, fields

from flowrunner.app import create_app
from flowrunner.web import messages, run, run_body
from flowrunner.web.input import check_body

REQUESTS = 15
FLOWS = Path(__file__).resolve().parents[1] / "examples" / "flows"
ROUTES = {route.name: route for group in (messages.routes, run.routes) for route in group}
#: What is read of a request without a query.
NO_QUERY = dict.fromkeys(ROUTES["run"].query)
PAGE = {**dict.fromkeys(ROUTES["list_messages"].query), "limit": 10, "offset": 0, "order": "DESC"}
PAGE["order_by"] = "timestamp"


class PageOfSmorest(Schema):
    """The query of the list, as flask-smorest's pages write one."""

    class Meta:
        unknown = EXCLUDE

    for _name in ("session_id", "sender", "sender_name", "context_id", "q", "end_user_id"):
        locals()[_name] = fields.String(load_default=None)
    flow_id = fields.UUID(load_default=None)
    cursor = fields.UUID(load_default=None)
    order_by = fields.String(load_default="timestamp")
    order = fields.String(load_default="ASC")
    limit = fields.Integer(load_default=100)
    offset = fields.Integer(load_default=0)


class QueryOfSmorest(Schema):
    """The query of a run, likewise."""

    class Meta:
        unknown = EXCLUDE

    background = fields.Boolean(load_default=None)
    vertices = fields.Boolean(load_default=None)
    stream = fields.String(load_default=None)
    envelope = fields.String(load_default=None)


def run_with_schema(**values):
    """Run with the body read by its schema."""
    kept = run_body._load_run_body
    run_body._load_run_body = lambda body: {
        k: v for k, v in check_body(run_body._RUN_BODY, body).items() if v is not None
    }
    try:
        return run.run_flow(**values, query=NO_QUERY)
    finally:
        run_body._load_run_body = kept


def run_variants():
    """Return the ways to answer a run, by name."""
    found = {
        "bare view": lambda flow: run.run_flow(flow=flow, query=NO_QUERY),
        "as declared": ROUTES["run"].endpoint,
        "with the schema": run_with_schema,
    }
    if find_spec("flask_smorest"):
        from flask_smorest import Blueprint

        blueprint = Blueprint("run", "run")

        @blueprint.arguments(QueryOfSmorest, location="query")
        @blueprint.arguments(run_body.RunBody, location="json")
        def smorest(query, body, flow):
            return run.run_flow(flow=flow, query=query)

        found["flask-smorest"] = smorest
    return found


def list_variants():
    """Return the ways to answer a list of messages, by name."""
    found = {
        "bare view": lambda: messages.list_messages(query=PAGE),
        "as declared": ROUTES["list_messages"].endpoint,
    }
    if find_spec("flask_smorest"):
        from flask_smorest import Blueprint

        blueprint = Blueprint("list", "list")
        found["flask-smorest"] = blueprint.arguments(PageOfSmorest, location="query")(messages.list_messages)
    return found


def measure(app, name, variants, ask, rounds):
    """Print time, share of the bare view, and calls of Python functions of each variant."""
    times = {variant: [] for variant in variants}
    for _ in range(rounds):
        for variant, view in variants.items():
            app.view_functions[f"flowrunner.{name}"] = view
            began = time.process_time()
            for _ in range(REQUESTS):
                ask()
            times[variant].append((time.process_time() - began) / REQUESTS * 1e6)
    for variant, view in variants.items():
        app.view_functions[f"flowrunner.{name}"] = view
        profile = cProfile.Profile()
        profile.runcall(lambda: [ask() for _ in range(REQUESTS)])
        calls = pstats.Stats(profile).total_calls / REQUESTS
        share = statistics.median(b / a for a, b in zip(times["bare view"], times[variant], strict=True))
        print(f"{name:14} {variant:16} {min(times[variant]):6.0f} us  {share:5.2f} x  {calls:6.0f} calls")


def main():
    """Measure a run and a list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(data_dir=folder, memory="in-memory", auth="none", flows_dir=str(FLOWS))
        client = app.test_client()

        def ask_run():
            answer = client.post("/api/v1/run/basic-chat", json={"input_value": "hi", "session_id": "s"})
            assert answer.status_code == 200, answer.text

        def ask_list():
            answer = client.get("/api/v1/monitor/messages?limit=10&order=DESC")
            assert answer.status_code == 200 and len(answer.get_json()) == 10, answer.text

        for _ in range(30):
            ask_run()
        measure(app, "run", run_variants(), ask_run, rounds)
        measure(app, "list_messages", list_variants(), ask_list, rounds)
        app.extensions["flowrunner"]["flowrunner"].close()


if __name__ == "__main__":
    main()
