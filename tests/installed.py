"""Tests of packages that may be missing."""

from importlib.util import find_spec

import pytest


def require(*packages: str) -> None:
    """Skip the module that says so, unless these packages are installed.

    None is imported, as :func:`pytest.importorskip` would do: each process of a run reads all modules, and only those
    that have the tests need to load them.
    """
    for package in packages:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed", allow_module_level=True)
