"""Link each test to a sentence of the contract, and to the kit version that added it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

import pytest

#: The version of the kit; ``docs/kit/changelog.md`` says what came with each.
KIT_VERSION: Final = 2

F = TypeVar("F", bound=Callable[..., Any])


def since(version: int) -> Callable[[F], F]:
    """Mark a test that came with a later version of the kit than the others of its group."""

    def mark(test: F) -> F:
        test.kit_version = version  # type: ignore[attr-defined]
        return test

    return mark


def version_of(test: Any, usual: int = 1) -> int:
    """Return the version of the kit with which a test came; ``usual`` where it does not say."""
    return int(getattr(test, "kit_version", usual))


def sentence_of(test: Any) -> str:
    """Return the sentence of the contract that a test quotes: its docstring, in one line."""
    return " ".join(inspect.cleandoc(test.__doc__ or "").split())


def quoting(test: Callable[..., Any], contract: str = "flowrunner.MemoryBackend") -> Callable[..., Any]:
    """Return a test whose failure names the sentence of the contract that is broken."""

    @functools.wraps(test)
    def quoted(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            return test(*args, **kwargs)
        except (Exception, pytest.fail.Exception) as error:
            _add_note(error, f'The contract of {contract} says: "{sentence_of(test)}"')
            raise

    return quoted


def _add_note(error: BaseException, note: str) -> None:
    if hasattr(error, "add_note"):
        error.add_note(note)
    elif isinstance(error, AssertionError):
        error.args = (f"{error.args[0] if error.args else ''}\n{note}",)
