"""Create the plugin manager of an app."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final, Literal, cast

import pluggy

from flowrunner import hookspecs
from flowrunner.components.contract import Component
from flowrunner.errors import PluginFailed, SettingsInvalid, is_interrupt
from flowrunner.hookspecs import PROJECT
from flowrunner.memory import Memory, MemoryBackend, MemoryFactory, MemoryOperations
from flowrunner.plugins.entry_points import installed_plugins
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
from flowrunner.plugins.selection import build_backend, failure_of
from flowrunner.plugins.tracing import shape_of, trace_calls
from flowrunner.registry import POOL, BackendOffer, Registry
from flowrunner.settings.setting import Setting, Settings
from flowrunner.vectors import VectorStoreFactory

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
        for entry, distribution, version in installed_plugins():
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
        self._collect("register_memory_backends", self._offering(self.registry.add_backend))
        self._collect("register_vector_stores", self._offering(self.registry.add_vector_store))
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

    def open_memory(self, app: Any, settings: Settings) -> Memory:
        """Build the backend that the settings name and make its operations hooks.

        :raises PluginFailed: if no plugin offers it, it cannot be built, or another plugin
            implements (rather than wraps) a memory hook.
        """
        return self.use_memory(build_backend(self.registry, app, settings), settings.memory)

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
                raise PluginFailed(f"Plugin {impl.plugin_name} failed in {hook}: {failure_of(error)}.") from error

    def _offering(self, add: Callable[[BackendOffer], None]) -> Callable[[str], Callable[..., None]]:
        """Return what makes, for each plugin, the function ``register`` for backends or vector stores."""

        def for_plugin(plugin: str) -> Callable[..., None]:
            def register(
                name: str,
                factory: MemoryFactory | VectorStoreFactory,
                settings: Iterable[Setting] = (),
                schema: Callable[[], Any] | None = None,
            ) -> None:
                add(BackendOffer(name, factory, _several(name, settings, plugin), plugin, schema))

            # Under this name an author knows it, who may call it wrongly.
            register.__qualname__ = "register"
            return register

        return for_plugin

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


class _OneComponent:
    """A component class given to ``plugins=[...]``, as a plugin."""

    def __init__(self, component: type[Component]) -> None:
        self._component = component

    @hookspecs.hookimpl
    def register_components(self, register: Callable[[type[Component]], None]) -> None:
        register(self._component)
