"""``flowrunner serve``: gunicorn with the stand-alone app."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any

import click

from flowrunner.errors import SettingsInvalid

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@click.command("serve")
@click.argument("flows_dir", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=7860, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for the database, locks and uploads.")
@click.option("--auth", type=click.Choice(["key", "none"]), help="Whether API keys are wanted.")
def serve_command(
    flows_dir: Path | None, host: str, port: int, workers: int, data_dir: Path | None, auth: str | None
) -> None:
    """Serve the flows of FLOWS_DIR.

    On a loopback address, and while no API key was made, everybody on this machine is the local
    user. On any other address an API key is wanted.
    """
    from flowrunner.cli.gunicorn_app import run_gunicorn

    settings: dict[str, Any] = {"flows_dir": str(flows_dir) if flows_dir else None, "data_dir": data_dir}
    settings["auth"] = auth or os.environ.get("FLOWRUNNER_AUTH") or None
    local = is_loopback(host)
    if settings["auth"] != "key" and not _has_keys(settings):
        if not local:
            raise SettingsInvalid(
                f"{host} can be reached from other machines and there is no API key: make one with"
                " flowrunner keys create --user NAME, or listen on 127.0.0.1."
            )
        settings["auth"] = "none"
    if settings["auth"] == "none":
        if not local:
            raise SettingsInvalid(
                f"{host} can be reached from other machines, so API keys are wanted: not --auth none."
            )
        if not os.environ.get("FLOWRUNNER_TRUSTED_HOSTS"):
            settings["trusted_hosts"] = ",".join(LOOPBACK_NAMES)
    if "FLOWRUNNER_PLAYGROUND" not in os.environ:
        settings["playground"] = True
    run_gunicorn(host=host, port=port, workers=workers, settings={k: v for k, v in settings.items() if v is not None})


def is_loopback(host: str) -> bool:
    """Say whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _has_keys(settings: dict[str, Any]) -> bool:
    from flowrunner.cli.context import open_keys

    with open_keys(data_dir=settings["data_dir"]) as keys:
        return bool(keys.list())
