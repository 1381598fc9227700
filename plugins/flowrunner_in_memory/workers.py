"""Warn if several workers use a store that is private to each of them."""

from __future__ import annotations

import logging
import os
import re
import shlex
from collections.abc import Mapping
from typing import Final

logger = logging.getLogger("flowrunner")

#: Where the number of workers is told: by this project's server, and by gunicorn's two own ways.
_NUMBERS: Final = ("FLOWRUNNER_WORKERS", "WEB_CONCURRENCY")
_OPTION: Final = re.compile(r"(?:-w|--workers)=?(\d+)?")


def count_workers(environ: Mapping[str, str]) -> int:
    """Return how many worker processes the environment tells of; 1 where it tells nothing."""
    for name in _NUMBERS:
        if environ.get(name, "").isdigit():
            return int(environ[name])
    words = shlex.split(environ.get("GUNICORN_CMD_ARGS", ""))
    for word, following in zip(words, [*words[1:], ""], strict=False):
        found = _OPTION.fullmatch(word)
        number = (found[1] or following) if found else ""
        if number.isdigit():
            return int(number)
    return 1


def warn_about_workers(environ: Mapping[str, str] = os.environ) -> None:
    """Log a warning if several workers run, since each would have conversations of its own."""
    workers = count_workers(environ)
    if workers > 1:
        logger.warning(
            "The memory backend in-memory keeps messages in one process, but %d workers run: each has its own"
            " conversations. Choose sqlite or file-json, or run one worker.",
            workers,
        )
