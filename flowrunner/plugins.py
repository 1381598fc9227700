"""Finding plugins, and making the plugin manager of one app."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, cast

import pluggy

from flowrunner import hookspecs
from flowrunner.components import Component
from flowrunner.errors import PluginFailed, SettingsInvalid
from flowrunner.hookspecs import MEMORY_HOOKS, PROJECT
from flowrunner.memory import Memory, MemoryBackend, MemoryFactory, MemoryOperations
from flowrunner.registry import BackendOffer, Registry
from flowrunner.settings import Setting, Settings
from flowrunner.vectors import Vectors, VectorStore, VectorStoreFactory

logger = logging.getLogger("flowrunner")

ENTRY_POINT_GROUP: Final = "flowrunner"
BACKEND_NAME: Final = "memory backend"


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """What became of one plugin that was found.

    ``origin`` says where: an entry point, the plugins folder or the extension's list.
    """

    name: str
    state: Literal["loaded", "failed", "blocked"]
    origin: str
    distribution: str = ""
    version: str = ""
    reason: str = ""


class PluginManager:
    """The plugins of one app: pluggy's manager, what they offer, and what became of each.

    Nothing of it is global; each app has its own.
    """

    def __init__(self) -> None:
        self.pm = pluggy.PluginManager(PROJECT)
        self.pm.add_hookspecs(hookspecs)
        self.registry = Registry()
        self.records: list[PluginRecord] = []

    def load_entry_points(self, blocked: Iterable[str] = (), *, keep_going: bool = False) -> None:
        """Load every plugin that an installed distribution offers.

        :param keep_going: record a failure instead of raising it.
        :raises PluginFailed: naming plugin, distribution and version.
        """
        found = []
        for dist in importlib.metadata.distributions():
            # Parsing what each of a hundred distributions offers would be half of what mounting takes in a site.
            if f"[{ENTRY_POINT_GROUP}]" not in (dist.read_text("entry_points.txt") or ""):
                continue
            metadata = dist.metadata
            for entry in dist.entry_points:
                if entry.group == ENTRY_POINT_GROUP:
                    found.append((entry, metadata["Name"] or "", metadata["Version"] or ""))
        seen: set[tuple[str, str]] = set()
        for entry, distribution, version in sorted(found, key=lambda item: (item[0].name, item[1])):
            if (entry.name, entry.value) in seen:
                continue
            seen.add((entry.name, entry.value))
            self._load(entry.name, entry.load, "entry point", distribution, version, blocked, keep_going)

    def load_folder(self, folder: Path, blocked: Iterable[str] = (), *, keep_going: bool = False) -> None:
        """Load every Python file and package of a folder as a plugin.

        :raises PluginFailed: if the folder is not there, or one of its plugins fails.
        """
        if not folder.is_dir():
            raise PluginFailed(f"The plugins folder {folder} is not there.")
        for path in sorted(folder.iterdir()):
            package = path / "__init__.py"
            if path.name.startswith((".", "_")) or not (path.suffix == ".py" or package.is_file()):
                continue
            source = package if package.is_file() else path
            self._load(path.stem, partial(_load_file, source), "plugins folder", "", "", blocked, keep_going)

    def add(self, plugin: Any, name: str | None = None) -> None:
        """Add a plugin object: a module, an object or a class with hooks, or a component class.

        :raises PluginFailed: if it is refused.
        """
        shown = name or getattr(plugin, "__name__", None) or type(plugin).__name__
        if isinstance(plugin, Component):
            raise PluginFailed(f"plugins=[...]: give the component class {shown} itself, not an object of it.")
        if isinstance(plugin, MemoryBackend):
            raise PluginFailed(f"plugins=[...]: {shown} is a memory backend: give it as memory=...")
        if self.pm.has_plugin(shown) or self.pm.is_registered(plugin):
            raise PluginFailed(
                f"plugins=[...]: there is a plugin {shown} already; give each once, and no two of one name."
            )
        given = _OneComponent(plugin) if isinstance(plugin, type) and issubclass(plugin, Component) else plugin
        self._load(shown, lambda: given, "plugins argument", "", "", (), False)
        if not self.pm.get_hookcallers(self.pm.get_plugin(shown)):
            raise PluginFailed(
                f"plugins=[...]: {plugin!r} would do nothing: give component classes, and plugins whose functions are"
                " marked with @hookimpl."
            )

    def collect_settings(self) -> None:
        """Ask the plugins for backends, stores and settings; these must be known before settings are read.

        :raises PluginFailed: if an offer is refused.
        """
        self._collect("register_settings", lambda plugin: lambda setting: self.registry.add_setting(setting, plugin))
        self._collect("register_memory_backends", self._backend_callback)
        self._collect("register_vector_stores", self._store_callback)

    def collect_components(self) -> None:
        """Ask the plugins for their components.

        :raises PluginFailed: if an offer is refused.
        """
        self._collect(
            "register_components", lambda plugin: lambda component: self.registry.add_component(component, plugin)
        )

    def hand_out_settings(self, settings: Settings) -> None:
        """Give the plugins that want them the settings.

        :raises PluginFailed: if a plugin cannot work with them.
        """
        self._collect("use_settings", lambda plugin: settings)

    def chosen_backend(self, settings: Settings) -> BackendOffer:
        """Return the offer of the memory backend that the settings name.

        :raises PluginFailed: if no plugin offers it.
        """
        offer = self.registry.backends.get(settings.memory)
        if offer is None:
            known = ", ".join(sorted(self.registry.backends)) or "none"
            raise PluginFailed(f"No plugin offers the memory backend {settings.memory!r}; offered are: {known}.")
        return offer

    def open_memory(self, app: Any, settings: Settings) -> Memory:
        """Build the backend that the settings name and make its operations hooks.

        :raises PluginFailed: if no plugin offers it, it cannot be built, or another plugin
            implements (rather than wraps) a memory hook.
        """
        offer = self.chosen_backend(settings)
        try:
            backend = offer.factory(app, settings)
        except Exception as error:
            if getattr(error, "code", "") in ("schema_outdated", "settings_invalid"):
                raise
            raise PluginFailed(
                f"The memory backend {offer.name} of plugin {offer.plugin} cannot start: {error}"
            ) from error
        if not isinstance(backend, MemoryBackend):
            raise PluginFailed(f"The memory backend {offer.name} of plugin {offer.plugin} is no MemoryBackend.")
        return self.use_memory(backend, offer.name)

    def open_vectors(self, app: Any, settings: Settings) -> Vectors:
        """Return the vector store that the settings name; it is built when it is first wanted.

        :raises PluginFailed: if no plugin offers it, unless it is merely the default.
        """
        name: str = settings.vector_store
        offer = self.registry.vector_stores.get(name)
        if offer is None and settings.sources.get("VECTOR_STORE") != "default":
            raise PluginFailed(_no_store(name, self.registry))

        def build() -> VectorStore:
            if offer is None:
                raise PluginFailed(_no_store(name, self.registry))
            return _build_store(offer, app, settings)

        return Vectors(name, build)

    def use_memory(self, backend: MemoryBackend, name: str) -> Memory:
        """Make an open backend the one that answers the memory hooks; it takes the place of an earlier one."""
        if self.pm.has_plugin(BACKEND_NAME):
            self.pm.unregister(name=BACKEND_NAME)
        self.pm.register(_BackendHooks(backend), name=BACKEND_NAME)
        self.refuse_second_backend()
        return Memory(cast(MemoryOperations, HookedMemory(self.pm)), backend=backend, name=name)

    def refuse_second_backend(self) -> None:
        """Refuse plugins that implement a memory hook, where they may only wrap it.

        :raises PluginFailed: naming the plugin.
        """
        for hook in MEMORY_HOOKS:
            for impl in getattr(self.pm.hook, hook).get_hookimpls():
                if not (impl.wrapper or impl.hookwrapper) and impl.plugin_name != BACKEND_NAME:
                    raise PluginFailed(
                        f"Plugin {impl.plugin_name} implements {hook}; only the chosen backend may."
                        " Wrap it with @hookimpl(wrapper=True), or offer a backend of its own name."
                    )

    def _collect(self, hook: str, make_argument: Callable[[str], Any]) -> None:
        for impl in getattr(self.pm.hook, hook).get_hookimpls():
            try:
                impl.function(make_argument(impl.plugin_name))
            except (PluginFailed, SettingsInvalid):
                raise
            except Exception as error:
                raise PluginFailed(f"Plugin {impl.plugin_name} failed in {hook}: {error}.") from error

    def _backend_callback(self, plugin: str) -> Callable[..., None]:
        def register(
            name: str, factory: MemoryFactory, settings: Iterable[Setting] = (), schema: Callable[[], Any] | None = None
        ) -> None:
            self.registry.add_backend(BackendOffer(name, factory, tuple(settings), plugin, schema))

        return register

    def _store_callback(self, plugin: str) -> Callable[..., None]:
        def register(
            name: str, factory: VectorStoreFactory, settings: Iterable[Setting] = (),
            schema: Callable[[], Any] | None = None,
        ) -> None:  # fmt: skip
            self.registry.add_vector_store(BackendOffer(name, factory, tuple(settings), plugin, schema))

        return register

    def _load(
        self, name: str, load: Callable[[], Any], origin: str, distribution: str, version: str,
        blocked: Iterable[str], keep_going: bool,
    ) -> None:  # fmt: skip
        where = f" of {distribution} {version}" if distribution else ""
        if name in blocked:
            self._record(name, "blocked", origin, distribution, version, "blocked by FLOWRUNNER_PLUGINS_BLOCKED")
            return
        try:
            plugin = load()
            if isinstance(plugin, type):
                # What a class keeps of an app is then that app's own, also if several have the plugin.
                plugin = plugin()
            if self.pm.register(plugin, name=name) is None:
                raise PluginFailed("it is blocked")
            self._check_hooks(plugin)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}" if not isinstance(error, PluginFailed) else str(error)
            self._record(name, "failed", origin, distribution, version, reason)
            if keep_going:
                if self.pm.has_plugin(name):
                    self.pm.unregister(name=name)
                return
            raise PluginFailed(f"The plugin {name}{where} ({origin}) cannot be loaded: {reason}.") from error
        self._record(name, "loaded", origin, distribution, version)

    def _check_hooks(self, plugin: Any) -> None:
        """Refuse a hook that the spec does not know: a misspelt one would never be called."""
        for caller in self.pm.get_hookcallers(plugin) or []:
            if not caller.has_spec():
                raise PluginFailed(f"it implements {caller.name}, which is no hook of flowrunner")

    def _record(
        self, name: str, state: Literal["loaded", "failed", "blocked"], origin: str, distribution: str, version: str,
        reason: str = "",
    ) -> None:  # fmt: skip
        self.records.append(PluginRecord(name, state, origin, distribution, version, reason))


def _no_store(name: str, registry: Registry) -> str:
    known = ", ".join(sorted(registry.vector_stores)) or "none"
    return f"No plugin offers the vector store {name!r}; offered are: {known}."


def _build_store(offer: BackendOffer, app: Any, settings: Settings) -> VectorStore:
    try:
        store = offer.factory(app, settings)
    except Exception as error:
        if getattr(error, "code", "") in ("schema_outdated", "settings_invalid"):
            raise
        raise PluginFailed(f"The vector store {offer.name} of plugin {offer.plugin} cannot start: {error}") from error
    if not isinstance(store, VectorStore):
        raise PluginFailed(f"The vector store {offer.name} of plugin {offer.plugin} is no VectorStore.")
    return store


class HookedMemory:
    """The memory hooks as plain operations."""

    def __init__(self, pm: pluggy.PluginManager) -> None:
        hook = pm.hook
        self.append_messages = lambda messages: hook.append_messages(messages=messages)
        self.fetch_messages = lambda query: hook.fetch_messages(query=query)
        self.update_messages = lambda query, changes: hook.update_messages(query=query, changes=changes)
        self.delete_messages = lambda query: hook.delete_messages(query=query)
        self.list_sessions = lambda query: hook.list_sessions(query=query)
        self.close = lambda: hook.close()


class _BackendHooks:
    """Exactly the memory operations of a backend, as hook implementations."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    @hookspecs.hookimpl
    def append_messages(self, messages: Any) -> Any:
        return self._backend.append_messages(messages)

    @hookspecs.hookimpl
    def fetch_messages(self, query: Any) -> Any:
        return self._backend.fetch_messages(query)

    @hookspecs.hookimpl
    def update_messages(self, query: Any, changes: Any) -> Any:
        return self._backend.update_messages(query, changes)

    @hookspecs.hookimpl
    def delete_messages(self, query: Any) -> Any:
        return self._backend.delete_messages(query)

    @hookspecs.hookimpl
    def list_sessions(self, query: Any) -> Any:
        return self._backend.list_sessions(query)

    @hookspecs.hookimpl
    def close(self) -> Any:
        return self._backend.close()


class _OneComponent:
    """A component class given to ``plugins=[...]``, as a plugin."""

    def __init__(self, component: type[Component]) -> None:
        self._component = component

    @hookspecs.hookimpl
    def register_components(self, register: Callable[[type[Component]], None]) -> None:
        register(self._component)


def _load_file(path: Path) -> Any:
    """Import a file or package of the plugins folder under a name of its own."""
    name = f"flowrunner_folder_plugin_{path.parent.name if path.name == '__init__.py' else path.stem}"
    spec = importlib.util.spec_from_file_location(
        name, path, submodule_search_locations=[str(path.parent)] if path.name == "__init__.py" else None
    )
    if spec is None or spec.loader is None:
        raise PluginFailed(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
