"""A site per test, whose runners are closed at its end."""

from __future__ import annotations

import pytest

from flowrunner.extension import FlowRunner
from tests.embedding.sites import by_session, make_site


def close_runners(app):
    """Close the runners of an app, as the end of its process would."""
    for runner in app.extensions.get("flowrunner", {}).values():
        runner.close()


@pytest.fixture
def site(tmp_path):
    """A site without a runner; whatever is mounted in it is closed."""
    app = make_site(tmp_path)
    yield app
    close_runners(app)


@pytest.fixture
def mounted(site):
    """A site with a runner at /assistant, which knows people by the site's session."""
    FlowRunner(site, url_prefix="/assistant", identity=by_session, memory="in-memory", run_log=False)
    return site


@pytest.fixture
def client(mounted):
    return mounted.test_client()
