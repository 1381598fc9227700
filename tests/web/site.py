"""A whole app with users, for tests that speak HTTP to it."""

import itertools
from contextlib import contextmanager

from flowrunner.app import create_app
from flowrunner.store.keys import owner_of_user
from tests.web.described import check_answer

BACKENDS = ("sqlite", "file-json", "in-memory")
_numbers = itertools.count(1)


def echo_flow(name="echo", **more):
    """Return a flow that says what it hears."""
    return {
        "name": name,
        "endpoint_name": name,
        **more,
        "data": {
            "nodes": [_node("ChatInput-a", "ChatInput"), _node("ChatOutput-b", "ChatOutput")],
            "edges": [edge("ChatInput-a", "message", "ChatOutput-b", "input_value")],
        },
    }


def flow_through(kind, template, output="output", field="input_value", name="through", **more):
    """Return a flow from a chat input through one component to a chat output."""
    nodes = [
        _node("ChatInput-a", "ChatInput"),
        _node(f"{kind}-m", kind, template, output),
        _node("ChatOutput-b", "ChatOutput"),
    ]
    edges = [
        edge("ChatInput-a", "message", f"{kind}-m", field),
        edge(f"{kind}-m", output, "ChatOutput-b", "input_value"),
    ]
    return {"name": name, "endpoint_name": name, **more, "data": {"nodes": nodes, "edges": edges}}


def edge(source, output, target, name):
    start = {"dataType": source.split("-")[0], "id": source, "name": output, "output_types": ["Message", "Data"]}
    end = {"fieldName": name, "id": target, "inputTypes": ["Message", "Data"], "type": "str"}
    return {"source": source, "target": target, "data": {"sourceHandle": start, "targetHandle": end}}


def _node(node_id, kind, template=None, output="message"):
    outputs = [{"name": output, "types": ["Message", "Data"], "method": "go"}]
    inner = {"display_name": kind, "template": template or {}, "outputs": outputs}
    return {"id": node_id, "type": "genericNode", "data": {"type": kind, "node": inner}}


def open_endpoints(app, name="flowrunner"):
    """Return the endpoints of a runner that want nobody in particular."""
    return {endpoint for endpoint, need in app.blueprints[name].needs.items() if need.capability is None}


class Site:
    """An app, and its users by name; ``None`` sends no key."""

    def __init__(self, folder, *, memory="in-memory", config=None, **settings):
        self.app = create_app(config, data_dir=folder, memory=memory, **settings)
        self.runner = self.app.extensions["flowrunner"]["flowrunner"]
        self.keys = {}
        self._client = self.app.test_client()

    def add_user(self, user, name="", **rights):
        """Make a key for a user, and remember it under a name of its own, or the user's."""
        self.keys[name or user] = self.runner.stores.keys.create(user, name=name, **rights)
        return owner_of_user(user)

    def call(self, user, method, path, *, headers=None, **more):
        """Send a request in the name of a user and return the answer."""
        sent = dict(headers or {})
        if user is not None:
            sent.setdefault("x-api-key", self.keys[user])
        answer = self._client.open(path, method=method, headers=sent, **more)
        check_answer(self.app, answer)
        return answer

    def ask(self, user, method, path, expect=200, **more):
        """Send a request that must get a certain status, and return its JSON."""
        answer = self.call(user, method, path, **more)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.get_data(as_text=True)}"
        return answer.get_json() if answer.is_json and answer.data else None

    def flow(self, user, flow=None):
        """Upload a flow, an echo unless another is given, and return its id."""
        return self.ask(user, "POST", "/api/v1/flows/", 201, json=flow or echo_flow(f"echo-{next(_numbers)}"))["id"]

    def say(self, user, flow, text, session="", **more):
        """Run a flow and return its answer."""
        body = {"input_value": text, "session_id": session, **more}
        return self.ask(user, "POST", f"/api/v1/run/{flow}", json=body)

    def messages(self, user, query=""):
        return self.ask(user, "GET", f"/api/v1/monitor/messages{query}")

    def texts(self, user, query=""):
        return [message["text"] for message in self.messages(user, query)]

    def sessions(self, user, query=""):
        return self.ask(user, "GET", f"/api/v1/monitor/messages/sessions{query}")

    def close(self):
        self.runner.close()


@contextmanager
def open_site(folder, **settings):
    site = Site(folder, **settings)
    try:
        yield site
    finally:
        site.close()
