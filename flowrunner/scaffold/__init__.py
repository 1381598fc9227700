"""Packages to begin with, written by ``flowrunner new``."""

from flowrunner.scaffold.packages import write_memory_package

__all__ = ["write_memory_package"]
