"""A site of each test's own."""

import pytest

from tests.faults.site import Site


@pytest.fixture
def make_site(tmp_path):
    made = []

    def make(flows, **settings):
        made.append(Site(tmp_path, flows, **settings))
        return made[-1]

    yield make
    for site in made:
        site.close()
