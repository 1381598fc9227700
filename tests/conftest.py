"""Fixtures that tests of several parts use."""

from tests.javascript_client import javascript_client
from tests.live_server import keyed_server, open_server, start_server
from tests.postgres_server import postgres_server

__all__ = ["javascript_client", "keyed_server", "open_server", "postgres_server", "start_server"]
