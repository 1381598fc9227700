"""One server and one stand-in model for the tests of a module."""

from __future__ import annotations

import pytest

from flowrunner.testing.model_server import ModelServer
from tests.installed import require
from tests.streaming.serving import serve

require("openai")


@pytest.fixture(scope="package")
def model():
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="package")
def site(tmp_path_factory):
    """The folder that the servers share, as workers of one site do."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="package")
def server(model, site):
    with serve(site, model.url, resume_seconds=2, heartbeat=0.2) as served:
        yield served


@pytest.fixture(scope="package")
def other(model, site, server):
    with serve(site, model.url, resume_seconds=2, heartbeat=0.2) as served:
        served.key = server.key
        yield served
