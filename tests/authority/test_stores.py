"""The stores ask, too: whatever a view forgets, its caller reaches nothing that they may not have."""

import ast
import inspect
import io
from pathlib import Path

import pytest

from flowrunner.errors import FlowRunnerError, NotAllowed
from flowrunner.identity import Identity
from flowrunner.store import bound
from tests.web.site import echo_flow, open_site

WEB = Path(bound.__file__).resolve().parents[1]
CLASSES = {
    "flows": bound.FlowsOfCaller,
    "variables": bound.VariablesOfCaller,
    "files": bound.FilesOfCaller,
    "keys": bound.KeysOfCaller,
}
#: Operations, with their store, that need no author.
TALKING = {
    ("flows", "of_folders"),
    ("flows", "stored"),
    ("flows", "folder_flow"),
    ("flows", "sees_graphs"),
    ("files", "path_of"),
}
UUID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def operations():
    for part, kind in CLASSES.items():
        for name, function in inspect.getmembers(kind, inspect.isfunction):
            if not name.startswith("_"):
                yield part, name, function


def arguments(part, name, stored):
    """Return what an operation is called with."""
    return (
        {
            "folder_graph": (stored["folder"],),
            "get": (UUID,),
            "create": ({"name": "x"},),
            "create_many": ([],),
            "update": (UUID, {}),
            "put": (UUID, {"name": "x"}),
            "delete": (UUID,),
            "delete_many": ([UUID],),
            "folder_flow": (UUID,),
            "save": (io.BytesIO(b"x"),),
            "open": (stored["file"],),
            "path_of": ("x",),
            "record_of": ("x",),
            "revoke": (UUID,),
            "rotate": (UUID,),
        }.get(name, ())
        if (part, name) not in {("variables", "create"), ("keys", "create"), ("files", "delete")}
        else {
            "variables": ("x", "y"),
            "keys": ("ann",),
            "files": (stored["file"],),
        }[part]
    )


def keywords(part, name):
    if part == "files":
        return {
            "save": {"name": "x.txt", "flow_id": None},
            "list": {"flow_id": None},
            "find": {"flow_id": None, "name": "x"},
        }.get(name, {})
    return {}


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, flows_dir="examples/flows") as made:
        made.add_user("ann")
        yield made


@pytest.mark.parametrize(
    "who",
    [
        Identity("somebody"),
        Identity("somebody", admin=True),
        Identity("somebody", flows=frozenset({"one"}), author=True),
        Identity("visitor-1", nameless=True),
    ],
    ids=["user", "admin of a site", "limited", "visitor"],
)
def test_every_operation_of_a_bound_store_asks(site, who):
    stored = {
        "folder": site.runner.library.folders.flows()[0],
        "file": site.runner.stores.files.save("somebody", io.BytesIO(b"x"), name="x.txt"),
    }
    mine = site.runner.stores_of(who)
    tried = 0
    for part, name, _ in operations():
        if (part, name) in TALKING:
            continue
        with pytest.raises(NotAllowed):
            getattr(getattr(mine, part), name)(*arguments(part, name, stored), **keywords(part, name))
        tried += 1
    assert tried > 20


def test_who_only_reads_changes_nothing(site):
    reader = Identity("somebody", author=True, read_only=True)
    stored = {
        "folder": site.runner.library.folders.flows()[0],
        "file": site.runner.stores.files.save("somebody", io.BytesIO(b"x"), name="x.txt"),
    }
    mine = site.runner.stores_of(reader)
    changing = {"create", "create_many", "update", "put", "delete", "delete_many", "save", "revoke", "rotate"}
    for part, name, _ in operations():
        call = getattr(getattr(mine, part), name)
        if name in changing:
            with pytest.raises(NotAllowed, match="read-only"):
                call(*arguments(part, name, stored), **keywords(part, name))
        elif (part, name) in {("flows", "folder_graph"), ("flows", "stored"), ("files", "list"), ("keys", "list")}:
            call(*arguments(part, name, stored), **keywords(part, name))


def test_nobody_reaches_what_is_anothers(site):
    ann = site.runner.stores.flows.create("ann", echo_flow("anns"))
    bob = site.runner.stores_of(Identity("bob", author=True))
    for call in (lambda: bob.flows.get(ann.id), lambda: bob.flows.update(ann.id, {"name": "x"})):
        with pytest.raises(FlowRunnerError, match="not found"):
            call()
    assert bob.flows.delete_many([ann.id]) == 0


def test_no_view_takes_a_store_that_is_bound_to_nobody():
    """Views may ask the keys whose one is, and nothing else of the stores but the run log."""
    found = set()
    for folder in ("web", "playground"):
        for path in (WEB / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Attribute)
                    and node.value.attr == "stores"
                ):
                    found.add((path.name, node.attr))
    assert {store for _, store in found} <= {"keys", "run_log"}
    assert {path for path, store in found if store == "keys"} == {"auth.py"}
