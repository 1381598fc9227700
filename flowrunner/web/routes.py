"""Which parts make up the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Response

from flowrunner.web.apikeys import add_key_routes
from flowrunner.web.blueprint import Routes
from flowrunner.web.chatbox import add_chat_box_routes
from flowrunner.web.files import add_file_routes
from flowrunner.web.flows import add_flow_routes
from flowrunner.web.messages import add_monitor_routes
from flowrunner.web.metrics import add_metrics_route
from flowrunner.web.openapi.route import add_openapi_route
from flowrunner.web.responses import create_response
from flowrunner.web.run import cancel_run, run_flow, run_webhook
from flowrunner.web.runlog import add_run_log_routes
from flowrunner.web.service import add_service_routes
from flowrunner.web.sessions import add_session_routes
from flowrunner.web.spool import Spool
from flowrunner.web.variables import add_variable_routes


def add_run_routes(routes: Routes) -> None:
    """Add the run and webhook endpoints."""
    runner = routes.runner
    spool = Spool(runner.settings.data_dir / "streams", runner.settings.resume_seconds)

    def run(flow: str) -> Response:
        return run_flow(runner, spool, flow)

    def webhook(flow: str) -> Response:
        return run_webhook(runner, flow)

    routes.add("/api/v1/run/<flow>", run, methods=["POST"], name="run")

    def respond() -> Response:
        return create_response(runner)

    routes.add("/api/v1/responses", respond, methods=["POST"], name="responses")

    def cancel(run_id: str) -> Response:
        return cancel_run(spool, run_id)

    routes.add("/api/v1/runs/<run_id>/cancel", cancel, methods=["POST"], name="cancel_run")
    routes.add("/api/v1/webhook/<flow>", webhook, methods=["POST"], name="webhook")


API_PARTS: Final[tuple[Callable[[Routes], None], ...]] = (
    add_service_routes,
    add_run_routes,
    add_flow_routes,
    add_variable_routes,
    add_monitor_routes,
    add_session_routes,
    add_run_log_routes,
    add_chat_box_routes,
    add_file_routes,
    add_key_routes,
    add_openapi_route,
    add_metrics_route,
)
