"""The steps of a run: one line of JSON per vertex, stored in the row of the run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, select, text

from flowrunner.store.tables import runs
from flowrunner.text.json_text import json_text

#: Only rows with steps; as literal SQL, so that the partial index is used.
HAS_STEPS: Final = text("steps > 0")
#: The number of rows read at a time, since a row may be large.
_CHUNK: Final = 100
_EMPTY: Final = {"steps": 0, "cleared": 0, "vertices": None}


@dataclass(frozen=True, slots=True)
class Step:
    """One vertex in one run. ``number`` identifies it in its run; ``is_build`` says whether it counts as a build.

    ``record`` is JSON text, masked when it was written.
    """

    run_id: str
    flow_id: str
    number: int
    vertex_id: str
    status: str
    at: str
    record: str
    is_build: bool


def step_line(number: int, vertex_id: str, status: str, at: str, record: str) -> str:
    """Return a step as a line. JSON text contains no tabs or line ends, so these are used as separators."""
    return f'[{number},{json_text(vertex_id)},"{status}","{at}"]\t{record}'


def join_lines(lines: Sequence[str]) -> str | None:
    """Return lines in the form of the column; None if there are none."""
    return "\n".join(lines) if lines else None


def steps_of(row: Any) -> list[Step]:
    """Return the steps in a row of the table of runs, in the order of execution."""
    return [
        _step(row, line, index >= row.cleared)
        for index, line in enumerate(row.vertices.split("\n") if row.steps else ())
    ]


def marked_steps(
    connection: Connection, ids: Sequence[str], wanted: Sequence[ColumnElement[bool]], mark: str
) -> Iterator[Step]:
    """Yield the steps of runs whose records contain a text; other runs are not read."""
    marked = runs.c.vertices.contains(mark, autoescape=True)
    for row in connection.execute(select(*ROW).where(HAS_STEPS, runs.c.id.in_(ids), marked, *wanted)):
        yield from (step for step in steps_of(row) if mark in step.record)


def newest_steps(connection: Connection, wanted: Sequence[ColumnElement[bool]]) -> Iterator[Step]:
    """Yield the steps of the runs that match some conditions, newest first."""
    before: list[ColumnElement[bool]] = []
    while True:
        statement = select(*ROW).where(HAS_STEPS, *wanted, *before).order_by(runs.c.seq.desc()).limit(_CHUNK)
        rows = connection.execute(statement).all()
        for row in rows:
            yield from reversed(steps_of(row))
        if len(rows) < _CHUNK:
            return
        before = [runs.c.seq < rows[-1].seq]


def page_of_steps(
    connection: Connection, wanted: Sequence[ColumnElement[bool]], start: int, size: int
) -> tuple[list[Step], int]:
    """Return a page of the steps that :func:`newest_steps` yields, and their total number.

    :param start: the number of newest steps to skip.
    """
    counts = select(runs.c.seq, runs.c.steps).where(HAS_STEPS, *wanted).order_by(runs.c.seq.desc())
    total, skipped, seqs = 0, 0, []
    for seq, steps in connection.execute(counts):
        if total + steps <= start:
            skipped += steps
        elif total < start + size:
            seqs.append(seq)
        total += steps
    found: list[Step] = []
    for begin in range(0, len(seqs), _CHUNK):
        part = runs.c.seq.in_(seqs[begin : begin + _CHUNK])
        for row in connection.execute(select(*ROW).where(part).order_by(runs.c.seq.desc())):
            found += reversed(steps_of(row))
    return found[start - skipped :][:size], total


def keep_newest_steps(connection: Connection, most: int) -> None:
    """Remove the oldest steps, so that about ``most`` are left; the runs are kept."""
    found = connection.execute(_SURPLUS, {"most": most}).first()
    if found is not None:
        seq, steps, upto = found
        _shorten(connection, seq, most - (upto - steps))
        connection.execute(runs.update().where(runs.c.seq < seq, HAS_STEPS).values(**_EMPTY))


#: Finds the newest run whose steps, with those of all newer runs, exceed ``most``.
_SURPLUS: Final = text(
    "SELECT seq, steps, upto FROM"
    " (SELECT seq, steps, sum(steps) OVER (ORDER BY seq DESC) AS upto FROM flowrunner_runs WHERE steps > 0) AS counted"
    " WHERE upto > :most ORDER BY seq DESC LIMIT 1"
)
#: The columns that :func:`steps_of` reads.
ROW: Final = (runs.c.seq, runs.c.id, runs.c.flow_id, runs.c.steps, runs.c.cleared, runs.c.vertices)


def _step(row: Any, line: str, is_build: bool) -> Step:
    head, _, record = line.partition("\t")
    number, vertex_id, status, at = json.loads(head)
    return Step(row.id, row.flow_id, number, vertex_id, status, at, record, is_build)


def _shorten(connection: Connection, seq: int, most: int) -> None:
    """Remove the oldest steps of one run: a run with a loop may have more steps than all others together."""
    row = connection.execute(select(*ROW).where(runs.c.seq == seq)).one()
    lines = row.vertices.split("\n")[row.steps - most :] if most else []
    values = {"steps": len(lines), "cleared": max(0, row.cleared - (row.steps - most)), "vertices": join_lines(lines)}
    connection.execute(runs.update().where(runs.c.seq == seq).values(**values))
