"""What the package offers: under which names, found how, and that the documentation says the same."""

from __future__ import annotations

import ast
import importlib.metadata
from pathlib import Path

import flowrunner_components
import pytest
from flowrunner_components import COMPONENTS

import flowrunner
from flowrunner.components import INPUT_TYPES
from tests.components.documented import description, undocumented

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "components.md"
OLDER = {
    "Prompt": "Prompt Template",
    "PromptTemplate": "Prompt Template",
    "PromptComponent": "Prompt Template",
    "MemoryComponent": "Memory",
    "parser": "ParserComponent",
    "CurrentDateComponent": "CurrentDate",
}


def test_the_package_is_found_like_any_plugin():
    found = [e.value for e in importlib.metadata.entry_points(group="flowrunner")]
    assert "flowrunner_components" in found


def test_every_type_and_older_name_is_offered(house):
    for component in COMPONENTS:
        assert type(house.registry.component(component.type_name)) is component
    for older, present in OLDER.items():
        assert house.registry.component(older) is house.registry.component(present)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.type_name)
def test_ports_are_declared_well(component):
    names = [name for i in component.inputs for name in (i.name, *i.aliases)]
    assert len(names) == len(set(names))
    outputs = [name for o in component.outputs for name in (o.name, *o.aliases)]
    assert len(outputs) == len(set(outputs))
    assert {i.type for i in component.inputs} <= set(INPUT_TYPES)
    assert set(component.streams_through) <= {i.name for i in component.inputs}


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.type_name)
def test_the_documentation_has_every_type_input_and_output(component):
    text = DOCS.read_text(encoding="utf-8")
    start = text.find(f"\n## {component.type_name}\n")
    assert start >= 0, f"no section for {component.type_name}"
    section = text[start : text.find("\n## ", start + 1) if "\n## " in text[start + 1 :] else len(text)]
    wanted = [*component.aliases, *(i.name for i in component.inputs), *(o.name for o in component.outputs)]
    for older in (*component.inputs, *component.outputs):
        wanted += older.aliases
    missing = [name for name in wanted if f"`{name}`" not in section]
    assert missing == []
    assert f".** {description(component)}" in section
    assert undocumented(component, section) == []


def test_the_documentation_has_no_section_too_many():
    sections = [line[3:] for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    known = {c.type_name for c in COMPONENTS}
    assert [s for s in sections if s not in known] == ["Values", "Templates", "Which row a reply takes"]


def test_only_public_names_of_flowrunner_are_used():
    folder = Path(flowrunner_components.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flowrunner":
                assert node.module == "flowrunner"
                assert {alias.name for alias in node.names} <= set(flowrunner.__all__)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__")
