"""Vector stores as components: one store under all names, in one flow or in two, for one owner at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flowrunner_retrieval import COMPONENTS
from flowrunner_retrieval.stores.names import STORE_TYPES

from flowrunner import ChunkInvalid, FlowRunnerError

FACTS = [
    {"text": "the kettle holds two litres", "file_path": "kettle.txt", "kind": "kitchen", "n": 1},
    {"text": "parcels take three days", "file_path": "post.txt", "kind": "service", "n": 2},
    {"text": "the garden closes at dusk", "file_path": "garden.txt", "kind": "service", "n": 3},
]
STORES = [component.type_name for component in STORE_TYPES]


def ingest(house, rows=FACTS, kind="Chroma", *, owner="local", **settings):
    return house.outputs(
        kind, {"ingest_data": rows, "collection_name": "facts", **settings}, output="dataframe", owner=owner
    )


def ask(house, text, kind="Chroma", *, owner="local", output="search_results", **settings):
    return house.outputs(
        kind, {"search_query": text, "collection_name": "facts", **settings}, output=output, owner=owner
    )


def texts(rows):
    return [row["text"] for row in rows]


def field_of(kind):
    return next(c.collection_fields[0] for c in STORE_TYPES if c.type_name == kind)


def test_what_one_name_stores_is_found_under_every_other(house):
    for number, kind in enumerate(STORES):
        fact = {"text": f"fact {number}", "n": number}
        house.outputs(kind, {"ingest_data": [fact], field_of(kind): "facts"}, output="dataframe")
        assert ask(house, f"fact {number}", number_of_results=1) == [fact], kind
        found = house.outputs(kind, {"search_query": f"fact {number}", field_of(kind): "facts"}, output="dataframe")
        assert found[0] == fact, kind


def test_a_chat_over_files_in_one_flow(house):
    paths = [house.upload(f"{n}.txt", row["text"]) for n, row in enumerate(FACTS)]
    vertices = [
        ("question", "ChatInput"),
        ("file", "File", {"path": paths}),
        ("split", "SplitText", {"chunk_size": 100, "chunk_overlap": 0}),
        ("embed", "OpenAIEmbeddings", {"openai_api_key": "x"}),
        ("store", "AstraDB", {"number_of_results": 1}),
        ("parse", "ParseData", {"template": "{text}"}),
        ("prompt", "Prompt", {"template": "Context: {context} Question: {question}"}),
        ("model", "OpenAIModel", {"api_key": "x"}),
        ("answer", "ChatOutput"),
    ]
    edges = [
        "file.data -> split.data_inputs",
        "split.chunks -> store.ingest_data",
        "embed.embeddings -> store.embedding_model",
        "question.message -> store.search_query",
        "store.search_results -> parse.data",
        "parse.text -> prompt.context",
        "question.message -> prompt.question",
        "prompt.prompt -> model.input_value",
        "model.text_output -> answer.input_value",
    ]
    for _ in range(2):
        assert house.run(vertices, edges, input_value="kettle litres?").text
        said = house.model.asked[-1]["messages"][-1]["content"]
        assert said == "Context: the kettle holds two litres Question: kettle litres?"
    assert sorted(house.model.embedded) == sorted([*texts(FACTS), "kettle litres?", "kettle litres?"])
    (collection,) = house.vectors().collections()
    assert (collection.chunks, collection.documents) == (3, 3)
    assert [one.name for one in house.vectors().documents(collection.name)] == paths


@pytest.mark.parametrize("first", ["search", "store"])
def test_who_searches_waits_for_who_fills_the_same_collection(house, first):
    vertices = [
        ("in", "ChatInput"),
        ("search", "FAISS", {"index_name": "said"}),
        ("store", "Chroma", {"collection_name": "said"}),
        ("out", "ChatOutput"),
    ]
    if first == "store":
        vertices[1:3] = vertices[2:0:-1]
    edges = ["in.message -> store.ingest_data", "in.message -> search.search_query"]
    result = house.run(vertices, [*edges, "search.dataframe -> out.input_value"], input_value="just said")
    assert "just said" in result.text
    around = [*edges, "search.dataframe -> store.ingest_data", "store.dataframe -> out.input_value"]
    assert house.run(vertices, around, input_value="once more").vertices


def test_texts_that_are_there_are_not_embedded_again_unless_wanted_twice(house):
    ingest(house)
    ingest(house, [*FACTS, {"text": "new", "file_path": "kettle.txt"}])
    assert house.model.embedded == [*texts(FACTS), "new"]
    ingest(house, FACTS[:1], allow_duplicates=True)
    assert house.vectors().collections()[0].chunks == 5


def test_texts_are_embedded_anew_by_another_model(open_house, model):
    model.embedded.clear()
    house = open_house()
    ingest(house)
    again = [("e", "EmbeddingModel", {"provider": "OpenAI", "model": "another"})]
    house.outputs(
        "Chroma",
        {"ingest_data": FACTS, "collection_name": "facts"},
        output="dataframe",
        more=again,
        edges=["e.embeddings -> it.embedding"],
    )
    assert model.embedded == [*texts(FACTS), *texts(FACTS)]
    assert house.vectors().collections()[0].chunks == 3


@pytest.mark.parametrize(
    ("rows", "stored"),
    [
        ([{"text": "a", "x": {"deep": [1]}}], [("a", {"x": {"deep": [1]}})]),
        ([{"name": "Ann", "age": 30}], [("name: Ann\nage: 30", {"name": "Ann", "age": 30})]),
        ({"results": [{"text": "a"}]}, [('results: [{"text":"a"}]', {"results": [{"text": "a"}]})]),
        ([{"text": ""}, {"text": "  "}, {"text": "a"}], [("a", {})]),
        ([{"text": "a"}, {"text": "a"}], [("a", {})]),
        (["plain", "text"], [("plain", {}), ("text", {})]),
    ],
    ids=str,
)
def test_what_arrives_becomes_texts(house, rows, stored):
    ingest(house, rows)
    found = house.vectors().fetch("facts")
    assert [(c.text, {k: v for k, v in c.metadata.items() if k != "_embedding"}) for c in found] == stored


def test_owners_do_not_find_each_others_texts(house):
    ingest(house)
    assert ask(house, "kettle", owner="bob") == []
    ingest(house, [{"text": "bob's kettle"}], owner="bob")
    assert texts(ask(house, "kettle", owner="bob")) == ["bob's kettle"]
    assert "bob's kettle" not in texts(ask(house, "kettle"))


def test_a_collection_without_a_name_is_the_flows_own(house):
    house.outputs("AstraDB", {"ingest_data": FACTS}, output="dataframe")
    assert texts(house.outputs("AstraDB", {"search_query": "parcels", "number_of_results": 1}, output="dataframe"))
    assert [one.name for one in house.vectors().collections()] == ["flow 11111111-1111-4111-8111-111111111111"]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"search_filter": {"kind": "service"}}, {"parcels take three days", "the garden closes at dusk"}),
        ({"advanced_search_filter": {"n": 3}}, {"the garden closes at dusk"}),
        ({"search_filter": {"metadata.n": {"$eq": 1}}}, {"the kettle holds two litres"}),
        ({"search_filter": [{"kind": "service"}, {"n": 2}]}, {"parcels take three days"}),
        ({"search_filter": {"kind": "absent"}}, set()),
        ({"search_filter": {}}, set(texts(FACTS))),
        (
            {"search_type": "Similarity with score threshold", "search_score_threshold": 0.5},
            {"parcels take three days"},
        ),
        ({"search_type": "MMR (Max Marginal Relevance)", "number_of_results": 2}, None),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_filters_thresholds_and_variety(house, settings, found):
    ingest(house, kind="AstraDB")
    rows = ask(house, "parcels three", kind="AstraDB", **settings)
    if found is None:
        assert len(rows) == 2
        assert rows[0]["text"] == "parcels take three days"
    else:
        assert set(texts(rows)) == found


@pytest.mark.parametrize("given", [{"n": {"$gt": 1}}, {"$and": []}], ids=str)
def test_a_filter_that_asks_more_is_refused(house, given):
    ingest(house)
    with pytest.raises(FlowRunnerError, match="invalid filter"):
        ask(house, "x", search_filter=given)


def test_results_that_are_alike_stand_back_in_mmr(house):
    rows = [{"text": "red apple pie"}, {"text": "red apple pie recipe"}, {"text": "red car"}]
    ingest(house, rows)
    assert texts(ask(house, "red apple", number_of_results=2)) == ["red apple pie", "red apple pie recipe"]
    found = texts(ask(house, "red apple", number_of_results=2, search_type="mmr"))
    assert found == ["red apple pie", "red car"]


def test_an_agent_searches_with_its_own_words(house):
    from flowrunner.testing.model_script import Call, Say

    ingest(house)
    house.model.script(Call((("Facts", {"search_query": "parcels"}),)), Say("done"))
    store = ("store", "Chroma", {"collection_name": "facts", "number_of_results": 1}, {"display_name": "Facts"})
    vertices = [("in", "ChatInput"), ("agent", "Agent", {"api_key": "x"}), ("out", "ChatOutput"), store]
    edges = ["in.message -> agent.input_value", "store.component_as_tool -> agent.tools"]
    edges.append("agent.response -> out.input_value")
    assert house.run(vertices, edges, input_value="when?").text == "done"
    said = [m for m in house.model.asked[-1]["messages"] if m["role"] == "tool"]
    assert "parcels take three days" in said[0]["content"]


def test_without_any_embedding_model_the_error_says_what_to_set(open_house):
    house = open_house(embedding=None)
    with pytest.raises(FlowRunnerError, match="no embedding model is set: connect one, .* FLOWRUNNER_EMBEDDING"):
        ingest(house)
    assert house.outputs("Chroma", {"collection_name": "facts"}, output="dataframe") == []


def test_another_number_of_dimensions_is_refused_with_what_to_do(house):
    ingest(house)
    more = [("e", "EmbeddingModel", {"provider": "OpenAI", "model": "m", "dimensions": 5})]
    for settings in ({"ingest_data": [{"text": "new"}]}, {"search_query": "kettle"}):
        with pytest.raises(FlowRunnerError, match="another embedding model"):
            house.outputs(
                "Chroma",
                {**settings, "collection_name": "facts"},
                output="dataframe",
                more=more,
                edges=["e.embeddings -> it.embedding"],
            )


def test_a_knowledge_base_is_filled_and_searched(house):
    given = {"knowledge_base": "facts", "input_df": FACTS}
    done = house.outputs("KnowledgeIngestion", given, output="dataframe_output")
    assert done == {"knowledge_base": "facts", "new": 3, "chunks": 3}
    asked = {"knowledge_base": "facts", "search_query": "kettle", "top_k": 1}
    rows = house.outputs("KnowledgeRetrieval", asked, output="retrieve_data")
    assert (rows[0]["text"], rows[0]["n"]) == ("the kettle holds two litres", 1)
    assert 0 < rows[0]["_score"] <= 1
    plain = house.outputs(
        "KnowledgeRetrieval", {"knowledge_base": "facts", "include_metadata": False}, output="retrieve_data"
    )
    assert plain == [{"text": row["text"]} for row in FACTS]


class TestLookup:
    @pytest.mark.parametrize(
        ("settings", "arguments", "found"),
        [
            (
                {"tool_params": {"!kind": "which kind"}},
                {"kind": "service"},
                ["parcels take three days", "the garden closes at dusk"],
            ),
            (
                {"tools_params_v2": [{"attribute_name": "kind", "mandatory": True, "description": "d"}]},
                {"kind": "kitchen"},
                ["the kettle holds two litres"],
            ),
            ({}, {"search_query": "garden dusk"}, ["the garden closes at dusk"]),
            (
                {"use_search_query": True, "tool_params": {"kind": ""}},
                {"search_query": "the", "kind": "kitchen"},
                ["the kettle holds two litres"],
            ),
            (
                {"static_filters": {"kind": "service"}, "number_of_results": 1},
                {"search_query": "kettle parcels"},
                ["parcels take three days"],
            ),
        ],
        ids=str,
    )
    def test_an_agent_looks_rows_up(self, house, settings, arguments, found):
        from flowrunner.testing.model_script import Call, Say

        ingest(house)
        house.model.script(Call((("look_up", arguments),)), Say("done"))
        given = {"collection_name": "facts", "number_of_results": 1 if "search_query" in arguments else 5, **settings}
        vertices = [
            ("in", "ChatInput"),
            ("agent", "Agent", {"api_key": "x"}),
            ("out", "ChatOutput"),
            ("store", "AstraDBToolComponent", given, {"tool_name": "look_up"}),
        ]
        edges = [
            "in.message -> agent.input_value",
            "store.api_build_tool -> agent.tools",
            "agent.response -> out.input_value",
        ]
        assert house.run(vertices, edges).text == "done"
        said = [m for m in house.model.asked[-1]["messages"] if m["role"] == "tool"][0]["content"]
        assert [row["text"] for row in FACTS if row["text"] in said] == found

    def test_members_that_are_not_asked_for_stay_out(self, house):
        ingest(house)
        rows = house.outputs(
            "AstraDBToolComponent",
            {"collection_name": "facts", "projection_attributes": "n, absent"},
            output="api_run_model",
        )
        assert rows == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_no_type_is_offered_twice_and_every_port_once():
    names = [name for c in COMPONENTS for name in (c.type_name, *c.aliases)]
    assert len(names) == len(set(names))
    for component in COMPONENTS:
        ports = [name for i in component.inputs for name in (i.name, *i.aliases)]
        assert len(ports) == len(set(ports)), component.type_name


@pytest.mark.parametrize("how", ["Similarity", "MMR", "Similarity with score threshold"])
def test_what_another_model_embedded_is_not_compared(house, how):
    ingest(house)
    (first, *rest) = house.vectors().fetch("facts")
    house.vectors().upsert("facts", [replace(first, metadata={**first.metadata, "_embedding": "OpenAI:older"})])
    with pytest.raises(
        FlowRunnerError, match="facts contains chunks of the embedding model OpenAI:older but is searched"
    ):
        ask(house, first.text, search_type=how, search_score_threshold=0.01)
    assert ask(house, rest[0].text, number_of_results=1) == [FACTS[1]]
    # What is ingested anew is embedded anew.
    ingest(house)
    assert ask(house, first.text, number_of_results=1) == [FACTS[0]]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ('{"kind": "kitchen"}', [FACTS[0]]),
        ('[{"kind": "kitchen"}]', [FACTS[0]]),
        ("", FACTS),
        ("null", None),
        ("kind=kitchen", None),
        ('{"kind": ', None),
        (["kind"], None),
        (5, None),
        ([{}, ""], FACTS),
    ],
    ids=["object", "list", "blank", "null", "no JSON", "half an object", "list of texts", "number", "blank members"],
)
def test_a_filter_that_is_no_filter_finds_nothing_by_mistake(house, given, wanted):
    ingest(house)
    if wanted is None:
        with pytest.raises(FlowRunnerError, match="invalid filter"):
            ask(house, "anything", search_filter=given)
    else:
        assert sorted(texts(ask(house, "anything", search_filter=given))) == sorted(texts(wanted))


def test_half_characters_and_nul_are_kept_as_far_as_they_can_be(house):
    rows = [{"text": "half \ud800 of one", "file_path": "a\ud800.txt"}, {"text": "nul\0", "file_path": "b\0.txt"}]
    ingest(house, rows)
    assert sorted(texts(ask(house, "half \udc00"))) == ["half ? of one", "nul"]
    handle = house.vectors()
    assert [one.name for one in handle.documents("facts")] == ["a?.txt", "b.txt"]
    assert handle.delete("facts", document="b\0.txt") == 1
    assert handle.fetch("facts", ids=("\ud800", "nul\0")) == []
    for name in ("a\0b", "\ud800", "x" * 1001, ""):
        with pytest.raises(ChunkInvalid, match="A collection must be a string"):
            handle.fetch(name)
