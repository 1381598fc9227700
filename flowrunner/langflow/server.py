"""Read a running Langflow server over its API, as the user of an API key."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, build_opener

from flowrunner.errors import BadRequest
from flowrunner.langflow.source import FoundFlow, FoundKey, FoundMessage, FoundVariable, read_message

_PAGE: Final = 200
_GZIP: Final = b"\x1f\x8b"
_SECONDS: Final = 60.0
_LONGEST: Final = 512 * 1024 * 1024


class LangflowServer:
    """What a server shows to the user of an API key.

    :param address: where it is, such as ``http://localhost:7860``.
    :param api_key: a key of the user whose things are read; None for a server that asks for none.
    :raises BadRequest: if it does not answer, or refuses the key.
    """

    def __init__(self, address: str, api_key: str | None) -> None:
        self.notes: list[str] = []
        self._address = address.rstrip("/").removesuffix("/api/v1")
        self._headers = {"Accept": "application/json", **({"x-api-key": api_key} if api_key else {})}
        self._rows: list[dict[str, Any]] | None = None
        who = self._get("/api/v1/users/whoami", missing={})
        self._user = str(who.get("username") or "langflow") if isinstance(who, dict) else "langflow"

    def users(self) -> list[str]:
        """Return the name of the key's user, the only one that is seen."""
        return [self._user]

    def flows(self) -> Iterator[FoundFlow]:
        """Yield the user's flows."""
        projects = self._get("/api/v1/projects/", missing=[])
        names = {row["id"]: row.get("name") for row in projects if isinstance(row, dict) and "id" in row}
        for row in self._list("/api/v1/flows/?remove_example_flows=true&get_all=true&header_flows=false"):
            values = {name: value for name, value in row.items() if value is not None}
            yield FoundFlow(self._user, names.get(row.get("folder_id")), values)

    def count_messages(self) -> int:
        """Return how many messages there are."""
        return len(self._messages())

    def messages(self) -> Iterator[FoundMessage]:
        """Yield all messages in order of time."""
        unread = 0
        for row in self._messages():
            try:
                message = read_message(row)
            except (ValueError, TypeError, OverflowError):
                unread += 1
                continue
            yield FoundMessage(self._user, message)
        if unread:
            self.notes.append(f"{unread} messages have no readable id or timestamp; they are skipped.")

    def variables(self) -> Iterator[FoundVariable]:
        """Yield the user's variables; the values of credentials are not shown by the API."""
        hidden = 0
        for row in self._list("/api/v1/variables/"):
            kind = "Credential" if row.get("type") == "Credential" else "Generic"
            value = row.get("value") if kind == "Generic" else None
            hidden += value is None
            yield FoundVariable(
                self._user, str(row["name"]), kind, value or None, tuple(map(str, row.get("default_fields") or ()))
            )
        if hidden:
            self.notes.append(
                f"The API does not show the values of {hidden} variables; to import them, read the database with"
                f" its secret key."
            )

    def api_keys(self) -> Iterator[FoundKey]:
        """Yield the user's API keys."""
        found = self._get("/api/v1/api_key/", missing={})
        for row in found.get("api_keys", []) if isinstance(found, dict) else []:
            if row.get("is_active", True):
                yield FoundKey(self._user, str(row.get("name") or ""), str(row["id"]))

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

    def _messages(self) -> list[dict[str, Any]]:
        """Return all messages, oldest first; pages count from the newest, and what comes in meanwhile moves them."""
        if self._rows is None:
            found: dict[str, dict[str, Any]] = {}
            offset = 0
            while True:
                asked = urlencode({"order": "DESC", "limit": _PAGE, "offset": offset})
                page = self._list(f"/api/v1/monitor/messages?{asked}")
                found.update((str(row.get("id")), row) for row in page if str(row.get("id")) not in found)
                offset += len(page)
                if not page:
                    break
            oldest_first = list(reversed(found.values()))
            oldest_first.sort(key=lambda row: str(row.get("timestamp")))
            self._rows = oldest_first
        return self._rows

    def _list(self, path: str) -> list[dict[str, Any]]:
        found = self._get(path)
        if not isinstance(found, list):
            raise BadRequest(f"{self._address}{path.partition('?')[0]} did not answer with a list.")
        return [row for row in found if isinstance(row, dict)]

    def _get(self, path: str, *, missing: Any = None) -> Any:
        """Return what a path answers.

        :param missing: what counts instead where the release has no such path.
        """
        request = Request(self._address + path, headers=self._headers)  # noqa: S310 - the operator names the address
        shown = self._address + path.partition("?")[0]
        try:
            with build_opener().open(request, timeout=_SECONDS) as answer:
                content: bytes = answer.read(_LONGEST)
                # Some releases answer so, whether it was asked for or not.
                return json.loads(gzip.decompress(content) if content.startswith(_GZIP) else content)
        except HTTPError as error:
            with error:
                if error.code in (404, 405) and missing is not None:
                    return missing
            if error.code in (401, 403):
                raise BadRequest(
                    f"{shown} refuses the key ({error.code}): set LANGFLOW_API_KEY to an API key of the user to import."
                ) from None
            raise BadRequest(f"{shown} answers with {error.code}.") from None
        except (URLError, OSError) as error:
            raise BadRequest(f"{shown} cannot be reached: {getattr(error, 'reason', error)}.") from None
        except (ValueError, RecursionError):
            raise BadRequest(f"{shown} did not answer with JSON; is it a Langflow server?") from None
