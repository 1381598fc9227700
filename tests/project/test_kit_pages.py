"""Each group of the memory kit has its page, and each test of a kit quotes the contract."""

from __future__ import annotations

import pytest

from flowrunner.testing import KIT_VERSION, VectorStoreContract
from flowrunner.testing.memory.promises import sentence_of, version_of
from tests.project.kit_pages import FOLDER, contract, file_of, groups, members_of, page, vector_contract

GROUPS = groups()
VECTOR_GROUPS = groups(VectorStoreContract)


@pytest.mark.parametrize("name", GROUPS)
def test_the_page_of_a_group_says_what_the_group_does(name):
    written = (FOLDER / file_of(name)).read_text("utf-8")
    assert written == page(name, GROUPS[name]), "python -m tests.project.kit_pages writes the pages anew"


@pytest.mark.parametrize("name", GROUPS)
def test_each_test_quotes_a_sentence_of_the_contract(name):
    text = contract()
    assert GROUPS[name].mistakes
    for test_name, test in members_of(GROUPS[name]).items():
        assert sentence_of(test), f"{test_name} quotes nothing"
        assert sentence_of(test) in text, f"{test_name} quotes what the contract does not say"


@pytest.mark.parametrize("group", VECTOR_GROUPS)
def test_each_test_of_vector_stores_quotes_a_sentence_of_the_contract(group):
    text = vector_contract()
    for test_name, test in members_of(VECTOR_GROUPS[group]).items():
        assert sentence_of(test), f"{test_name} quotes nothing"
        assert sentence_of(test) in text, f"{test_name} quotes what the contract does not say"


def test_the_index_leads_to_every_group_and_the_changelog_to_every_version():
    index, changelog = ((FOLDER / name).read_text("utf-8") for name in ("index.md", "changelog.md"))
    assert [line for line in GROUPS if f"[{line}]({file_of(line)})" not in index] == []
    for version in range(1, KIT_VERSION + 1):
        assert f"## {version}\n" in changelog
    assert {version_of(test) for group in GROUPS.values() for test in members_of(group).values()} <= {1, KIT_VERSION}
    assert {path.name for path in FOLDER.iterdir()} == {*map(file_of, GROUPS), "index.md", "changelog.md"}
