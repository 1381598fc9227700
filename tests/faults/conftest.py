"""A site of each test's own, and two servers that all tests of several hosts share."""

import uuid

import pytest

from tests.faults.site import Site
from tests.faults.two_hosts import FLOWS, SECRET, EitherSite, Hosts


@pytest.fixture
def make_site(tmp_path):
    made = []

    def make(flows, **settings):
        made.append(Site(tmp_path, flows, **settings))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture(scope="session")
def hosts_database(postgres_server):
    """A database for two servers."""
    name = f"hosts_{uuid.uuid4().hex}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    return postgres_server.url(name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def hosts(tmp_path_factory, hosts_database):
    """Two servers with two data folders on one PostgreSQL."""
    settings = {"SECRET_KEY": SECRET, "WORKERS": 1, "RUN_TIMEOUT": 60, "COMPONENT_TIMEOUT": 40, "MAX_ANSWER": 40_000}
    made = [
        Site(tmp_path_factory.mktemp(name), FLOWS, database=hosts_database, user="host", **settings) for name in "ab"
    ]
    for site in made:
        site.key = made[0].key
        site.begin()
    for site in made:
        site.server.wait_until_ready("/health_check")
    yield Hosts(made, hosts_database)
    for site in made:
        site.close()


@pytest.fixture(scope="session")
def either_site(tmp_path_factory, hosts):
    """The site of the tests of the API, whose requests go to either of two servers."""
    made = EitherSite(tmp_path_factory.mktemp("c"), hosts)
    yield made
    made.close()


@pytest.fixture
def clean_site(either_site):
    """The same with two users and an admin, who have nothing yet."""
    either_site.empty()
    for user in ("ann", "bob"):
        either_site.add_user(user)
    either_site.add_user("root", admin=True)
    return either_site
