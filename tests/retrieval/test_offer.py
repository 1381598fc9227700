"""The documentation names every type, input and output, and the plugin loads without its libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from flowrunner_retrieval import COMPONENTS
from flowrunner_retrieval.embeddings.components import EMBEDDING_TYPES
from flowrunner_retrieval.stores.names import STORE_TYPES

from flowrunner.components import INPUT_TYPES
from tests.components.documented import description, undocumented

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "retrieval.md").read_text(encoding="utf-8")
#: Those that have a row in a table of their kind.
IN_TABLES = {*STORE_TYPES[1:], *EMBEDDING_TYPES[1:]}


def section(name):
    _, found, rest = DOCS.partition(f"\n## {name}\n")
    return rest.partition("\n## ")[0] if found else ""


@pytest.mark.parametrize("component", [c for c in COMPONENTS if c not in IN_TABLES], ids=lambda c: c.type_name)
def test_the_documentation_has_every_type_input_and_output(component):
    text = section(component.type_name)
    assert text, f"no section for {component.type_name}"
    wanted = [*component.aliases]
    for port in (*component.inputs, *component.outputs):
        wanted += [port.name, *port.aliases]
    assert [name for name in wanted if f"`{name}`" not in text] == []
    assert f".** {description(component)}" in text
    assert undocumented(component, text) == []


@pytest.mark.parametrize("component", sorted(IN_TABLES, key=lambda c: c.type_name), ids=lambda c: c.type_name)
def test_every_other_name_has_its_row(component):
    rows = [line for line in DOCS.splitlines() if line.startswith(f"| `{component.type_name}` |")]
    assert len(rows) == 1
    fields = getattr(component, "collection_fields", ())
    assert [name for name in (*component.aliases, *fields) if f"`{name}`" not in rows[0]] == []


def test_the_documentation_has_no_section_too_many():
    sections = [line[3:] for line in DOCS.splitlines() if line.startswith("## ")]
    assert sections == sorted((c.type_name for c in COMPONENTS if c not in IN_TABLES), key=str.lower)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.type_name)
def test_types_of_inputs_are_known(component):
    assert {one.type for one in component.inputs} <= set(INPUT_TYPES)


def test_the_plugin_loads_without_the_libraries_of_its_extra():
    code = (
        "import sys\n"
        "for name in ('numpy', 'pypdf', 'docx', 'langchain_text_splitters', 'openai', 'llm', 'xllamacpp'):\n"
        "    sys.modules[name] = None\n"
        "from flowrunner.plugins import PluginManager\n"
        "manager = PluginManager()\n"
        "manager.load_entry_points(); manager.collect_settings(); manager.collect_components()\n"
        "print(manager.registry.component('Chroma').type_name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Chroma"
