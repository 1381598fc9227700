"""Clients that talk without a pause, and know what they were told."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field

import requests

from tests.crash.site import Site

SHARED = "shared"
TIMEOUT = 60


@dataclass
class Client:
    """What one client sent, and which of it was answered."""

    name: str
    sent: dict[str, list[str]] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)


class Load:
    """Runs clients on threads; each takes turns between its own session and the one that all share."""

    def __init__(self, site: Site, clients: int, *, sessions: tuple[str, ...] = (SHARED, ""), most: int = 0) -> None:
        self._site = site
        self._sessions = sessions
        self._most = most
        self._stop = threading.Event()
        self._heard = threading.Condition()
        self._answers = 0
        self.clients = [Client(f"c{n}") for n in range(clients)]
        self._threads = [threading.Thread(target=self._talk, args=(client,)) for client in self.clients]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until every client has said all it wants."""
        for thread in self._threads:
            thread.join()

    def wait_for_answers(self, number: int) -> None:
        """Wait until so many more runs were answered."""
        with self._heard:
            wanted = self._answers + number
            assert self._heard.wait_for(lambda: self._answers >= wanted, TIMEOUT), "the server answers no more"

    def _talk(self, client: Client) -> None:
        with requests.Session() as http:
            http.headers["x-api-key"] = self._site.key
            number = 0
            while not self._stop.is_set() and (not self._most or number < self._most):
                text = f"{client.name} {number}"
                session = self._sessions[number % len(self._sessions)] or client.name
                client.sent.setdefault(session, []).append(text)
                if self._ask(http, client, text, session, number):
                    client.answered.add(text)
                    with self._heard:
                        self._answers += 1
                        self._heard.notify_all()
                else:
                    # Nobody is there to answer for a moment.
                    self._stop.wait(0.02)
                number += 1

    def _ask(self, http: requests.Session, client: Client, text: str, session: str, number: int) -> bool:
        """Run a flow, plain or as a stream; say whether the whole answer came."""
        flow = ("slow", "quick")[number // 2 % 2]
        stream = number // 4 % 2 == 1
        url = f"{self._site.url}/api/v1/run/{flow}?stream={str(stream).lower()}"
        try:
            answer = http.post(url, json={"input_value": text, "session_id": session}, timeout=TIMEOUT)
        except requests.RequestException:
            return False
        if answer.status_code != 200:
            client.refused.append(f"{answer.status_code} {answer.text}")
            return False
        if not stream:
            return text in answer.text
        events = [json.loads(line) for line in answer.text.splitlines() if line.strip()]
        return bool(events) and events[-1]["event"] == "end"


def check(clients: list[Client], stored: dict[str, list[tuple[str, str]]]) -> int:
    """Compare what is stored with what was answered; return the number of questions that lack their answer."""
    sent = {(session, text) for client in clients for session, texts in client.sent.items() for text in texts}
    answered = {text for client in clients for text in client.answered}
    lonely = 0
    for session, rows in stored.items():
        questions = [text for sender, text in rows if sender == "User"]
        assert {(session, text) for _, text in rows} <= sent, "there are messages that nobody sent"
        assert max(Counter(rows).values()) == 1, "a message is doubled"
        for client in clients:
            mine = [text for text in questions if text.startswith(f"{client.name} ")]
            assert mine == [text for text in client.sent.get(session, ()) if text in set(mine)], "the order is broken"
        pairs = 0
        for place, (sender, text) in enumerate(rows):
            if sender == "User":
                continue
            assert place and rows[place - 1] == ("User", text), f"{text}: the answer does not follow its question"
            pairs += 1
        lonely += len(questions) - pairs
    both = {(session, text) for session, rows in stored.items() for sender, text in rows if sender != "User"}
    lost = {text for session, text in sent - both if text in answered}
    assert not lost, f"acknowledged, and not there: {sorted(lost)}"
    return lonely
