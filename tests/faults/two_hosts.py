"""Two servers with two data folders on one PostgreSQL, used as one: each request goes to either of them at random."""

from __future__ import annotations

import random
from typing import Any

import requests
from sqlalchemy import inspect
from werkzeug.wrappers import Response

from tests.faults.site import Site, waiting_flow
from tests.live_server import DEADLINE
from tests.waiting import wait_until
from tests.web import site as web_site

#: The key of both servers, by which secrets in their database are encrypted.
SECRET = "one"

PLAIN = {
    "components": {"in": {"type": "ChatInput"}, "out": {"type": "ChatOutput"}},
    "edges": ["in.message -> out.input_value"],
}

FAILING = waiting_flow(0.01)
FAILING["components"]["wait0"] = {"type": "Fails"}

FLOWS = {
    "plain": PLAIN,
    "chat": waiting_flow(0.01),
    "short": waiting_flow(0.3),
    "slow": waiting_flow(30),
    "steps": waiting_flow(*[0.5] * 6),
    "hook": waiting_flow(0.01, source="Webhook"),
    "bad": FAILING,
    "slowhook": waiting_flow(30, source="Webhook"),
    "mute": {
        "components": {"in": {"type": "TextInput"}, "out": {"type": "TextOutput"}},
        "edges": ["in.text -> out.input_value"],
    },
}


class Hosts:
    """Both servers. What a :class:`~tests.faults.site.Site` does, this does at one that is chosen each time.

    The choice has a fixed seed; tests that send from several threads get it in the order in which they ask.
    """

    def __init__(self, sites: list[Site], database: str, seed: int = 7) -> None:
        self.sites = sites
        self.database = database
        self.key = sites[0].key
        self._chance = random.Random(seed)

    def either(self) -> Site:
        """Return one of the two."""
        return self._chance.choice(self.sites)

    def pair(self) -> tuple[Site, Site]:
        """Return both, in an order of chance."""
        one, other = self._chance.sample(self.sites, 2)
        return one, other

    @property
    def url(self) -> str:
        return self.either().url

    @property
    def data(self) -> Any:
        return self.either().data

    def __iter__(self) -> Any:
        return iter(self.sites)

    def __getitem__(self, index: int) -> Site:
        return self.sites[index]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.either(), name)


class EitherSite(web_site.Site):
    """The site of the tests of the API, whose requests go over the wire to either server.

    The app itself, which is a third host, makes keys and knows the routes.
    """

    def __init__(self, folder: Any, hosts: Hosts) -> None:
        super().__init__(folder, memory="sqlite", database_url=hosts.database, secret_key=SECRET)
        self._hosts = hosts
        self._sessions = [requests.Session() for _ in hosts.sites]

    def call(self, user: str | None, method: str, path: str, *, headers: Any = None, **more: Any) -> Response:
        """Send a request in the name of a user and return the answer."""
        sent = dict(headers or {})
        if user is not None:
            sent.setdefault("x-api-key", self.keys[user])
        data, files = more.pop("data", None), None
        kind = more.pop("content_type", None)
        if isinstance(data, dict):
            files = {name: (value[1], value[0]) if isinstance(value, tuple) else value for name, value in data.items()}
            data = None
        elif kind is not None:
            sent["Content-Type"] = kind
        number = self._hosts.sites.index(self._hosts.either())
        answer = self._sessions[number].request(
            method,
            self._hosts.sites[number].url + path,
            headers=sent,
            data=data,
            files=files,
            json=more.pop("json", None),
            timeout=DEADLINE,
            allow_redirects=False,
        )
        assert not more, more
        headers = [item for item in answer.headers.items() if item[0] not in ("Content-Encoding", "Transfer-Encoding")]
        return Response(answer.content, answer.status_code, headers)

    def empty(self) -> None:
        """Remove whatever the users of a test before have left; the hosts' own key stays."""
        assert wait_until(lambda: not self._hosts.open_runs())
        kept = {"flowrunner_api_keys", "flowrunner_facts", "flowrunner_processes"}
        with self.runner.engine.begin() as connection:
            found = inspect(connection).get_table_names()
            tables = ", ".join(name for name in found if name not in kept and not name.endswith("_version"))
            connection.exec_driver_sql(f"TRUNCATE {tables}")
            connection.exec_driver_sql("DELETE FROM flowrunner_api_keys WHERE user_name <> 'host'")

    def close(self) -> None:
        """Close what it holds."""
        for session in self._sessions:
            session.close()
        super().close()
