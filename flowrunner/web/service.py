"""Whether the server is up, its version, and the settings that clients may know."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, request

from flowrunner import __version__
from flowrunner.authority import ADMIN_OR_LOCAL, OPEN
from flowrunner.errors import NotAllowed, NotFound
from flowrunner.web.auth import LOCAL_TOKEN, this_runner
from flowrunner.web.loopback import refuse_from_elsewhere
from flowrunner.web.route import RouteGroup
from flowrunner.web.schemas import TEXT, Media, Open, answer, member

health_routes = RouteGroup("server")
about_routes = RouteGroup("server")
metrics_routes = RouteGroup("server")

Health: Final = answer("Health", status=str)
#: Whether the memory backend and the database answer.
HealthCheck: Final = answer("HealthCheck", status=str, chat=str, db=str)
#: Whether the server accepts requests, and if not, why.
Ready: Final = answer("Ready", status=str, reason=member(str, required=False))
#: The name and version of the program.
Version: Final = answer("Version", version=str, main_version=str, package=str)
#: The token of a login.
Login: Final = answer("Login", access_token=str, refresh_token=str | None, token_type=str)
#: The settings shown to clients.
Config: Final = answer(
    "Config", Open, type=str, max_file_size_upload=int, event_delivery=str, auth=str, playground=bool
)


class AutoLoginOff(NotAllowed):
    """API keys are required; this answer tells clients that automatic login is not possible."""

    code = "auto_login_off"


@health_routes.get("/health", needs=OPEN, answers={200: Health})
def health() -> dict[str, str]:
    """Check that the server is up."""
    return {"status": "ok"}


@health_routes.get("/health_check", needs=OPEN, answers={200: HealthCheck, 503: HealthCheck})
def health_check() -> Any:
    """Check memory and database; 503 if one does not answer."""
    states = this_runner().check_health()
    good = all(state == "ok" for state in states.values())
    shown = {"status": "ok" if good else "error", "chat": states["memory"], "db": states["database"]}
    return shown, 200 if good else 503


@health_routes.get("/ready", needs=OPEN, answers={200: Ready, 503: Ready})
def ready() -> Any:
    """Check readiness; 503 while a store cannot be used or the server stops."""
    reason = this_runner().why_not_ready()
    return ({"status": "not ready", "reason": reason}, 503) if reason else {"status": "ready"}


@about_routes.get("/api/v1/version", needs=OPEN, answers={200: Version})
def version() -> dict[str, str]:
    """Show the version."""
    main = ".".join(__version__.split(".")[:3])
    return {"version": __version__, "main_version": main, "package": "flowrunner"}


@about_routes.get("/api/v1/auto_login", needs=OPEN, answers={200: Login}, errors=(403,))
def auto_login() -> dict[str, Any]:
    """Return a token for clients of an open server; 403 if API keys are required."""
    runner = this_runner()
    if runner.identify is not None or runner.settings.auth != "none":
        said = "Auto login is disabled."
        raise AutoLoginOff(said, detail={"message": said, "auto_login": False})
    refuse_from_elsewhere(request)
    return {"access_token": LOCAL_TOKEN, "refresh_token": None, "token_type": "bearer"}


@about_routes.get("/api/v1/config", needs=OPEN, answers={200: Config})
def config() -> dict[str, Any]:
    """Show the settings for clients."""
    settings = this_runner().settings
    return {
        "type": "public",
        "max_file_size_upload": settings.max_file_size // (1024 * 1024),
        "event_delivery": "streaming",
        "auth": settings.auth,
        "playground": settings.playground,
    }


@metrics_routes.get("/metrics", needs=ADMIN_OR_LOCAL, answers={200: Media({"text/plain": TEXT})})
def metrics() -> Response:
    """Show metrics for Prometheus."""
    counted = this_runner().metrics
    if counted is None:
        raise NotFound("Metrics are turned off.")
    text, kind = counted.render()
    return Response(text, content_type=kind)
