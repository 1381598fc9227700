"""Create the plugin manager of an app."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final, Literal, cast

import pluggy

from flowrunner import hookspecs
from flowrunner.components.contract import Component
from flowrunner.errors import FlowRunnerError, PluginFailed, SettingsInvalid, is_interrupt, reason_of
from flowrunner.hookspecs import PROJECT
from flowrunner.memory import Memory, MemoryBackend, MemoryFactory, MemoryOperations
from flowrunner.plugins.loading import (
    NOTHING_MARKED,
    load_file,
    place_of,
    refuse_idle_functions,
    refuse_unknown_hooks,
    why_it_failed,
    why_refused,
    why_useless,
)
from flowrunner.plugins.memory_hooks import HookedMemory, put_backend, refuse_second_backend
from flowrunner.plugins.tracing import shape_of, trace_calls
from flowrunner.registry import POOL, BackendOffer, Registry
from flowrunner.settings.setting import Setting, Settings
from flowrunner.vectors import Vectors, VectorStore, VectorStoreFactory

logger = logging.getLogger("flowrunner")

ENTRY_POINT_GROUP: Final = "flowrunner"
GIVEN: Final = "plugins argument"

_MARK: Final = f"{PROJECT}_impl"
_METHODS: Final = (staticmethod, classmethod, MethodType)


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """What became of one plugin that was found.

    ``origin`` says where: an entry point, the plugins folder or the extension's list. ``place`` is
    the file and line at which one that failed broke.
    """

    name: str
    state: Literal["loaded", "failed", "blocked"]
    origin: str
    distribution: str = ""
    version: str = ""
    reason: str = ""
    place: str = ""

    def why(self) -> str:
        """Return the reason with the place, as the end of a sentence."""
        return f"{self.reason} ({self.place})" if self.place and self.place not in self.reason else self.reason


def _where_distributions_lie() -> tuple[tuple[str, int], ...]:
    """Return the folders in which distributions are installed, with the moments at which they changed."""
    return tuple((folder, os.stat(folder).st_mtime_ns if os.path.isdir(folder) else 0) for folder in sys.path)  # noqa: PTH112, PTH116


@lru_cache(maxsize=1)
def _offered(places: tuple[tuple[str, int], ...]) -> tuple[tuple[importlib.metadata.EntryPoint, str, str], ...]:
    """Return the plugins that installed distributions offer, each with name and version of its distribution.

    A process with many apps, such as a run of tests, looks through them once.

    :param places: see :func:`_where_distributions_lie`.
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
    return tuple(sorted(found, key=lambda item: (item[0].name, item[1])))


class _Hooks(pluggy.PluginManager):
    """pluggy's manager, which looks in a module only at what can be marked.

    pluggy looks each name up without running descriptors, a module's imports, constants and classes
    included: a tenth of what an app's start takes.
    """

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        """Return the options with which a member is marked as a hook, None where it is not."""
        if type(plugin) is ModuleType:
            member = vars(plugin).get(name)
            if _MARK not in vars(member) if type(member) is FunctionType else not isinstance(member, _METHODS):
                return None
        return super().parse_hookimpl_opts(plugin, name)


