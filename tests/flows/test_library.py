"""Folder first, then the caller's own flows; and only what their key extends to."""

import pytest

from flowrunner import FlowNotFound, Identity
from flowrunner.flows.library import FolderLibrary, Library
from flowrunner.flows.reading import read_flows
from tests.flows.exports import native
from tests.flows.test_folder import ID, write

ANN, BOB = Identity("ann"), Identity("bob")


class Stored:
    """Stands in for the flows that owners created over the API."""

    def __init__(self):
        (self.flow,) = read_flows(native(name="Stored", endpoint_name="stored"))
        (self.shadow,) = read_flows(native(name="Shadow", endpoint_name="shared"))
        self.asked = []

    def find(self, id_or_name, owner):
        self.asked.append(id_or_name)
        found = {"stored": self.flow, self.flow.id: self.flow, "shared": self.shadow}.get(id_or_name)
        return found if owner == "ann" else None


@pytest.fixture
def library(tmp_path):
    write(tmp_path / "shared.json", native(name="Shared", id=ID))
    return Library(FolderLibrary([tmp_path]), Stored())


def test_every_owner_finds_the_flows_of_the_folder(library):
    for identity in (ANN, BOB):
        assert library.get("shared", identity).name == "Shared"
    assert library.stored.asked == []


def test_stored_flows_are_their_owners(library):
    assert library.get("stored", ANN).name == "Stored"
    with pytest.raises(FlowNotFound):
        library.get("stored", BOB)


def test_what_is_not_there_is_named_as_it_was_asked_for(library):
    with pytest.raises(FlowNotFound, match="^Flow identifier Näm/e not found$") as caught:
        library.get("Näm/e", ANN)
    assert caught.value.status == 404


@pytest.mark.parametrize("limit", [ID, ID.upper(), ID.replace("-", ""), "shared"])
def test_a_key_for_single_flows(library, limit):
    identity = Identity("ann", flows=frozenset({limit}))
    assert library.get("shared", identity).name == "Shared"
    assert library.get(ID, identity).name == "Shared"
    with pytest.raises(FlowNotFound):
        library.get("stored", identity)


def test_a_key_for_no_flow(library):
    with pytest.raises(FlowNotFound):
        library.get("shared", Identity("ann", flows=frozenset()))


def test_without_stored_flows(tmp_path):
    with pytest.raises(FlowNotFound):
        Library(FolderLibrary([tmp_path])).get("x", ANN)


def test_a_new_file_is_found_at_once(library, tmp_path):
    write(tmp_path / "new.json", native(name="New"))
    assert library.get("new", BOB).name == "New"
