"""Checks of settings and plugins: values that cannot be read, plugins that cannot be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flowrunner.doctor.finding import Diagnosis, error, warning
from flowrunner.doctor.installation import Installation
from flowrunner.errors import FlowRunnerError
from flowrunner.settings.reading import PREFIX, warn_about_unknown
from flowrunner.site.building import missing_extras
from flowrunner.store.engine import database_url


def find_refused(installation: Installation) -> Iterator[Diagnosis]:
    """Find a setting, or a plugin's wish for one, because of which nothing starts."""
    if installation.refusal:
        yield error("setting-invalid", installation.refusal, "Set it to a value listed in docs/settings.md.")
    settings = installation.settings
    if settings is None:
        return
    for folder in map(Path, settings.flows_dir):
        if not folder.expanduser().is_dir():
            message = f"{PREFIX}FLOWS_DIR names {folder}, which is not a folder."
            yield error("setting-invalid", message, "Create the folder, or set another.")
    try:
        if installation.data_dir is not None:
            database_url(settings)
    except FlowRunnerError as refused:
        code = "extra-missing" if "not installed" in refused.message else "setting-invalid"
        yield error(code, refused.message, f"Install what is missing, or change {PREFIX}DATABASE_URL.")


def find_unknown(installation: Installation) -> Iterator[Diagnosis]:
    """Find variables that look like settings."""
    if installation.plugins is not None:
        table = installation.plugins.registry.settings
        for sentence in warn_about_unknown(table, config={}, environ=installation.environ):
            yield warning("setting-unknown", sentence, "Correct the name or remove the variable.")


def find_failed_plugins(installation: Installation) -> Iterator[Diagnosis]:
    """Find plugins that cannot be loaded."""
    for record in installation.plugins.records if installation.plugins is not None else ():
        if record.state == "failed":
            message = f"The plugin {record.name} cannot be loaded: {record.why().rstrip('.')}."
            yield error("plugin-failed", message, f"Fix or remove it, or list it in {PREFIX}PLUGINS_BLOCKED.")


def find_unknown_stores(installation: Installation) -> Iterator[Diagnosis]:
    """Find a chosen memory backend or vector store that nobody offers."""
    if installation.plugins is None or installation.settings is None:
        return
    registry, settings = installation.plugins.registry, installation.settings
    for kind, name, setting, offers in (
        ("memory backend", settings.memory, "MEMORY", registry.backends),
        ("vector store", settings.vector_store, "VECTOR_STORE", registry.vector_stores),
    ):
        if name not in offers:
            message = f"{PREFIX}{setting} names the {kind} {name}, which no plugin offers."
            yield error("memory-unknown", message, f"Install its plugin, or choose one of {', '.join(sorted(offers))}.")


def find_missing_extras(installation: Installation) -> Iterator[Diagnosis]:
    """Find settings that turn on what no installed package does."""
    for name, package, extra in missing_extras(installation.settings) if installation.settings is not None else ():
        message = f"{PREFIX}{name} needs the package {package}, which is not installed."
        yield error("extra-missing", message, f"pip install 'flask-flowrunner[{extra}]'")


def find_idle_retention(installation: Installation) -> Iterator[Diagnosis]:
    """Find rules of retention that nothing applies."""
    settings = installation.settings
    if settings is not None and settings.memory_retention and not settings.memory_purge_every:
        message = f"{PREFIX}MEMORY_RETENTION has rules, but nothing applies them."
        remedy = f"Set {PREFIX}MEMORY_PURGE_EVERY to a number of seconds, or run flowrunner memory purge from cron."
        yield warning("retention-never-runs", message, remedy)
