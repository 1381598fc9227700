"""``flowrunner serve``: serve the stand-alone app with gunicorn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("serve")
@click.argument("flows_dir", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--host", help="Address to listen on; default: FLOWRUNNER_BIND, or 127.0.0.1.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on; default: FLOWRUNNER_BIND, or 7860. 0 picks a free port.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Worker processes; default: FLOWRUNNER_WORKERS, or 1.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for the database, locks and uploads.")
@click.option("--plugins-dir", type=click.Path(exists=True, file_okay=False), help="Folder of plugins.")
@click.option("--memory", help="Memory backend.")
@click.option("--auth", type=click.Choice(["key", "none"]), help="Whether requests need an API key.")
def serve_command(
    flows_dir: Path | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    data_dir: Path | None,
    plugins_dir: str | None,
    memory: str | None,
    auth: str | None,
) -> None:
    """Serve the flows of FLOWS_DIR until stopped.

    On a loopback address, and while no API key was made, everybody on this machine is the local
    user. On any other address an API key is wanted. Exit status: 0 when stopped, 1 if it cannot
    start, 2 for wrong usage.
    """
    from flowrunner.cli.gunicorn_app import run_gunicorn
    from flowrunner.cli.preflight import rehearse

    settings: dict[str, Any] = {
        "flows_dir": (str(flows_dir.absolute()),) if flows_dir else None,
        "data_dir": data_dir,
        "plugins_dir": plugins_dir,
        "memory": memory,
        "auth": auth,
        "workers": workers,
    }
    run_gunicorn(rehearse({k: v for k, v in settings.items() if v is not None}, host=host, port=port))
