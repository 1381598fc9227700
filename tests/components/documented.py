"""What the section of a component must say in the documentation: its description, and the help of its inputs."""

from __future__ import annotations

from typing import Any


def description(component: Any) -> str:
    """Return the first line of the docstring, which authors and models are shown, as Markdown."""
    return (component.__doc__ or "").strip().partition("\n")[0].replace("``", "`")


def undocumented(component: Any, section: str) -> list[str]:
    """Return the inputs whose help is not in their row of the section's table."""
    inputs = section.partition("\n| output |")[0].replace("\\", "").splitlines()
    rows = {line.split("`")[1]: line for line in inputs if line.startswith("| `")}
    return [one.name for one in component.inputs if one.info.replace("\\", "") not in rows.get(one.name, one.info)]
