"""``/metrics``."""

from __future__ import annotations

from flask import Response

from flowrunner.errors import NotAllowed
from flowrunner.web.auth import caller
from flowrunner.web.blueprint import Routes


def add_metrics_route(routes: Routes) -> None:
    """Add the figures for Prometheus, where they are wanted. They count what all owners do, so they are an admin's."""
    runner = routes.runner
    metrics = runner.metrics
    if metrics is None:
        return

    def show_metrics() -> Response:
        """Show figures for Prometheus."""
        if not caller().admin and runner.settings.auth != "none":
            raise NotAllowed("The figures count what all owners do; only an admin key sees them.")
        text, kind = metrics.render()
        return Response(text, content_type=kind)

    routes.add("/metrics", show_metrics, methods=["GET"], name="metrics")
