"""Flows created over the API: names, owners, and finding them quickly."""

import json
import os
import threading
from pathlib import Path

import pytest

from flowrunner.errors import BadRequest, Conflict, FlowNotFound, RequestInvalid
from flowrunner.memory import EVERY_OWNER
from flowrunner.store.flows import FlowStore

RECORDED = Path(__file__).resolve().parents[2] / ".." / "shared" / "contract"
DATA = {"nodes": [], "edges": [], "viewport": {"x": 0, "y": 0, "zoom": 1}}
ID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def flows(engine, tmp_path):
    return FlowStore(engine, tmp_path, max_vertices=10, taken=lambda name: name in ("folder", "folder-1"))


def flow(**members):
    return {"name": "crud flow", "description": "", "endpoint_name": "crud-flow", "data": DATA, **members}


class TestCreate:
    def test_it_is_shown_as_it_was_given(self, flows):
        shown = flows.create("ann", flow(tags=["x"], icon="y")).to_json()
        assert (shown["name"], shown["endpoint_name"], shown["data"]) == ("crud flow", "crud-flow", DATA)
        assert (shown["tags"], shown["icon"], shown["user_id"], shown["webhook"]) == (["x"], "y", "ann", False)
        assert shown["updated_at"].endswith("+00:00") and len(shown["updated_at"]) == 25

    def test_names_that_are_taken_get_a_number(self, flows):
        made = [flows.create("ann", flow()) for _ in range(3)]
        assert [m.name for m in made] == ["crud flow", "crud flow (1)", "crud flow (2)"]
        assert [m.endpoint_name for m in made] == ["crud-flow", "crud-flow-1", "crud-flow-2"]
        assert flows.create("bob", flow()).name == "crud flow"

    def test_names_with_characters_that_mean_something_in_patterns(self, flows):
        for name in ("100% (a)", "a_b", "a.b*"):
            assert [flows.create("ann", {"name": name}).name for _ in range(2)] == [name, f"{name} (1)"]
        assert flows.create("ann", {"name": "aXb"}).name == "aXb"

    def test_a_name_that_a_folder_flow_has_is_never_given(self, flows):
        assert flows.create("ann", flow(endpoint_name="folder")).endpoint_name == "folder-2"

    def test_little_is_enough(self, flows):
        made = flows.create("ann", {"name": "nodata"})
        assert (made.data, made.description, made.endpoint_name) == (None, None, None)

    def test_an_id_can_be_chosen_once_by_each_owner(self, flows):
        assert flows.create("ann", flow(id=ID.upper().replace("-", ""))).id == ID
        with pytest.raises(Conflict):
            flows.create("ann", flow(id=ID))
        assert flows.create("bob", flow(id=ID)).id == ID

    @pytest.mark.parametrize(
        ("members", "field", "reason"),
        [
            ({"data": {"x": 1}}, "data", "Value error, Flow must have nodes"),
            ({"data": {"nodes": []}}, "data", "Value error, Flow must have edges"),
            ({"data": {"nodes": [{}] * 11, "edges": []}}, "data", "Value error, Flow must have at most 10 nodes"),
            ({"data": []}, "data", "Value error, Flow must be a valid JSON"),
            (
                {"endpoint_name": "has space/slash"},
                "endpoint_name",
                "Value error, Endpoint name must contain only letters, numbers, hyphens, and underscores",
            ),
            ({"name": " "}, "name", "Value error, Flow name cannot be empty"),
            ({"name": None}, "name", "Field required"),
            ({"name": "a\0b"}, "name", "Value error, contains characters that cannot be stored"),
            ({"description": "\ud800"}, "description", "Value error, contains characters that cannot be stored"),
            ({"id": "zz"}, "id", "Input should be a valid UUID"),
        ],
    )
    def test_what_cannot_be_stored_is_refused_once(self, flows, members, field, reason):
        with pytest.raises(RequestInvalid) as refusal:
            flows.create("ann", flow(**members))
        assert [(e["loc"], e["msg"]) for e in refusal.value.detail] == [(["body", field], reason)]

    def test_many_at_once_get_a_name_each(self, flows):
        made, threads = [], []
        for _ in range(6):
            threads.append(threading.Thread(target=lambda: made.append(flows.create("ann", flow()).endpoint_name)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(made)) == len(made)


class TestChange:
    def test_given_members_change_and_others_stay(self, flows):
        made = flows.create("ann", flow(tags=["x"]))
        changed = flows.update(made.id, "ann", {"name": "renamed", "description": "d", "locked": True})
        assert (changed.name, changed.description, changed.endpoint_name) == ("renamed", "d", "crud-flow")
        assert (changed.extra, changed.data) == ({"tags": ["x"], "locked": True}, DATA)
        assert flows.update(made.id, "ann", {"endpoint_name": None}).endpoint_name is None

    def test_names_that_are_taken_are_refused(self, flows):
        flows.create("ann", flow())
        other = flows.create("ann", {"name": "other"})
        for name in ("crud-flow", "folder"):
            with pytest.raises(BadRequest, match="^Endpoint name must be unique$"):
                flows.update(other.id, "ann", {"endpoint_name": name})
        with pytest.raises(BadRequest, match="^Name must be unique$"):
            flows.update(other.id, "ann", {"name": "crud flow"})
        assert flows.update(other.id, "ann", {"name": "other"}).name == "other"

    def test_put_creates_or_replaces(self, flows):
        made, new = flows.put(ID, "ann", flow())
        assert (made.id, new) == (ID, True)
        assert flows.put(ID, "ann", flow(name="again"))[0].name == "again"
        assert flows.count("ann") == 1

    def test_one_owners_flows_are_not_there_for_another(self, flows):
        made = flows.create("ann", flow())
        for attempt in (
            lambda: flows.get(made.id, "bob"),
            lambda: flows.update(made.id, "bob", {"name": "x"}),
            lambda: flows.delete(made.id, "bob"),
            lambda: flows.get("nonsense", "ann"),
        ):
            with pytest.raises(FlowNotFound, match="^Flow not found$"):
                attempt()
        assert flows.delete_many([made.id, "zz"], "bob") == 0
        assert (flows.list("bob"), flows.count("bob")) == ([], 0)
        assert [f.id for f in flows.list(EVERY_OWNER)] == [made.id]
        assert flows.delete_many([made.id], "ann") == 1

    def test_lists_come_in_pages(self, flows):
        names = [flows.create("ann", {"name": f"f{n}", "is_component": n == 3}).name for n in range(4)]
        assert [f.name for f in flows.list("ann")] == names
        assert [f.name for f in flows.list("ann", limit=2, offset=1)] == names[1:3]
        assert [f.name for f in flows.list("ann", is_component=True)] == ["f3"]
        assert flows.list("ann")[0].to_header()["data"] is None


class TestFind:
    def test_by_id_in_any_spelling_and_by_endpoint_name(self, flows):
        made = flows.create("ann", flow())
        for name in (made.id, made.id.upper(), made.id.replace("-", ""), "crud-flow"):
            found = flows.find(name, "ann")
            assert (found.id, found.owner, found.endpoint_name) == (made.id, "ann", "crud-flow")
        for name in ("Crud-Flow", "crud flow", ID, "\ud800", "a/b", ""):
            assert flows.find(name, "ann") is None
        assert flows.find(made.id, "bob") is None

    def test_it_is_parsed_once_until_it_changes(self, flows, engine, tmp_path):
        elsewhere = FlowStore(engine, tmp_path)
        made = flows.create("ann", flow())
        assert elsewhere.find(made.id, "ann") is elsewhere.find("crud-flow", "ann")
        flows.create("ann", {"name": "another"})
        before = elsewhere.find(made.id, "ann")
        flows.update(made.id, "ann", {"endpoint_name": "new"})
        assert elsewhere.find("crud-flow", "ann") is None
        assert elsewhere.find("new", "ann").id == before.id
        flows.delete(made.id, "ann")
        assert elsewhere.find("new", "ann") is None

    def test_an_endpoint_name_that_looks_like_an_id_gives_way_to_the_id(self, flows):
        named = flows.create("ann", {"name": "a", "endpoint_name": ID})
        assert flows.find(ID, "ann").id == named.id
        flows.create("ann", {"name": "b", "id": ID})
        assert flows.find(ID, "ann").name == "b"

    def test_the_short_form_can_be_stored_too(self, flows):
        made = flows.create("ann", flow(data={"components": {"in": {"type": "ChatInput"}}}))
        assert [v.id for v in flows.find(made.id, "ann").vertices] == ["in"]

    @pytest.mark.skipif(not RECORDED.is_dir(), reason="the recordings are not here")
    def test_every_recorded_flow_is_accepted_and_found(self, engine, tmp_path):
        store = FlowStore(engine, tmp_path)
        for path in sorted((RECORDED / "flows").glob("*.json")):
            made = store.create("ann", {"name": path.stem, **json.loads(path.read_text())})
            assert store.find(made.id, "ann").name == made.name

    def test_finding_again_asks_no_database(self, settings, tmp_path):
        if os.name != "posix":
            pytest.skip("stamps need a POSIX file system")
        from flowrunner.store.engine import close_database, database_engine
        from flowrunner.store.tables import SCHEMA

        engine = database_engine(None, settings)
        SCHEMA.ensure(engine)
        store = FlowStore(engine, tmp_path)
        made = store.create("ann", flow())
        store.find(made.id, "ann")
        engine.dispose()
        store._engine = None
        assert store.find(made.id, "ann").id == made.id
        close_database(None, settings)
