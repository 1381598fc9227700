"""Skeletons of packages and components, written by ``flowrunner new``."""

from flowrunner.scaffold.component import write_component
from flowrunner.scaffold.packages import package_of, write_memory_package, write_plugin_package

__all__ = ["package_of", "write_component", "write_memory_package", "write_plugin_package"]
