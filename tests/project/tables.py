"""Writes the rows of docs/api.md and docs/cli.md anew, from the code: ``python -m tests.project.tables``.

A row that is there is replaced where it stands; new ones are printed, for somebody to put in their place.
"""

import re

from tests.project.expected import command_row, commands, declared_routes, route_row
from tests.project.pages import ROOT


def written_anew(text: str, rows: dict[str, str], pattern: str) -> tuple[str, list[str]]:
    """Return a page with its rows written anew, and the rows that it lacks.

    :param rows: each row by its first cell.
    :param pattern: what the first cells of such rows look like; a row that is not among ``rows`` is dropped.
    """
    lines, left = [], dict(rows)
    for line in text.splitlines():
        key = re.match(rf"\| `({pattern}[^`]*)` \|", line)
        if key is None:
            lines.append(line)
        elif key[1] in rows:
            lines.append(rows[key[1]])
            left.pop(key[1], None)
    return "\n".join(lines) + "\n", list(left.values())


def main() -> None:
    """Write both pages."""
    routes = {f"{route.method} {route.shown_rule}": route_row(route) for route in declared_routes()}
    rows = [command_row(name, command) for name, command in commands()]
    of_commands = {row.split("`")[1]: row for row in rows}
    for name, found, pattern in (
        ("api.md", routes, "(?:GET|POST|PUT|PATCH|DELETE) /"),
        ("cli.md", of_commands, "flowrunner "),
    ):
        page = ROOT / "docs" / name
        text, missing = written_anew(page.read_text("utf-8"), found, pattern)
        page.write_text(text, "utf-8")
        print("\n".join(missing) or f"docs/{name} has every row.")


if __name__ == "__main__":
    main()
