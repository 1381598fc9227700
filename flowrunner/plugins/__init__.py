"""Finding plugins, asking them what they offer, and calling them."""

from flowrunner.plugins.manager import ENTRY_POINT_GROUP, PluginManager
from flowrunner.plugins.memory_hooks import BACKEND_NAME, HookedMemory, plugin_at_fault

__all__ = ["BACKEND_NAME", "ENTRY_POINT_GROUP", "HookedMemory", "PluginManager", "plugin_at_fault"]
