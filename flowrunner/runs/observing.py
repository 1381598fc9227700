"""Pass the events of runs to observers: the run log, metrics, traces and plugins."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from flowrunner.engine.events import Observer, RunEvent
from flowrunner.errors import FlowRunnerError, is_interrupt
from flowrunner.plugins import PluginManager, plugin_at_fault

logger = logging.getLogger("flowrunner")


class Observers:
    """The observers of a runner's runs. A failing observer never fails a run.

    :param observers: the observers of the runner.
    :param plugins: plugins that implement the hook ``run_event`` are observers too.
    """

    def __init__(self, observers: Sequence[Observer], plugins: PluginManager) -> None:
        self._plugins = plugins
        hook = plugins.pm.hook.run_event
        shown = [Observer(lambda event: hook(event=event))] if hook.get_hookimpls() else []
        self.all = [*observers, *shown]

    def __bool__(self) -> bool:
        return bool(self.all)

    @property
    def kinds(self) -> frozenset[str] | None:
        """The kinds of events that any observer handles; None if one handles all."""
        kinds = [observer.kinds for observer in self.all]
        return None if None in kinds else frozenset[str]().union(*(k for k in kinds if k is not None))

    def show(self, event: RunEvent) -> None:
        """Pass an event to the observers that handle its kind."""
        for observer in self.all:
            if observer.kinds is not None and event.kind not in observer.kinds:
                continue
            try:
                observer.emit(event)
            except FlowRunnerError as error:
                logger.error("an observer of runs failed: %s", error)
            except BaseException as error:
                if is_interrupt(error):
                    raise
                plugin = plugin_at_fault(self._plugins.pm, "run_event", error)
                logger.exception("an observer of runs failed%s", f": the plugin {plugin}" if plugin else "")
