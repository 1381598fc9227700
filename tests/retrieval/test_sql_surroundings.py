"""What a database server that others than the operator name gets of the surroundings of this process: nothing."""

from __future__ import annotations

import socket
import struct
import threading
from types import SimpleNamespace

import pytest
from flowrunner_retrieval.databases.database_access import DatabaseRefused, find_database
from flowrunner_retrieval.databases.execution import QueryFailed

from flowrunner import AddressRefused, Given, Word
from tests.components.context import make_context
from tests.retrieval.test_sql import ask, context

pytest.importorskip("psycopg")

_CLEARTEXT = b"R" + struct.pack("!II", 8, 3)
_KERBEROS = b"R" + struct.pack("!II", 8, 7)
_NO_TLS = {struct.pack("!I", number) for number in (80877103, 80877104)}


class Server:
    """Speaks enough of PostgreSQL to ask who is there, and keeps what it is told."""

    def __init__(self, asks):
        self._asks, self.started, self.told = asks, [], []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            client, _ = self._socket.accept()
            client.settimeout(30)
            # Both are closed, or the client would wait for an answer to its password until its time is over.
            with client, client.makefile("rb") as stream:
                while (first := _body(stream)) in _NO_TLS:
                    client.sendall(b"N")
                if first == b"stop":
                    return
                self.started.append(first)
                client.sendall(self._asks)
                if stream.read(1):
                    self.told.append(_body(stream))

    def close(self):
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.sendall(struct.pack("!I", 8) + b"stop")
        self._thread.join(30)
        self._socket.close()


def _body(stream):
    return stream.read(struct.unpack("!I", stream.read(4))[0] - 4)


@pytest.fixture
def server(request):
    server = Server(getattr(request, "param", _CLEARTEXT))
    yield server
    server.close()


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """An operator's environment and home, each with a secret or a name."""
    (tmp_path / "pass").write_text("*:*:*:*:of-the-file\n")
    (tmp_path / "pass").chmod(0o600)
    (tmp_path / "services").write_text("[own]\npassword=of-the-service\noptions=-c a.service=1\n")
    for name, value in (
        ("PASSFILE", tmp_path / "pass"),
        ("SERVICEFILE", tmp_path / "services"),
        ("SERVICE", "own"),
        ("PASSWORD", "of-the-variable"),
        ("USER", "own-user"),
        ("DATABASE", "own-data"),
        ("OPTIONS", "-c a.variable=1"),
        ("APPNAME", "own-app"),
        ("PORT", "1"),
        ("SSLCERT", tmp_path / "pass"),
        ("REQUIREAUTH", "gss"),
    ):
        monkeypatch.setenv(f"PG{name}", str(value))
    return monkeypatch


LOCAL = {"allow_private_addresses": ("127.0.0.1",)}


@pytest.mark.parametrize("word", [Word.AUTHOR, Word.REQUEST])
@pytest.mark.parametrize("without", [(), ("PASSWORD",), ("PASSWORD", "SERVICE"), ("SERVICE", "PASSFILE")], ids=",".join)
def test_no_password_of_the_machine_is_sent(server, surroundings, word, without):
    for name in without:
        surroundings.delenv(f"PG{name}")
    with pytest.raises(QueryFailed, match="127.0.0.1 cannot be reached.*password"):
        ask("SELECT 1", f"postgresql://u@127.0.0.1:{server.port}", context(word, settings=LOCAL))
    assert server.told == []
    assert b"own-" not in server.started[0]
    assert b"-c a." not in server.started[0]
    assert b"database\0u\0" in server.started[0]


def test_the_password_of_the_address_is_sent(server, surroundings):
    with pytest.raises(QueryFailed):
        ask("SELECT 1", f"postgresql://u:right@127.0.0.1:{server.port}/d", context(Word.AUTHOR, settings=LOCAL))
    assert server.told == [b"right\0"]


@pytest.mark.parametrize("server", [_KERBEROS], indirect=True, ids=["kerberos"])
def test_no_ticket_of_the_machine_is_sent(server, surroundings):
    with pytest.raises(QueryFailed, match="cannot be reached"):
        ask("SELECT 1", f"postgresql://u:pw@127.0.0.1:{server.port}/d", context(Word.AUTHOR, settings=LOCAL))
    assert server.told == []


def test_the_operator_may_leave_the_password_to_the_environment(server, surroundings):
    for name in ("SERVICE", "REQUIREAUTH", "SSLCERT"):
        surroundings.delenv(f"PG{name}")
    with pytest.raises(QueryFailed):
        ask("SELECT 1", f"postgresql://u@127.0.0.1:{server.port}/d", context())
    assert server.told == [b"of-the-variable\0"]


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1/d", "mysql://127.0.0.1/d", "mariadb://:pw@127.0.0.1/d"])
def test_the_name_of_the_servers_own_user_is_not_told(url):
    with pytest.raises(DatabaseRefused, match="names no user"):
        find_database(context(Word.AUTHOR, settings=LOCAL), url)


def changed(own):
    """Return a context in which a request has changed the operator's address."""
    return make_context(
        settings=SimpleNamespace(document_folders=(), data_dir=None, allow_private_addresses=()),
        given=lambda name: Given(Word.REQUEST, Word.REQUEST, own, Word.OPERATOR),
    )


@pytest.mark.parametrize("more", ["?host=db.example", "?passfile=/etc/x", "?hostaddr=192.0.2.7", "?service=own"])
def test_a_request_that_keeps_the_operators_host_says_no_more_than_others(more):
    with pytest.raises(DatabaseRefused, match="allowed in flows from the operator's folder"):
        find_database(changed("postgresql://u:pw@127.0.0.1/d"), f"postgresql://u@127.0.0.1/d{more}")


def test_a_request_that_keeps_the_operators_host_gets_none_of_its_passwords(server, surroundings):
    own, asked = (f"postgresql://{who}@127.0.0.1:{server.port}/d" for who in ("u:pw", "postgres"))
    with pytest.raises(QueryFailed, match="password"):
        ask("SELECT 1", asked, changed(own))
    assert server.told == []
    with pytest.raises(AddressRefused):
        ask("SELECT 1", asked, changed("postgresql://u:pw@127.0.0.1:1/d"))