class PluginManager:
    """The plugins of one app: pluggy's manager, what they offer, and what became of each.

    Nothing of it is global; each app has its own.

    :param trace: print each call of a hook, see :mod:`flowrunner.plugins.tracing`.
    """

    def __init__(self, *, trace: bool = False) -> None:
        self._trace = trace
        self.pm = _Hooks(PROJECT)
        self.pm.add_hookspecs(hookspecs)
        self.registry = Registry()
        self.records: list[PluginRecord] = []

    def load_entry_points(self, blocked: Iterable[str] = (), *, keep_going: bool = False) -> None:
        """Load every plugin that an installed distribution offers.

        :param keep_going: record a failure instead of raising it.
        :raises PluginFailed: naming plugin, distribution and version.
        """
        seen: set[tuple[str, str]] = set()
        for entry, distribution, version in _offered(_where_distributions_lie()):
            if (entry.name, entry.value) in seen:
                continue
            seen.add((entry.name, entry.value))
            self._load(entry.name, entry.load, "entry point", distribution, version, blocked, keep_going)

    def load_folder(self, folder: Path, blocked: Iterable[str] = (), *, keep_going: bool = False) -> None:
        """Load every Python file and package of a folder as a plugin.

        :raises PluginFailed: if the folder is not there, or one of its plugins fails.
        """
        if not folder.is_dir():
            raise PluginFailed(f"The plugins folder {folder} does not exist.")
        for path in sorted(folder.iterdir()):
            package = path / "__init__.py"
            if path.name.startswith((".", "_")) or not (path.suffix == ".py" or package.is_file()):
                continue
            source = package if package.is_file() else path
            self._load(path.stem, partial(load_file, source), "plugins folder", "", "", blocked, keep_going)

    def add(self, plugin: Any, name: str | None = None) -> None:
        """Add a plugin object: a module, an object or a class with hooks, or a component class.

        :raises PluginFailed: if it is refused.
        """
        shown = name or getattr(plugin, "__name__", None) or type(plugin).__name__
        if isinstance(plugin, Component):
            raise PluginFailed(f"plugins=[...]: pass the component class {shown}, not an instance.")
        if isinstance(plugin, MemoryBackend):
            raise PluginFailed(f"plugins=[...]: {shown} is a memory backend: pass it as memory=...")
        if self.pm.has_plugin(shown) or self.pm.is_registered(plugin):
            raise PluginFailed(f"plugins=[...]: there are two plugins named {shown}.")
        given = _OneComponent(plugin) if isinstance(plugin, type) and issubclass(plugin, Component) else plugin
        useless = NOTHING_MARKED
        if plugin is not None:
            self._load(shown, lambda: given, GIVEN, "", "", (), False)
            useless = why_useless(self.pm, shown)
        if useless == NOTHING_MARKED:
            useless = "pass component classes, or plugins whose functions are marked with @hookimpl"
        if useless:
            raise PluginFailed(f"plugins=[...]: {plugin!r} would do nothing: {useless}.")

    def collect_settings(self) -> None:
        """Ask the plugins for backends, stores and settings; these must be known before settings are read.

        :raises PluginFailed: if an offer is refused.
        """
        self._trace_calls()
        self._collect("register_settings", lambda plugin: lambda setting: self.registry.add_setting(setting, plugin))
        self._collect("register_memory_backends", self._backend_callback)
        self._collect("register_vector_stores", self._store_callback)
        self._collect("register_engines", self._engine_callback)

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
            raise PluginFailed(f"No plugin offers the memory backend {settings.memory!r}; available are: {known}.")
        return offer

    def open_memory(self, app: Any, settings: Settings) -> Memory:
        """Build the backend that the settings name and make its operations hooks.

        :raises PluginFailed: if no plugin offers it, it cannot be built, or another plugin
            implements (rather than wraps) a memory hook.
        """
        offer = self.chosen_backend(settings)
        try:
            backend = offer.factory(app, settings)
        except BaseException as error:
            if is_interrupt(error) or getattr(error, "code", "") in ("schema_outdated", "settings_invalid"):
                raise
            raise PluginFailed(
                f"The memory backend {offer.name} of plugin {offer.plugin} cannot start: {_failure_of(error)}."
            ) from error
        if not isinstance(backend, MemoryBackend):
            raise PluginFailed(
                f"The memory backend {offer.name} of plugin {offer.plugin} is not a MemoryBackend: its factory returned"
                f" {type(backend).__name__}."
            )
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

    def chosen_engine(self, settings: Settings) -> BackendOffer | None:
        """Return the engine that the settings name; None for the pool of the process.

        :raises PluginFailed: if no plugin offers it.
        """
        name: str = settings.engine
        if name == POOL:
            return None
        offer = self.registry.engines.get(name)
        if offer is None:
            known = ", ".join((POOL, *sorted(self.registry.engines)))
            raise PluginFailed(f"No plugin offers the engine {name!r}; available are: {known}.")
        return offer

    def open_engine(self, app: Any, settings: Settings) -> Any:
        """Return the engine that the settings name, built; None for the pool of the process.

        :raises PluginFailed: if no plugin offers it, or it cannot be built.
        """
        offer = self.chosen_engine(settings)
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

    def use_memory(self, backend: MemoryBackend, name: str) -> Memory:
        """Make an open backend the one that answers the memory hooks; it takes the place of an earlier one.

        :raises PluginFailed: if a plugin implements a memory hook rather than wrapping it.
        """
        put_backend(self.pm, backend)
        self._trace_calls()
        return Memory(cast(MemoryOperations, HookedMemory(self.pm)), backend=backend, name=name)

    def refuse_second_backend(self) -> None:
        """Refuse plugins that implement a memory hook, where they may only wrap it.

        :raises PluginFailed: naming the plugin.
        """
        refuse_second_backend(self.pm)

    def _trace_calls(self) -> None:
        if self._trace:
            trace_calls(self.pm)

    def _collect(self, hook: str, make_argument: Callable[[str], Any]) -> None:
        for impl in getattr(self.pm.hook, hook).get_hookimpls():
            try:
                answer = impl.function(make_argument(impl.plugin_name))
                if answer is not None and hook.startswith("register_"):
                    raise PluginFailed(
                        f"Plugin {impl.plugin_name} failed in {hook}: it returned {shape_of(answer)}, which is ignored:"
                        " call register(...) for each."
                    )
            except (PluginFailed, SettingsInvalid):
                raise
            except BaseException as error:
                if is_interrupt(error):
                    raise
                raise PluginFailed(f"Plugin {impl.plugin_name} failed in {hook}: {_failure_of(error)}.") from error

    def _backend_callback(self, plugin: str) -> Callable[..., None]:
        def register(
            name: str, factory: MemoryFactory, settings: Iterable[Setting] = (), schema: Callable[[], Any] | None = None
        ) -> None:
            self.registry.add_backend(BackendOffer(name, factory, _several(name, settings, plugin), plugin, schema))

        # Under this name an author knows it, who may call it wrongly.
        register.__qualname__ = "register"
        return register

    def _store_callback(self, plugin: str) -> Callable[..., None]:
        def register(
            name: str,
            factory: VectorStoreFactory,
            settings: Iterable[Setting] = (),
            schema: Callable[[], Any] | None = None,
        ) -> None:
            offer = BackendOffer(name, factory, _several(name, settings, plugin), plugin, schema)
            self.registry.add_vector_store(offer)

        register.__qualname__ = "register"
        return register

    def _engine_callback(self, plugin: str) -> Callable[..., None]:
        def register(name: str, factory: Callable[[Any, Any], Any], settings: Iterable[Setting] = ()) -> None:
            if name == POOL:
                raise PluginFailed(
                    f"Plugin {plugin} offers an engine named {POOL}, which is reserved for the built-in one."
                )
            self.registry.add_engine(BackendOffer(name, factory, _several(name, settings, plugin), plugin))

        register.__qualname__ = "register"
        return register

    def _load(
        self,
        name: str,
        load: Callable[[], Any],
        origin: str,
        distribution: str,
        version: str,
        blocked: Iterable[str],
        keep_going: bool,
    ) -> None:
        where = f" of {distribution} {version}" if distribution else ""
        if name in blocked:
            self._record(name, "blocked", origin, distribution, version, "blocked by FLOWRUNNER_PLUGINS_BLOCKED")
            return
        try:
            plugin = load()
            if isinstance(plugin, type):
                # What a class keeps of an app is then that app's own, also if several have the plugin.
                plugin = plugin()
            try:
                registered = self.pm.register(plugin, name=name)
            except pluggy.PluginValidationError as error:
                raise PluginFailed(why_refused(self.pm, plugin, error)) from error
            if registered is None:
                raise PluginFailed("a plugin of this name is blocked")
            refuse_unknown_hooks(self.pm, name)
            refuse_idle_functions(self.pm, name)
            useless = why_useless(self.pm, name)
            if useless and origin != GIVEN:
                raise PluginFailed(f"it would do nothing: {useless}")
        except BaseException as error:
            if is_interrupt(error):
                raise
            record = self._record(name, "failed", origin, distribution, version, why_it_failed(error), place_of(error))
            if keep_going:
                if self.pm.has_plugin(name):
                    self.pm.unregister(name=name)
                return
            raise PluginFailed(f"The plugin {name}{where} ({origin}) cannot be loaded: {record.why()}.") from error
        self._record(name, "loaded", origin, distribution, version)

    def _record(
        self,
        name: str,
        state: Literal["loaded", "failed", "blocked"],
        origin: str,
        distribution: str,
        version: str,
        reason: str = "",
        place: str = "",
    ) -> PluginRecord:
        self.records.append(PluginRecord(name, state, origin, distribution, version, reason, place))
        return self.records[-1]


