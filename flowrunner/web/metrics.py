"""``/metrics``."""

from __future__ import annotations

from flask import Response

from flowrunner.authority import ADMIN_OR_LOCAL
from flowrunner.errors import NotFound
from flowrunner.web.blueprint import Routes


def add_metrics_route(routes: Routes) -> None:
    """Add the figures for Prometheus, where they are wanted. They count what all owners do, so they are an admin's."""
    runner = routes.runner
    if not runner.settings.metrics:
        return

    def show_metrics() -> Response:
        """Show figures for Prometheus."""
        if runner.metrics is None:
            raise NotFound("This server counts nothing.")
        text, kind = runner.metrics.render()
        return Response(text, content_type=kind)

    routes.add("/metrics", show_metrics, methods=["GET"], name="metrics", needs=ADMIN_OR_LOCAL)
