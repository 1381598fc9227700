"""Fixtures that tests of several parts use."""

from tests.postgres_server import postgres_server

__all__ = ["postgres_server"]
