"""Discover plugins, register what they offer, and call their hooks."""

from flowrunner.plugins.manager import ENTRY_POINT_GROUP, PluginManager
from flowrunner.plugins.memory_hooks import BACKEND_NAME, HookedMemory, plugin_at_fault

__all__ = ["BACKEND_NAME", "ENTRY_POINT_GROUP", "HookedMemory", "PluginManager", "plugin_at_fault"]
