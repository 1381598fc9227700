"""README and docs as tests see them: their tables and their code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_DIRECTIVE = re.compile(r"<!-- (?P<word>not run|run elsewhere|file): (?P<rest>.+?) -->$")
_FENCE = re.compile(r"(?P<ticks>`{3,})(?P<language>\w*)$")


@dataclass(frozen=True)
class Block:
    """A code block: where it stands, its language, and what the comment in front of it says of it."""

    page: str
    line: int
    language: str
    text: str
    not_run: str = ""
    file: str = ""
    elsewhere: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return README and all pages of docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path) -> Iterator[Block]:
    """Yield the code blocks of a page."""
    said: dict[str, str] = {}
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    for number, line in lines:
        directive, fence = _DIRECTIVE.match(line), _FENCE.match(line)
        if directive:
            said[directive["word"]] = directive["rest"]
        elif fence:
            inside = []
            for _, text in lines:
                if text == fence["ticks"]:
                    break
                inside.append(text)
            text = "\n".join(inside) + "\n"
            name = page_name(path)
            given = (said.get(word, "") for word in ("not run", "file", "run elsewhere"))
            yield Block(name, number, fence["language"], text, *given)
            said = {}
        elif line.strip():
            said = {}


def rows() -> Iterator[tuple[str, list[str]]]:
    """Yield each row of each table: the page, and its cells."""
    for path in pages():
        fenced = False
        for line in path.read_text("utf-8").splitlines():
            fenced ^= line.startswith("```")
            if line.startswith("|") and not fenced:
                yield page_name(path), [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def keys(only: str = "") -> dict[str, list[list[str]]]:
    """Return rows by their first cell, where that is one piece of code: ``| `key` | ... |``; of one page if named."""
    found: dict[str, list[list[str]]] = {}
    for page, cells in rows():
        if only and page != only:
            continue
        match = re.fullmatch(r"`([^`]+)`", cells[0])
        if match:
            found.setdefault(match[1], []).append(cells)
    return found
