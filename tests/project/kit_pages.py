"""The pages of ``docs/kit``, one a group of the memory kit; ``python -m tests.project.kit_pages`` writes them."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from types import ModuleType

from flowrunner.memory import backend, query
from flowrunner.testing import MemoryBackendContract
from flowrunner.testing.memory.promises import sentence_of, version_of
from flowrunner.vectors import chunk, store

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "kit"


def groups(kit: type = MemoryBackendContract) -> dict[str, type]:
    """Return the classes of tests by the names of their groups, in the order in which they run."""
    bases = reversed(kit.__mro__)
    return {vars(base)["group"]: base for base in bases if vars(base).get("group")}


def members_of(group: type) -> dict[str, object]:
    """Return the tests of a group by name."""
    return {name: test for name, test in vars(group).items() if name.startswith("test_")}


def contract() -> str:
    """Return the text in which every quoted sentence stands: the docstrings of backend and queries, and of flags."""
    return text_of(backend) + text_of(query)


def vector_contract() -> str:
    """Return the same for the contract of vector stores."""
    return text_of(store) + text_of(chunk)


def text_of(module: ModuleType) -> str:
    """Return the source of a module with single blanks, so that a sentence is found across lines."""
    return " ".join(inspect.getsource(module).replace("#:", " ").split())


def file_of(name: str) -> str:
    """Return the name of a group's page."""
    return f"{name.replace(' ', '-')}.md"


def page(name: str, group: type) -> str:
    """Return the page of a group."""
    lines = [f"# The kit: {name}", "", plain(inspect.cleandoc(group.__doc__ or "")), ""]
    by_sentence: dict[str, list[str]] = {}
    for test_name, test in members_of(group).items():
        by_sentence.setdefault(sentence_of(test), []).append(described(test_name, test))
    lines += ["## What the contract says, and the tests that are there for it", ""]
    for sentence, tests in by_sentence.items():
        lines += [*wrapped(plain(sentence), "> "), "", *(f"- {test}" for test in tests), ""]
    lines += ["## What goes wrong", ""]
    for mistake in group.mistakes:  # type: ignore[attr-defined]
        lines += wrapped(plain(mistake), "- ", "  ")
    return "\n".join([*lines, "", "[All groups](index.md)"]) + "\n"


def described(name: str, test: object) -> str:
    """Return a test with the version of the kit that brought it."""
    came = version_of(test)
    return f"`{name}`" + (f" (since version {came})" if came > 1 else "")


def wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(text, 118, initial_indent=first, subsequent_indent=first if rest is None else rest)


def plain(text: str) -> str:
    """Return a text of a docstring as Markdown."""
    text = re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"`\1`", text)
    text = text.replace("``", "`")
    return re.sub(r"(?<!`)(?<!\w)([%*_?]|\[)(?=[ ,])", r"`\1`", text)


def main() -> None:
    """Write all pages."""
    for name, group in groups().items():
        (FOLDER / file_of(name)).write_text(page(name, group), "utf-8")


if __name__ == "__main__":
    main()
