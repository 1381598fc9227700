"""Which parts make up the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from flask import Response

from flowrunner.authority import RUN
from flowrunner.web import variables
from flowrunner.web.apikeys import add_key_routes
from flowrunner.web.blueprint import Part, Routes
from flowrunner.web.chatbox import add_chat_box_routes
from flowrunner.web.files import add_file_routes, add_own_file_routes
from flowrunner.web.flows import add_flow_routes
from flowrunner.web.messages import add_monitor_routes
from flowrunner.web.metrics import add_metrics_route
from flowrunner.web.openapi.route import add_openapi_route
from flowrunner.web.responses import create_response
from flowrunner.web.run import cancel_run, run_flow, run_webhook
from flowrunner.web.runlog import add_run_log_routes
from flowrunner.web.service import add_about_routes, add_health_routes
from flowrunner.web.sessions import add_session_routes
from flowrunner.web.spool import Spool


def add_run_routes(routes: Routes) -> None:
    """Add what runs a flow for somebody who waits for its answer, and stops it."""
    runner = routes.runner
    spool = Spool(lambda: runner.settings.data_dir / "streams", runner.settings.resume_seconds)

    def run(flow: str) -> Response:
        return run_flow(runner, spool, flow)

    routes.add("/api/v1/run/<flow>", run, methods=["POST"], name="run", needs=RUN)

    def respond() -> Response:
        return create_response(runner)

    routes.add("/api/v1/responses", respond, methods=["POST"], name="responses", needs=RUN)

    def cancel(run_id: str) -> Response:
        return cancel_run(runner, run_id)

    routes.add("/api/v1/runs/<run_id>/cancel", cancel, methods=["POST"], name="cancel_run", needs=RUN)


def add_webhook_route(routes: Routes) -> None:
    """Add what starts a flow for a machine that does not wait."""
    runner = routes.runner

    def webhook(flow: str) -> Response:
        return run_webhook(runner, flow)

    routes.add("/api/v1/webhook/<flow>", webhook, methods=["POST"], name="webhook", needs=RUN)


#: What talking needs; everywhere.
TALKING: Final[tuple[Part, ...]] = (
    add_health_routes,
    add_run_routes,
    add_monitor_routes,
    add_session_routes,
    add_chat_box_routes,
    add_file_routes,
    add_metrics_route,
)

#: What a server of its own has besides, and a site where it asks for it, by the names that the setting API takes.
MORE: Final[Mapping[str, tuple[Part, ...]]] = {
    "flows": (add_flow_routes,),
    "variables": (variables.routes,),
    "files": (add_own_file_routes,),
    "keys": (add_key_routes,),
    "monitor": (add_run_log_routes,),
    "webhook": (add_webhook_route,),
    "openapi": (add_about_routes, add_openapi_route),
}


def parts_of(names: Iterable[str]) -> tuple[Part, ...]:
    """Return the parts of the API with these names, and what talking needs."""
    return (*TALKING, *(part for name in MORE if name in names for part in MORE[name]))
