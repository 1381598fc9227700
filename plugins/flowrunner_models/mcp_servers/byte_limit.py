"""Limit how much an MCP server may send over HTTP, counted as it arrives.

Imported on first use: it needs the extra ``[mcp]``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import httpx2

#: Bytes that one call, or the whole list of tools, may bring.
MOST_BYTES: Final = 32 * 1024 * 1024


class TooMuch(httpx2.StreamError):
    """A server that sends more than it may, or packs what it sends although it was asked not to."""


class Inflow:
    """Counts what comes over a connection; begins again with each call."""

    def __init__(self) -> None:
        self._left = MOST_BYTES
        self.refused: TooMuch | None = None

    def begin(self) -> None:
        """Count from nothing for what is called next."""
        self._left, self.refused = MOST_BYTES, None

    def take(self, count: int) -> None:
        """Count bytes that have come.

        :raises TooMuch: if they are too many.
        """
        self._left -= count
        if self._left < 0:
            self.refuse(f"it sent more than {MOST_BYTES} bytes")

    def refuse(self, why: str) -> None:
        """Remember why nothing more is read, and say it.

        :raises TooMuch: always.
        """
        self.refused = TooMuch(why)
        raise self.refused


class CountingTransport(httpx2.AsyncHTTPTransport):
    """Hands on answers whose bodies are counted while they are read."""

    def __init__(self, inflow: Inflow, *, verify: bool) -> None:
        super().__init__(verify=verify, trust_env=False)
        self._inflow = inflow

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return the answer, its body still to be read."""
        request.headers["Accept-Encoding"] = "identity"
        response = await super().handle_async_request(request)
        if isinstance(response.stream, httpx2.AsyncByteStream):
            packed = response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity")
            response.stream = _Counted(response.stream, self._inflow, packed=packed)
        return response


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, inflow: Inflow, *, packed: bool) -> None:
        self._stream, self._inflow, self._packed = stream, inflow, packed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._packed:
            # A few bytes of it may stand for any number.
            self._inflow.refuse("it sent a compressed answer, which was not requested")
        async for part in self._stream:
            self._inflow.take(len(part))
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
