import pytest

from tests.web.site import BACKENDS, open_site


@pytest.fixture
def site(tmp_path):
    """An app with two users and an admin."""
    with open_site(tmp_path) as made:
        made.add_user("ann")
        made.add_user("bob")
        made.add_user("root", admin=True)
        yield made


@pytest.fixture(params=BACKENDS)
def each_site(request, tmp_path):
    """The same on each backend."""
    with open_site(tmp_path, memory=request.param) as made:
        made.add_user("ann")
        made.add_user("bob")
        made.add_user("root", admin=True)
        yield made


@pytest.fixture
def make_site(tmp_path):
    """A function that opens a site with settings."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(open_site(tmp_path, **settings))
