"""The data of the tests goes into a folder of their own."""

import os
import tempfile

import pytest

os.environ["FLOWRUNNER_DATA_DIR"] = tempfile.mkdtemp(prefix="smallest-")


@pytest.fixture
def app():
    from app import app

    app.config["TESTING"] = True
    return app


@pytest.fixture
def client(app):
    return app.test_client()
