"""What the shop's own tests say about its assistant."""

import pytest
from shop import create_app, db

OWN = {"X-Flowrunner": "1"}


def ask(client, text, **body):
    return client.post("/assistant/api/v1/run/support", json={"input_value": text, **body}, headers=OWN)


def text_of(answer):
    return answer.json["outputs"][0]["outputs"][0]["results"]["message"]["text"]


def test_customers_hear_of_their_own_orders(ann):
    assert text_of(ask(ann, "Where is my order 10?")) == "Order 10 (a kettle) is being packed."
    assert text_of(ask(ann, "Where is my order 20?")) == "I know no such order of yours."
    assert text_of(ask(ann, "Hello")) == "I know no such order of yours."


def test_visitors_hear_nothing(app):
    assert ask(app.test_client(), "Where is my order 10?").status_code == 403
    assert app.test_client().get("/").headers["Location"].startswith("/login")


def test_the_page_has_a_chat_box_and_no_script_of_its_own(ann):
    page = ann.get("/")
    assert '<flowrunner-chat flow="support"' in page.text
    assert page.headers["Content-Security-Policy"] == "default-src 'self'; frame-ancestors 'self'"


def test_the_plain_form_asks_and_shows(ann):
    answer = ann.post("/ask", data={"question": "Where is 10?"}, follow_redirects=True)
    assert "The shop: Order 10 (a kettle) is being packed." in answer.text


def test_a_stream_of_text(ann):
    assert ann.get("/orders/10/state.txt").text == "Order 10 (a kettle) is being packed."


@pytest.mark.parametrize("there", ["//evil.example", "https://evil.example", "/\\evil.example", ""])
def test_logging_in_leads_to_a_page_of_the_shop(app, there):
    form = {"name": "ann", "password": "ann's"}
    answer = app.test_client().post("/login", query_string={"next": there}, data=form)
    assert answer.headers["Location"] == "/"


def test_forms_want_the_shops_token(app, ann):
    app.config["WTF_CSRF_ENABLED"] = True
    assert ann.post("/ask", data={"question": "x"}).status_code == 400
    assert ann.post("/assistant/api/v1/run/support", json={}).status_code == 403
    assert ask(ann, "x").status_code == 200


def test_a_recorded_conversation(replay_conversation):
    replay_conversation("conversations/hello.json", "support", "Hello", "Where is it?")


def test_in_python(app, flow_runner):
    ann = flow_runner.acting_as("1")
    assert ann.run("support", "Where is 10?", session_id="s").text.endswith("is being packed.")
    assert len(ann.memory.fetch(session_id="s")) == 2
    assert flow_runner.acting_as("2").memory.fetch(session_id="s") == []


def test_the_migrations_lead_to_the_models(tmp_path):
    app = create_app(
        {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'new.db'}", "FLOWRUNNER_DATA_DIR": str(tmp_path)}
    )
    for words in (["upgrade"], ["check"], ["downgrade"]):
        result = app.test_cli_runner().invoke(args=["db", *words, "--directory", "migrations"])
        assert result.exit_code == 0, result.output
    for runner in app.extensions["flowrunner"].values():
        runner.close()
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()
