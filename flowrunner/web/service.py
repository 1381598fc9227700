"""Is the server there, which version is it, what may clients know of its settings."""

from __future__ import annotations

from flask import Response

from flowrunner import __version__
from flowrunner.authority import OPEN
from flowrunner.web.blueprint import Routes
from flowrunner.web.jsons import json_response


def add_health_routes(routes: Routes) -> None:
    """Add ``/health`` and ``/health_check``."""
    runner = routes.runner

    def health() -> Response:
        return json_response({"status": "ok"})

    def health_check() -> Response:
        """Say whether memory and database answer too; 503 if one does not."""
        states = runner.check_health()
        good = all(state == "ok" for state in states.values())
        return json_response({"status": "ok" if good else "error", "chat": states["memory"], "db": states["database"]},
                             200 if good else 503)  # fmt: skip

    routes.add("/health", health, methods=["GET"], name="health", needs=OPEN)
    routes.add("/health_check", health_check, methods=["GET"], name="health_check", needs=OPEN)


def add_about_routes(routes: Routes) -> None:
    """Add ``/api/v1/version`` and ``/api/v1/config``."""
    runner = routes.runner

    def version() -> Response:
        main = ".".join(__version__.split(".")[:3])
        return json_response({"version": __version__, "main_version": main, "package": "flowrunner"})

    def config() -> Response:
        settings = runner.settings
        return json_response(
            {
                "type": "public",
                "max_file_size_upload": settings.max_file_size // (1024 * 1024),
                "event_delivery": "streaming",
                "auth": settings.auth,
                "playground": settings.playground,
            }
        )

    routes.add("/api/v1/version", version, methods=["GET"], name="version", needs=OPEN)
    routes.add("/api/v1/config", config, methods=["GET"], name="config", needs=OPEN)
