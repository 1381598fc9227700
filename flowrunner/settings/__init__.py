"""Settings: the table of them, and how they are read."""

from flowrunner.settings.reading import PREFIX, read_settings, refuse_unknown, warn_about_unknown
from flowrunner.settings.setting import Setting, Settings
from flowrunner.settings.table import KEY_VARIABLES, SETTINGS

__all__ = [
    "KEY_VARIABLES",
    "PREFIX",
    "SETTINGS",
    "Setting",
    "Settings",
    "read_settings",
    "refuse_unknown",
    "warn_about_unknown",
]
