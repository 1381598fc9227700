"""The registry of an app: components by type, memory backends and vector stores by name, settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowrunner.components.contract import Component
from flowrunner.declarations import make_component
from flowrunner.errors import PluginFailed
from flowrunner.memory.backend import MemoryFactory
from flowrunner.settings.reading import PREFIX
from flowrunner.settings.setting import Setting
from flowrunner.settings.table import SETTINGS
from flowrunner.text.type_names import is_class_name, loose, spellings
from flowrunner.vectors.store import VectorStoreFactory

_BACKEND_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
#: The engine that needs nothing: the threads of whichever server accepted a run.
POOL: Final = "pool"
_SETTING_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]*")
#: Names that are known to mean nothing; who sends ever new ones has them looked at each time.
_MOST_UNKNOWN: Final = 10_000
#: What settings have besides their values.
_RESERVED: Final = ("PREFIX", "SOURCES", "WITH_VALUES")


@dataclass(frozen=True, slots=True)
class BackendOffer:
    """A memory backend, vector store or engine that a plugin offers: how to build it, its settings, who offers it.

    ``schema`` returns the :class:`~flowrunner.DatabaseSchema` of one that has tables.
    """

    name: str
    factory: MemoryFactory | VectorStoreFactory | Callable[[Any, Any], Any]
    settings: tuple[Setting, ...]
    plugin: str
    schema: Callable[[], Any] | None = None


class Registry:
    """Components, memory backends, vector stores and settings of one app. A name that is taken is refused."""

    def __init__(self) -> None:
        self._components: dict[str, Component] = {}
        self._aliases: dict[str, str] = {}
        self._offered_by: dict[str, str] = {}
        self._loose: Mapping[str, str] | None = None
        self._unknown: set[str] = set()
        self.backends: dict[str, BackendOffer] = {}
        self.vector_stores: dict[str, BackendOffer] = {}
        self.engines: dict[str, BackendOffer] = {}
        self._settings: dict[str, Setting] = {s.name: s for s in SETTINGS}

    def add_component(self, component: type[Component], plugin: str) -> None:
        """Add a component class.

        :raises PluginFailed: if it declares what cannot be, its ``run`` does not fit, or its type is taken.
        """
        try:
            made = make_component(component)
        except PluginFailed as error:
            raise PluginFailed(f"Plugin {plugin} offers {error.message}.") from error.__cause__
        name = made.type_name
        for taken in (name, *made.aliases):
            if taken in self._components or taken in self._aliases:
                other = self._offered_by[self._aliases.get(taken, taken)]
                raise PluginFailed(
                    f"Plugin {plugin} offers the component type {taken}, which plugin {other} already offers."
                )
        self._components[name] = made
        self._loose, self._unknown = None, set()
        self._offered_by[name] = plugin
        for alias in made.aliases:
            self._aliases[alias] = name

    def add_backend(self, offer: BackendOffer) -> None:
        """Add a memory backend and its settings.

        :raises PluginFailed: if the name, or that of a setting, is taken or does not fit.
        """
        self._add_offer(self.backends, offer, "memory backend")

    def add_vector_store(self, offer: BackendOffer) -> None:
        """Add a vector store and its settings.

        :raises PluginFailed: if the name, or that of a setting, is taken or does not fit.
        """
        self._add_offer(self.vector_stores, offer, "vector store")

    def add_engine(self, offer: BackendOffer) -> None:
        """Add an engine and its settings.

        :raises PluginFailed: if the name, or that of a setting, is taken or does not fit.
        """
        self._add_offer(self.engines, offer, "engine")

    def _add_offer(self, offers: dict[str, BackendOffer], offer: BackendOffer, what: str) -> None:
        if not isinstance(offer.name, str) or not _BACKEND_NAME.fullmatch(offer.name):
            raise PluginFailed(
                f"Plugin {offer.plugin} offers a {what} called {offer.name!r}; a name has letters, digits and"
                " hyphens only."
            )
        if not callable(offer.factory):
            raise PluginFailed(
                f"Plugin {offer.plugin} offers the {what} {offer.name} with {offer.factory!r} as its factory;"
                " a factory is a function of app and settings."
            )
        if offer.name in offers:
            other = offers[offer.name].plugin
            raise PluginFailed(
                f"Plugin {offer.plugin} offers the {what} {offer.name}, which plugin {other} already offers."
            )
        prefix = offer.name.upper().replace("-", "_") + "_"
        for setting in offer.settings:
            if isinstance(setting, Setting) and not setting.name.removeprefix(PREFIX).startswith(prefix):
                raise PluginFailed(
                    f"Plugin {offer.plugin} declares the setting {setting.name} for the {what}"
                    f" {offer.name}; its name must begin with {prefix}."
                )
            self.add_setting(setting, offer.plugin)
        offers[offer.name] = offer

    def add_setting(self, setting: Setting, plugin: str) -> None:
        """Add a setting.

        :raises PluginFailed: if it is none, or its name is taken or cannot be one.
        """
        if not isinstance(setting, Setting):
            raise PluginFailed(
                f"Plugin {plugin} registers {setting!r} as a setting; register(Setting(name, default, help)) does."
            )
        name = setting.name
        if isinstance(name, str) and name.upper().startswith(PREFIX):
            raise PluginFailed(
                f"Plugin {plugin} declares the setting {name}; leave out {PREFIX}, which is added to every"
                f" name: {name.upper().removeprefix(PREFIX)}."
            )
        if not isinstance(name, str) or not _SETTING_NAME.fullmatch(name) or name in _RESERVED:
            raise PluginFailed(
                f"Plugin {plugin} declares the setting {name!r}; a name has capital letters, digits and"
                f" underscores, and may not be one of {', '.join(_RESERVED)}."
            )
        if not callable(setting.parse):
            raise PluginFailed(f"Plugin {plugin} declares the setting {name}, whose parse is not a function.")
        if setting.name in self._settings:
            raise PluginFailed(f"Plugin {plugin} declares the setting {setting.name}, which already exists.")
        self._settings[setting.name] = setting

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All declared settings, the core's first."""
        return tuple(self._settings.values())

    def component(self, type_name: str) -> Component | None:
        """Return the component of a type or an older name of it, or None.

        Also meant are the class of a bundle (``ext:ibm:WatsonxAIComponent@official``), the name of
        a copy (``CalculatorComponent (i4779)``), and a class for its type (``TextInputComponent``).
        """
        found = self._components.get(self._aliases.get(type_name, type_name))
        if found is not None or not isinstance(type_name, str) or type_name in self._unknown:
            return found
        found = self._find_spelling(type_name)
        if found is None and len(self._unknown) < _MOST_UNKNOWN:
            self._unknown.add(type_name)
        return found

    def _find_spelling(self, type_name: str) -> Component | None:
        for name in spellings(type_name):
            known = self._aliases.get(name, name)
            if known not in self._components and (is_class_name(name) or type_name.startswith("ext:")):
                known = self._loosely().get(loose(name), "")
            if known in self._components:
                return self._components[known]
        return None

    def _loosely(self) -> Mapping[str, str]:
        """Return types by what is left of their names without suffix; what several share means none of them."""
        if self._loose is None:
            found: dict[str, set[str]] = {}
            for name in self.types():
                found.setdefault(loose(name), set()).add(self._aliases.get(name, name))
            self._loose = {name: next(iter(types)) for name, types in found.items() if len(types) == 1}
        return self._loose

    def secret_inputs(self, type_name: str) -> frozenset[str]:
        """Return the names of the inputs of a component type that take secrets; none for a type that is not known."""
        found = self.component(type_name)
        inputs = () if found is None else found.inputs
        return frozenset(name for i in inputs if i.type == "secret" for name in (i.name, *i.aliases))

    def components(self) -> Iterator[Component]:
        """Yield all components, by type name."""
        for name in sorted(self._components):
            yield self._components[name]

    def plugin_of(self, type_name: str) -> str:
        """Return the name of the plugin that offers a component type."""
        found = self.component(type_name)
        return "" if found is None else self._offered_by.get(found.type_name, "")

    def types(self) -> Iterable[str]:
        """Return every type name and alias that is known."""
        return (*self._components, *self._aliases)
