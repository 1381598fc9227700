"""Logging of the stand-alone app, as text or as JSON lines."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from flowrunner.settings.reading import read_settings
from flowrunner.settings.table import SETTINGS
from flowrunner.telemetry.correlation import REQUEST_ID
from flowrunner.text.printable import printable

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
#: What every log record has; the rest was given as ``extra``.
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the exception, and what ``extra`` gave."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        shown: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            shown["request_id"] = request_id
        if record.exc_info:
            shown["exception"] = self.formatException(record.exc_info)
        shown.update((name, value) for name, value in vars(record).items() if name not in _USUAL)
        return json.dumps(shown, default=str)


class TextFormatter(logging.Formatter):
    """A line of text, with the id of the request; what a client wrote never begins a line of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the first line of a record."""
        line = printable(super().formatMessage(record))
        request_id = REQUEST_ID.get()
        return f"{line} [{request_id}]" if request_id else line

    def formatException(self, ei: Any) -> str:
        """Return a traceback; the words of an exception may be a client's, too."""
        return "\n".join(printable(line) for line in super().formatException(ei).splitlines())


def set_up_logging(config: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> None:
    """Log to standard error as ``LOG_FORMAT`` and ``LOG_LEVEL`` say, unless somebody has set up logging before.

    :param overrides: settings by lower-case name, which beat the configuration.
    :raises SettingsInvalid: for a format or level that is none.
    """
    table = [setting for setting in SETTINGS if setting.name in ("LOG_FORMAT", "LOG_LEVEL")]
    given = {name.upper(): value for name, value in (overrides or {}).items()}
    settings = read_settings(table, config=config, overrides=given)
    logging.getLogger("flowrunner").setLevel(settings.log_level)
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter(_TEXT))
    handler.addFilter(_says_something)
    root.addHandler(handler)


def _says_something(record: logging.LogRecord) -> bool:
    """Leave out what drivers say of each connection that a database took along; the outage itself is said once."""
    if record.name == "psycopg":
        return not record.getMessage().startswith("error ignored")
    return not (record.name.startswith("sqlalchemy.pool") and "Exception during reset" in record.getMessage())
