"""``/metrics``."""

from __future__ import annotations

from flask import Response

from flowrunner.authority import ADMIN_OR_LOCAL
from flowrunner.web.blueprint import Routes


def add_metrics_route(routes: Routes) -> None:
    """Add the figures for Prometheus, where they are wanted. They count what all owners do, so they are an admin's."""
    metrics = routes.runner.metrics
    if metrics is None:
        return

    def show_metrics() -> Response:
        """Show figures for Prometheus."""
        text, kind = metrics.render()
        return Response(text, content_type=kind)

    routes.add("/metrics", show_metrics, methods=["GET"], name="metrics", needs=ADMIN_OR_LOCAL)
