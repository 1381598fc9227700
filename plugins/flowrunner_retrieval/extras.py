"""Import the libraries of the extra ``[retrieval]`` on first use."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

#: What installs them.
RETRIEVAL: Final = "pip install 'flask-flowrunner[retrieval]'"


class ExtraMissing(ValueError):
    """A library that a component needs is not installed; the text says what to type."""


def import_extra(module: str, purpose: str) -> Any:
    """Return a module of a library of the extra.

    :param purpose: what wants it, as the subject of a sentence.
    :raises ExtraMissing: if it is not installed.
    """
    found = sys.modules.get(module)
    if found is not None:
        return found
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExtraMissing(f"{purpose} needs pip install 'flask-flowrunner[retrieval]' ({error})") from error


def import_numpy() -> Any:
    """Return numpy.

    :raises ExtraMissing: if it is not installed.
    """
    return import_extra("numpy", "The vector store local")