def _several(name: str, settings: Iterable[Setting], plugin: str) -> tuple[Setting, ...]:
    if isinstance(settings, Setting):
        raise PluginFailed(
            f"Plugin {plugin} offers {name} with a single Setting; write a one-element tuple with a"
            " comma, settings=(Setting(...),)."
        )
    return tuple(settings)


def _no_store(name: str, registry: Registry) -> str:
    known = ", ".join(sorted(registry.vector_stores)) or "none"
    return f"No plugin offers the vector store {name!r}; available are: {known}."


def _build_store(offer: BackendOffer, app: Any, settings: Settings) -> VectorStore:
    try:
        store = offer.factory(app, settings)
    except BaseException as error:
        if is_interrupt(error) or getattr(error, "code", "") in ("schema_outdated", "settings_invalid"):
            raise
        raise PluginFailed(
            f"The vector store {offer.name} of plugin {offer.plugin} cannot start: {_failure_of(error)}."
        ) from error
    if not isinstance(store, VectorStore):
        raise PluginFailed(f"The vector store {offer.name} of plugin {offer.plugin} is not a VectorStore.")
    return store


class _OneComponent:
    """A component class given to ``plugins=[...]``, as a plugin."""

    def __init__(self, component: type[Component]) -> None:
        self._component = component

    @hookspecs.hookimpl
    def register_components(self, register: Callable[[type[Component]], None]) -> None:
        register(self._component)


def _failure_of(error: BaseException) -> str:
    """Return what a plugin's code raised, with file and line unless it is a sentence made for people."""
    if isinstance(error, FlowRunnerError):
        return reason_of(error)
    place = place_of(error)
    return f"{reason_of(error)} ({place})" if place else reason_of(error)
