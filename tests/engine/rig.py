"""An engine on small components and a list as memory: what the engine's own tests stand on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from flowrunner import Component, Input, Output, text_of
from flowrunner.engine.plan import make_plan
from flowrunner.engine.request import RunRequest
from flowrunner.engine.run import run
from flowrunner.engine.services import FoundVariable, RunServices
from flowrunner.engine.turn import Turns
from flowrunner.flows.model import Edge, Flow, Vertex, hash_content
from flowrunner.plugins import PluginManager
from flowrunner.settings import read_settings
from flowrunner.store.masking import mask_text
from flowrunner.word import Word

FLOW_ID = "11111111-1111-4111-8111-111111111111"


class Pass(Component):
    """Pass the text on."""

    type_name = "Pass"
    inputs = (Input("value", aliases=("input_value",)), Input("session_id"))
    outputs = (Output("text"),)

    def run(self, context, value, session_id):
        return {"text": value}


class Rig:
    """Runs flows of vertices and edges written as tuples."""

    def __init__(self, folder, *, components: tuple = (), **settings: Any) -> None:
        self.manager = PluginManager()
        self.manager.load_entry_points()
        self.manager.collect_settings()
        for component in components:
            self.manager.add(component)
        self.manager.collect_components()
        self.registry = self.manager.registry
        # In place of the real one: its input has the name that chains of tests have.
        self.registry._components["Pass"] = Pass()
        config = {f"FLOWRUNNER_{k.upper()}": v for k, v in {"memory": "in-memory", **settings}.items()}
        self.settings = read_settings(self.registry.settings, config=config, environ={})
        self.memory = self.manager.open_memory(None, self.settings)
        self.turns = Turns(folder, strategy=self.settings.turns, wait=self.settings.turn_wait)
        self.pool = ThreadPoolExecutor(8)
        #: What the owner stored, which of that are credentials, and what the environment has.
        self.variables: dict[str, str] = {}
        self.credentials: set[str] = set()
        self.environment: dict[str, str] = {}
        self.services = RunServices(
            memory=self.memory,
            settings=self.settings,
            pool=self.pool,
            turns=self.turns,
            variable=self.find_variable,
            stored_file=lambda owner, name: name,
            run_flow=None,
            mask=mask_text,
        )

    def find_variable(self, owner, name, *, asked, chosen):
        if name in self.variables:
            return FoundVariable(self.variables[name], Word.AUTHOR, name in self.credentials)
        if asked or name not in self.environment:
            return None
        return FoundVariable(self.environment[name], Word.OPERATOR, name.endswith("_KEY"))

    def close(self) -> None:
        self.pool.shutdown()
        self.turns.close()
        self.memory.close()

    def plan(self, vertices, edges=(), **more):
        return make_plan(make_flow(vertices, edges, **more), self.registry)

    def run(self, vertices, edges=(), *, emit=None, owner="owner", cancelled=None, author=None, **request):
        """Run a flow of a folder, or one that an author stored."""
        return self.run_plan(
            self.plan(vertices, edges, owner=author), emit=emit, owner=owner, cancelled=cancelled, **request
        )

    def run_plan(self, plan, *, emit=None, owner="owner", cancelled=None, **request):
        asked = RunRequest(**{"input_value": "hi", **request})
        return run(plan, asked, owner=owner, services=self.services, emit=emit, cancelled=cancelled)

    def messages(self, owner="owner", **query):
        return self.memory.for_owner(owner).fetch(**query)


def make_flow(vertices, edges=(), **more) -> Flow:
    """Return a flow of ``(id, type, settings)`` and ``"a.output -> b.input"``."""
    made = tuple(
        Vertex(id=v[0], type=v[1], settings=dict(v[2]) if len(v) > 2 else {}, **(v[3] if len(v) > 3 else {}))
        for v in vertices
    )
    joined = []
    for text in edges:
        left, right = text.split(" -> ")
        joined.append(Edge(*left.split(".", 1), *right.split(".", 1)))
    edges = tuple(joined)
    return Flow(id=FLOW_ID, name="test", vertices=made, edges=edges, content_hash=hash_content(made, edges), **more)


@contextmanager
def open_rig(folder, **settings):
    rig = Rig(folder, **settings)
    try:
        yield rig
    finally:
        rig.close()


def texts(messages) -> list[str]:
    return [text_of(m) for m in messages]
