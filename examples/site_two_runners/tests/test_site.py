"""Two assistants in one site: apart in flows, people, settings and data."""

import pytest
from app import STAFF, create_app
from werkzeug.security import generate_password_hash

from flowrunner import get_runner

OWN = {"X-Flowrunner": "1"}
KIM = ("kim", "a secret")


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setitem(STAFF, "kim", generate_password_hash("a secret", method="pbkdf2:sha256:1"))
    app = create_app(
        {
            "TESTING": True,
            "FLOWRUNNER_DATA_DIR": str(tmp_path / "public"),
            "STAFF_FLOWRUNNER_DATA_DIR": str(tmp_path / "staff"),
            "STAFF_FLOWRUNNER_MEMORY": "in-memory",
        }
    )
    yield app
    for runner in app.extensions["flowrunner"].values():
        runner.close()


def ask(client, prefix, flow, **options):
    body = {"input_value": "tea", "session_id": "s"}
    return client.post(f"{prefix}/api/v1/run/{flow}", json=body, headers=OWN, **options)


def test_everybody_is_welcome(app):
    answer = ask(app.test_client(), "/help", "welcome")
    assert answer.json["outputs"][0]["outputs"][0]["results"]["message"]["text"] == "Welcome! You asked: tea"


def test_the_staff_must_say_who_they_are(app):
    client = app.test_client()
    answer = ask(client, "/staff/help", "handbook")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="Staff"')
    assert client.get("/staff/").status_code == 401


def test_the_staff_have_a_handbook(app):
    client = app.test_client()
    answer = ask(client, "/staff/help", "handbook", auth=KIM)
    assert "The handbook says of tea: do it well." in answer.text
    assert 'api="/staff/help/api/v1"' in client.get("/staff/", auth=KIM).text


def test_flows_and_conversations_are_apart(app):
    client = app.test_client()
    assert ask(client, "/help", "handbook").status_code == 404
    ask(client, "/help", "welcome")
    with app.app_context():
        assert get_runner("staff").acting_as("kim").memory.fetch() == []
        assert get_runner("staff").runner.memory.name == "in-memory"
        assert get_runner("flowrunner").runner.memory.name == "sqlite"


def test_each_page_has_its_own_chat_box(app):
    assert 'api="/help/api/v1"' in app.test_client().get("/").text
