"""What the owner of this site would test."""

#: What the page's own script sends along, so that no other site can post here.
OWN = {"X-Flowrunner": "1"}


def ask(client, text):
    return client.post("/assistant/api/v1/run/echo", json={"input_value": text, "session_id": "s"}, headers=OWN)


def text_of(answer):
    return answer.json["outputs"][0]["outputs"][0]["results"]["message"]["text"]


def test_the_page_shows_a_chat_box(client):
    page = client.get("/").text
    assert "<h1>The smallest site</h1>" in page
    assert '<flowrunner-chat flow="echo" api="/assistant/api/v1"' in page


def test_visitors_are_remembered_each_for_themselves(app):
    ann, bob = app.test_client(), app.test_client()
    ask(ann, "a riddle")
    assert text_of(ask(ann, "an answer")) == "You said: an answer\nBefore that:\na riddle"
    assert text_of(ask(bob, "hello")) == "You said: hello\nBefore that:\n"


def test_the_flow_says_what_was_recorded(replay_conversation):
    replay_conversation("conversations/echo.json")


def test_in_python(flow_runner):
    assert flow_runner.run("echo", "hi", session_id="x").text.startswith("You said: hi")
    assert [message.text for message in flow_runner.memory.fetch(session_id="x", sender="User")] == ["hi"]
