"""The page on tools names every type, input and output that it is about."""

from __future__ import annotations

from pathlib import Path

import pytest
from flowrunner_models import TOOLS

from tests.components.documented import description, undocumented

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("component", TOOLS, ids=lambda c: c.type_name)
def test_the_documentation_has_every_type_input_and_output(component):
    _, found, rest = DOCS.partition(f"\n## {component.type_name}\n")
    assert found, f"no section for {component.type_name}"
    text = rest.partition("\n## ")[0]
    wanted = [*component.aliases]
    for port in (*component.inputs, *component.outputs):
        wanted += [port.name, *port.aliases]
    assert [name for name in wanted if f"`{name}`" not in text] == []
    assert f".** {description(component)}" in text
    assert undocumented(component, text) == []


def test_the_documentation_has_no_section_too_many():
    sections = [line[3:] for line in DOCS.splitlines() if line.startswith("## ")]
    assert sections == sorted((c.type_name for c in TOOLS), key=str.lower)
