"""Components and corpora that the tests of flow files share."""

import tarfile
from pathlib import Path

import pytest

from flowrunner import Component, Input, Output
from flowrunner.plugins import PluginManager
from flowrunner.registry import Registry

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"


class Start(Component):
    """Where a flow starts."""

    type_name = "ChatInput"
    display_name = "Chat Input"
    input_kind = "chat"
    inputs = (Input("input_value", "str"), Input("sender", "str", default="User"))
    outputs = (Output("message"),)

    def run(self, context, **values):
        return {}


class End(Component):
    """Where a flow ends."""

    type_name = "ChatOutput"
    display_name = "Chat Output"
    output_kind = "chat"
    inputs = (Input("input_value", required=True, accepts=("Data",)), Input("sender", "str", default="Machine"))
    outputs = (Output("message"),)

    def run(self, context, **values):
        return {}


class Both(Component):
    """Has several outputs, and an input for objects only."""

    type_name = "Both"
    aliases = ("OldBoth",)
    inputs = (Input("data", "Data", required=True), Input("many", "Data", many=True), Input("limit", "int", default=3))
    outputs = (Output("text"), Output("table", "Table"), Output("row", "Data", aliases=("record",)))

    def run(self, context, **values):
        return {}


class Blank(Component):
    """Has an input for each word of its setting."""

    type_name = "Blank"
    inputs = (Input("words", "str"),)
    outputs = (Output("text"),)

    def inputs_for(self, settings):
        return (*self.inputs, *(Input(word) for word in str(settings.get("words", "")).split()))

    def run(self, context, **values):
        return {}


@pytest.fixture
def registry():
    """A registry with a few tiny components."""
    made = Registry()
    for component in (Start, End, Both, Blank):
        made.add_component(component, "tests")
    return made


@pytest.fixture(scope="session")
def plugin_registry():
    """The components that the installed plugins offer."""
    plugins = PluginManager()
    plugins.load_entry_points(keep_going=True)
    plugins.collect_components()
    return plugins.registry


@pytest.fixture(scope="session")
def corpus():
    """Real flows, by name: the bytes of each file."""
    archive = SHARED / "corpus" / "open.tar.xz"
    if not archive.is_file():
        pytest.skip("the corpus is not here")
    with tarfile.open(archive) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened if member.isfile()}


@pytest.fixture(scope="session")
def contract_flows():
    """The flows of the recorded contract, by name: the bytes of each file."""
    folder = SHARED / "contract" / "flows"
    if not folder.is_dir():
        pytest.skip("the contract is not here")
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.json"))}
