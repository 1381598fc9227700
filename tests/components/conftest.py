"""A runner without a server: the components of this package, an engine, and conversations in a dict."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import flowrunner_components
import pytest
from flowrunner_in_memory.backend import InMemory

from flowrunner import BadRequest
from flowrunner.engine.plan import make_plan
from flowrunner.engine.request import RunRequest
from flowrunner.engine.run import run
from flowrunner.engine.services import RunServices
from flowrunner.engine.turn import Turns
from flowrunner.flows.reading import read_flows
from flowrunner.plugins import PluginManager
from flowrunner.settings import SETTINGS, read_settings

ROOT = Path(__file__).resolve().parents[2]


class House:
    """Runs flows and shows what they stored."""

    def __init__(self, folder, pool):
        self.plugins = PluginManager()
        self.plugins.add(flowrunner_components, "components")
        self.plugins.load_folder(ROOT / "tests" / "contract" / "plugins")
        self.plugins.collect_components()
        self.memory = self.plugins.use_memory(InMemory(), "in-memory")
        settings = read_settings(SETTINGS, config={}, environ={})
        self.services = RunServices(
            memory=self.memory,
            settings=settings,
            pool=pool,
            turns=Turns(folder, strategy="parallel", wait=1),
            variable=lambda owner, name, **reach: None,
            stored_file=_no_file,
            run_flow=None,
            mask=lambda text: text,
        )

    @property
    def registry(self):
        return self.plugins.registry

    def read(self, flow):
        """Return the one flow of a file or of JSON."""
        data = flow.read_bytes() if isinstance(flow, Path) else json.dumps(flow)
        return read_flows(data, name_hint="flow")[0]

    def run(self, flow, input_value=None, *, emit=None, **request):
        """Run a flow, or a file of one, and return the result."""
        plan = make_plan(self.read(flow), self.registry)
        asked = RunRequest(input_value=input_value, **request)
        return run(plan, asked, owner="ann", services=self.services, emit=emit)

    def rows(self, **query):
        """Return what is stored."""
        return self.memory.for_owner("ann").fetch(**query)


def _no_file(owner, name):
    raise BadRequest(f"The file {name} is not there.")


@pytest.fixture
def house(tmp_path):
    pool = ThreadPoolExecutor(4)
    yield House(tmp_path, pool)
    pool.shutdown()


@pytest.fixture
def flows():
    """The recorded flows, where they are at hand."""
    folder = ROOT / ".." / "shared" / "contract" / "flows"
    if not folder.is_dir():
        pytest.skip("the recorded flows are not here")
    return folder
