"""A key that is limited to flows reaches the collections that a flow itself names, whatever its request says."""

from __future__ import annotations

import pytest

from flowrunner import FlowRunnerError, OwnerVectors
from flowrunner.engine.request import RunRequest
from flowrunner.errors import NotAllowed
from flowrunner.identity import LOCAL_IDENTITY, Identity
from tests.engine.rig import FLOW_ID, make_flow

LIMITED = Identity("local", flows=frozenset({FLOW_ID}))
STAFF = [{"text": "salaries of everybody"}]
OPEN = [{"text": "opening hours"}]
SEARCH = {"search_query": "x", "collection_name": "faq"}


def run(house, identity, kind, settings, tweaks=None, variables=(), output="search_results", **given):
    vertices = [("it", kind, settings, {"variables": frozenset(variables)}), ("out", "ChatOutput")]
    flow = make_flow(vertices, [f"it.{output} -> out.input_value"])
    asked = RunRequest(input_value="hi", tweaks={"it": tweaks} if tweaks else {}, **given)
    return house.runner.execute(flow, asked, identity).text


@pytest.fixture
def filled(house):
    for name, rows in (("staff", STAFF), ("faq", OPEN)):
        run(house, LOCAL_IDENTITY, "LocalDB", {"ingest_data": rows, "collection_name": name, "search_query": "x"})
    return house


TWEAKS = [
    ("LocalDB", SEARCH, {"collection_name": "staff"}, "search_results"),
    (
        "LocalDB",
        SEARCH,
        {"collection_name": "staff", "pre_delete_collection": True, "ingest_data": OPEN},
        "search_results",
    ),
    ("FAISS", {"search_query": "x", "index_name": "faq"}, {"index_name": "staff"}, "search_results"),
    ("KnowledgeRetrieval", {"knowledge_base": "faq"}, {"knowledge_base": "staff"}, "retrieve_data"),
    (
        "KnowledgeIngestion",
        {"knowledge_base": "faq", "input_df": OPEN},
        {"knowledge_base": "staff"},
        "dataframe_output",
    ),
    ("AstraDBToolComponent", {"collection_name": "faq"}, {"collection_name": "staff"}, "api_run_model"),
]


@pytest.mark.parametrize(("kind", "settings", "tweaks", "output"), TWEAKS, ids=range(len(TWEAKS)))
def test_a_tweak_reaches_no_other_collection(filled, kind, settings, tweaks, output):
    with pytest.raises(
        FlowRunnerError, match="'staff' cannot be used with an API key that is limited to certain flows"
    ):
        run(filled, LIMITED, kind, settings, tweaks, output=output)
    assert [chunk.text for chunk in filled.vectors().fetch("staff")] == ["salaries of everybody"]
    assert run(filled, LIMITED, kind, settings, output=output)
    # A key without the limit reaches it by the same tweak.
    run(filled, LOCAL_IDENTITY, kind, settings, tweaks, output=output)


def test_the_flow_reaches_what_its_author_named_and_its_usual_one(filled):
    assert "opening hours" in run(filled, LIMITED, "LocalDB", SEARCH)
    assert "own" in run(filled, LIMITED, "LocalDB", {"ingest_data": [{"text": "own"}], "search_query": "x"})


@pytest.mark.parametrize("field", ["pre_delete_collection", "drop_old"])
def test_a_request_empties_no_collection_and_an_author_has_the_flow_do_so(filled, field):
    more = {**SEARCH, "ingest_data": [{"text": "new hours"}]}
    with pytest.raises(FlowRunnerError, match="'faq' cannot be emptied by a request"):
        run(filled, LIMITED, "LocalDB", more, {field: True})
    assert [chunk.text for chunk in filled.vectors().fetch("faq")] == ["opening hours"]
    run(filled, LIMITED, "LocalDB", more)
    assert len(filled.vectors().fetch("faq")) == 2
    run(filled, LIMITED, "LocalDB", {**more, "pre_delete_collection": True})
    assert [chunk.text for chunk in filled.vectors().fetch("faq")] == ["new hours"]
    run(filled, LOCAL_IDENTITY, "LocalDB", SEARCH | {"ingest_data": STAFF}, {field: True})
    assert [chunk.text for chunk in filled.vectors().fetch("faq")] == ["salaries of everybody"]


def test_a_variable_names_the_collection_that_its_author_stored_under_it(filled):
    filled.runner.stores.variables.create("local", "WHERE", "faq", type="Generic")
    settings = {"search_query": "x", "collection_name": "WHERE"}
    assert "opening hours" in run(filled, LIMITED, "LocalDB", settings, variables=["collection_name"])
    with pytest.raises(FlowRunnerError, match="'staff' cannot be used"):
        run(filled, LIMITED, "LocalDB", settings, {"collection_name": "staff"}, variables=["collection_name"])


def test_every_way_to_a_collection_is_bound(filled):
    bound = filled.runner.vectors.within(lambda owner, name: name == "faq").for_owner("local")
    assert isinstance(bound, OwnerVectors)
    assert [one.name for one in bound.collections()] == ["faq"]
    for way in (
        bound.fetch,
        bound.delete,
        bound.documents,
        lambda name: bound.search(name, [1.0]),
        lambda name: bound.upsert(name, []),
    ):
        with pytest.raises(NotAllowed):
            way("staff")
