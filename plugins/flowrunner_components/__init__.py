"""A plugin of flowrunner."""
