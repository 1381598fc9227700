"""The memory backend, vector store and engine that the settings name, built from the plugins' offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowrunner.errors import FlowRunnerError, PluginFailed, is_interrupt, reason_of
from flowrunner.memory import MemoryBackend
from flowrunner.plugins.loading import place_of
from flowrunner.registry import POOL, BackendOffer, Registry
from flowrunner.settings.setting import Settings
from flowrunner.vectors import Vectors, VectorStore


def chosen_backend(registry: Registry, settings: Settings) -> BackendOffer:
    """Return the offer of the memory backend that the settings name.

    :raises PluginFailed: if no plugin offers it.
    """
    return _chosen(registry.backends, settings.memory, "memory backend")


def chosen_schemas(registry: Registry, settings: Settings) -> list[Any]:
    """Return each ``DatabaseSchema`` of the chosen memory backend and vector store, as far as they have tables."""
    chosen = registry.backends.get(settings.memory), registry.vector_stores.get(settings.vector_store)
    return [offer.schema() for offer in chosen if offer is not None and offer.schema is not None]


def build_backend(registry: Registry, app: Any, settings: Settings) -> MemoryBackend:
    """Build the memory backend that the settings name.

    :raises PluginFailed: if no plugin offers it, or it cannot be built.
    """
    offer = chosen_backend(registry, settings)
    backend = _build(offer, "memory backend", app, settings)
    if not isinstance(backend, MemoryBackend):
        raise PluginFailed(
            f"The memory backend {offer.name} of plugin {offer.plugin} is not a MemoryBackend: its factory returned"
            f" {type(backend).__name__}."
        )
    return backend


def open_vectors(registry: Registry, app: Any, settings: Settings) -> Vectors:
    """Return the vector store that the settings name; it is built when it is first wanted.

    :raises PluginFailed: if no plugin offers it, unless it is merely the default.
    """
    name: str = settings.vector_store
    if settings.sources.get("VECTOR_STORE") != "default":
        _chosen(registry.vector_stores, name, "vector store")

    def build() -> VectorStore:
        offer = _chosen(registry.vector_stores, name, "vector store")
        store = _build(offer, "vector store", app, settings)
        if not isinstance(store, VectorStore):
            raise PluginFailed(f"The vector store {offer.name} of plugin {offer.plugin} is not a VectorStore.")
        return store

    return Vectors(name, build)


def chosen_engine(registry: Registry, settings: Settings) -> BackendOffer | None:
    """Return the offer of the engine that the settings name; None for the pool of the process.

    :raises PluginFailed: if no plugin offers it.
    """
    return None if settings.engine == POOL else _chosen(registry.engines, settings.engine, "engine", (POOL,))


def open_engine(registry: Registry, app: Any, settings: Settings) -> Any:
    """Return the engine that the settings name, built; None for the pool of the process.

    :raises PluginFailed: if no plugin offers it, or it cannot be built.
    """
    offer = chosen_engine(registry, settings)
    if offer is None:
        return None
    try:
        engine = offer.factory(app, settings)
    except FlowRunnerError:
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise PluginFailed(f"The engine {offer.name} cannot be opened: {reason_of(error)}.") from error
    if not callable(getattr(engine, "send", None)):
        raise PluginFailed(f"The engine {offer.name} of plugin {offer.plugin} has no send(run_id).")
    return engine


def failure_of(error: BaseException) -> str:
    """Return what a plugin's code raised, with file and line unless it is a sentence made for people."""
    if isinstance(error, FlowRunnerError):
        return reason_of(error)
    place = place_of(error)
    return f"{reason_of(error)} ({place})" if place else reason_of(error)


def _chosen(offers: Mapping[str, BackendOffer], name: str, kind: str, built_in: Iterable[str] = ()) -> BackendOffer:
    if name not in offers:
        known = ", ".join((*built_in, *sorted(offers))) or "none"
        raise PluginFailed(f"No plugin offers the {kind} {name!r}; available are: {known}.")
    return offers[name]


def _build(offer: BackendOffer, kind: str, app: Any, settings: Settings) -> Any:
    try:
        return offer.factory(app, settings)
    except BaseException as error:
        if is_interrupt(error) or getattr(error, "code", "") in ("schema_outdated", "settings_invalid"):
            raise
        raise PluginFailed(
            f"The {kind} {offer.name} of plugin {offer.plugin} cannot start: {failure_of(error)}."
        ) from error
