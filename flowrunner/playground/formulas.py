"""Formulas in Markdown: LaTeX between ``$``, ``$$``, ``\\(`` or ``\\[`` stays as it was written.

Read as Markdown, ``\\frac{a}{b}_1 * c_2`` would lose its backslashes, and a line with ``+ b`` become a list.
"""

from __future__ import annotations

import re
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

#: How a formula begins and ends, the longer ones first.
_ENDS: Final = {"$$": "$$", "\\[": "\\]", "\\(": "\\)"}
#: Those of formulas that have lines of their own.
_BLOCK_ENDS: Final = {"$$": "$$", "\\[": "\\]"}
#: A formula within a line; so that prices are none, there is no white space inside the signs, and no digit follows.
_IN_LINE: Final = re.compile(r"\$(?![\s$]|\d[\d.,]*\s)[^$\n]{0,299}(?<![\s\\])\$(?![\d$])")


def add_formulas(parser: MarkdownIt) -> None:
    """Teach a parser formulas, each shown as code of the class ``formula``."""
    parser.block.ruler.before("fence", "formula_block", _read_block, {"alt": ["paragraph", "list", "blockquote"]})
    parser.inline.ruler.before("escape", "formula", _read_inline)
    parser.add_render_rule("formula_block", _write_block)
    parser.add_render_rule("formula", _write_inline)


def _read_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Read a formula that has lines of its own, from the one that begins with its sign to the one that ends with it."""
    if state.is_code_block(start):
        return False
    first = _line(state, start)
    closing = _BLOCK_ENDS.get(first[:2])
    if closing is None:
        return False
    stop: int | None = start
    if not first[2:].endswith(closing):
        # One that ends in the middle of its line is part of a text.
        stop = None if closing in first[2:] else _last_line(state, start, end, closing)
    if stop is None:
        return False
    if not silent:
        token = state.push("formula_block", "code", 0)
        token.content = state.getLines(start, stop + 1, state.blkIndent, False).strip()
        token.map = [start, stop + 1]
        state.line = stop + 1
    return True


def _last_line(state: StateBlock, start: int, end: int, closing: str) -> int | None:
    """Return the line with which a formula ends that began before; None if there is none before an empty line."""
    # Up to where none was found for one beginning there is none for the next: no line is looked at twice.
    looked: dict[tuple[str, int], int] = state.env.setdefault("formula_lines", {})
    key = (closing, state.blkIndent)
    line = start + 1
    while start >= looked.get(key, 0) and line < end and state.sCount[line] >= state.blkIndent:
        if state.isEmpty(line):
            break
        if _line(state, line).endswith(closing):
            return line
        line += 1
    looked[key] = max(line, looked.get(key, 0))
    return None


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].rstrip()


def _read_inline(state: StateInline, silent: bool) -> bool:
    """Read a formula in the middle of a text."""
    found = _formula_at(state)
    if found is None:
        return False
    if not silent:
        state.push("formula", "code", 0).content = found
    state.pos += len(found)
    return True


def _formula_at(state: StateInline) -> str | None:
    source, start = state.src, state.pos
    closing = _ENDS.get(source[start : start + 2])
    if closing is None:
        short = _IN_LINE.match(source, start) if source[start] == "$" and source[start - 1 : start] != "$" else None
        return short[0] if short else None
    # Where there is no end after this beginning, there is none after the next: no text is looked through twice.
    missing: set[tuple[int, str]] = state.env.setdefault("no_end_of", set())
    key = (id(source), closing)
    stop = -1 if key in missing else source.find(closing, start + 2, state.posMax)
    if stop < 0:
        missing.add(key)
        return None
    return source[start : stop + 2] if stop > start + 2 else None


def _write_block(renderer: Any, tokens: Any, idx: int, options: Any, env: Any) -> str:
    return f'<pre><code class="formula">{escapeHtml(tokens[idx].content)}</code></pre>\n'


def _write_inline(renderer: Any, tokens: Any, idx: int, options: Any, env: Any) -> str:
    return f'<code class="formula">{escapeHtml(tokens[idx].content)}</code>'
