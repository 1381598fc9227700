import shutil
from contextlib import contextmanager

import pytest

from tests.web.site import BACKENDS, open_site


@pytest.fixture(scope="session")
def open_peopled(tmp_path_factory):
    """A function that opens a site with two users and an admin, ``ann``, ``bob`` and ``root``.

    Their keys and the tables come with a copy of a data folder: making them takes a third of what a site takes.
    """
    prepared = tmp_path_factory.mktemp("peopled")
    with open_site(prepared) as site:
        site.add_user("ann")
        site.add_user("bob")
        site.add_user("root", admin=True)
        keys = site.keys

    @contextmanager
    def open_copy(folder, **settings):
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        with open_site(folder, **settings) as site:
            site.keys.update(keys)
            yield site

    return open_copy


@pytest.fixture
def site(tmp_path, open_peopled):
    """An app with two users and an admin."""
    with open_peopled(tmp_path) as made:
        yield made


@pytest.fixture(params=BACKENDS)
def each_site(request, tmp_path, open_peopled):
    """The same on each backend."""
    with open_peopled(tmp_path, memory=request.param) as made:
        yield made


@pytest.fixture
def make_site(tmp_path):
    """A function that opens a site with settings."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(open_site(tmp_path, **settings))
