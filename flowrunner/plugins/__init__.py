"""Discover plugins, register what they offer, and call their hooks."""

from flowrunner.plugins.entry_points import ENTRY_POINT_GROUP
from flowrunner.plugins.manager import PluginManager
from flowrunner.plugins.memory_hooks import BACKEND_NAME, HookedMemory, plugin_at_fault

__all__ = ["BACKEND_NAME", "ENTRY_POINT_GROUP", "HookedMemory", "PluginManager", "plugin_at_fault"]
