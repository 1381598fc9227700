"""Writes the rows of docs/api.md anew, from what the routes declare: ``python -m tests.project.tables``.

A row that is there is replaced where it stands; those of new routes are printed, for somebody to put in their place.
"""

import re

from tests.project.expected import declared_routes, route_row
from tests.project.pages import ROOT

PAGE = ROOT / "docs" / "api.md"


def written_anew(text: str, rows: dict[str, str]) -> tuple[str, list[str]]:
    """Return a page with its rows written anew, and the rows that it lacks.

    :param rows: each row by its first cell.
    """
    lines, left = [], dict(rows)
    for line in text.splitlines():
        key = re.match(r"\| `((?:GET|POST|PUT|PATCH|DELETE) /[^`]*)` \|", line)
        if key is None:
            lines.append(line)
        elif key[1] in rows:
            lines.append(rows[key[1]])
            left.pop(key[1], None)
    return "\n".join(lines) + "\n", list(left.values())


if __name__ == "__main__":
    rows = {f"{route.method} {route.shown_rule}": route_row(route) for route in declared_routes()}
    text, missing = written_anew(PAGE.read_text("utf-8"), rows)
    PAGE.write_text(text, "utf-8")
    print("\n".join(missing) or "docs/api.md has a row for every route.")
