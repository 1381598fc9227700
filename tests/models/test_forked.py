"""A forked process asks models over connections of its own: two that read from one would take each other's answers."""

import http.server
import os
import signal
import threading
import traceback

import httpx
import pytest
from flowrunner_models import connections as module
from flowrunner_models.connections import Connections


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.ports.append(self.client_address[1])
        body = b'{"object": "list", "data": []}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.ports = []
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join(30)


def test_a_forked_child_takes_no_connection_of_its_parent(server, monkeypatch):
    # Idle connections are given up after some seconds, which a busy machine may take for the child.
    monkeypatch.setattr("openai._base_client.DEFAULT_CONNECTION_LIMITS", httpx.Limits(keepalive_expiry=3600))
    monkeypatch.setattr(module, "_IDLE_SECONDS", 3600)
    connections, url = Connections(), f"http://127.0.0.1:{server.server_port}/v1"

    def ask():
        with connections.use(url, "key") as connection:
            connection.client.models.list()

    ask()
    ask()
    with connections._lock:
        pid = os.fork()
        if not pid:
            try:
                signal.alarm(60)
                ask()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    ask()
    connections.close()
    first, second, childs, last = server.ports
    assert first == second == last != childs
