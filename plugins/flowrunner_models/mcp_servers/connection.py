"""A connection to an MCP server, on a thread with its own event loop."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, Final

from flowrunner import CancelToken

from .server_choice import ChosenServer, ServerRefused

if TYPE_CHECKING:
    from .byte_limit import Inflow

_CONNECT_SECONDS: Final = 30.0
_MOST_TOOLS: Final = 1000
_SAID: Final = 300


class ServerFailed(ValueError):
    """An MCP server that does not answer as it should; the text says why."""


class ServerConnection:
    """A connection that is made at once, used from any thread, and closed when it is forgotten.

    :param cancelled: of the run: ends what waits.
    """

    def __init__(self, server: ChosenServer, cancelled: CancelToken, *, verify: bool = True) -> None:
        _require()
        from anyio.from_thread import start_blocking_portal

        from .byte_limit import Inflow

        self.label = server.label
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._inflow = Inflow()
        opened = contextlib.ExitStack()
        self._portal = opened.enter_context(start_blocking_portal(name="flowrunner-mcp"))
        log = opened.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace"))  # noqa: SIM115
        task = _Task(self._portal)
        opened.callback(task.end)
        #: Whoever forgets a connection leaves no process and no thread behind.
        self.close = weakref.finalize(self, opened.close)
        try:
            self._client = self._wait(task.start(server, log, verify, self._inflow), _CONNECT_SECONDS)
        except ServerFailed as error:
            said = _tail(log) if server.entry.command else ""
            self.close()
            raise ServerFailed(f"{error}{f': {said}' if said else ''}") from error
        except BaseException:
            self.close()
            raise

    def list_tools(self, seconds: float) -> list[Any]:
        """Return the tools of the server, at most a thousand.

        :raises ServerFailed: if it does not tell.
        """
        found: list[Any] = []
        cursor: str | None = None
        self._inflow.begin()
        while True:
            page = self._wait(self._start(self._client.list_tools, cursor=cursor), seconds)
            found += page.tools
            cursor = page.next_cursor
            if not cursor or not page.tools or len(found) >= _MOST_TOOLS:
                return found[:_MOST_TOOLS]

    def call_tool(self, name: str, arguments: Mapping[str, Any], seconds: float) -> Any:
        """Call a tool and return what the server answers.

        :raises ServerFailed: if it does not answer in time, or breaks off.
        """
        self._inflow.begin()
        return self._wait(self._start(self._client.call_tool, name, dict(arguments)), seconds)

    def _start(self, function: Callable[..., Any], *args: Any, **named: Any) -> Future[Any]:
        async def run() -> Any:
            return await function(*args, **named)

        return self._portal.start_task_soon(run)

    def _wait(self, task: Future[Any], seconds: float) -> Any:
        forget = self._cancelled.call_when_set(lambda: task.cancel() and None)
        try:
            return task.result(seconds)
        except (CancelledError, TimeoutError) as error:
            task.cancel()
            self._cancelled.raise_if_set()
            if self._inflow.refused is not None:
                raise ServerFailed(f"the MCP server {self.label[:100]} failed: {self._inflow.refused}") from error
            raise ServerFailed(
                f"the MCP server {self.label[:100]} did not answer within {seconds:g} seconds"
            ) from error
        except Exception as error:
            self._cancelled.raise_if_set()
            reason = _reason(self._inflow.refused or error)
            raise ServerFailed(f"the MCP server {self.label[:100]} failed: {reason}") from error
        finally:
            forget()


class _Task:
    """What holds the client open: a task that enters and leaves its contexts, as they want it, in one place."""

    def __init__(self, portal: Any) -> None:
        self._portal = portal
        self._task: Future[Any] | None = None
        self._done: Any = None

    def start(self, server: ChosenServer, log: Any, verify: bool, inflow: Inflow) -> Future[Any]:
        """Return what becomes the client once it is connected."""
        ready: Future[Any] = Future()

        async def hold() -> None:
            import anyio

            self._done = anyio.Event()
            try:
                async with contextlib.AsyncExitStack() as stack:
                    client = await _enter(stack, server, log, verify, inflow)
                    if not ready.cancelled():
                        ready.set_result(client)
                    await self._done.wait()
            except BaseException as error:
                if not ready.done():
                    ready.set_exception(error)
                raise

        self._task = self._portal.start_task_soon(hold)
        ready.add_done_callback(lambda one: one.cancelled() and self._task is not None and self._task.cancel())
        return ready

    def end(self) -> None:
        """Close the client and wait for that."""
        if self._task is None:
            return
        if self._done is not None:
            with contextlib.suppress(RuntimeError):
                self._portal.call(self._done.set)
        with contextlib.suppress(BaseException):
            self._task.result(_CONNECT_SECONDS)
        self._task.cancel()


async def _enter(stack: contextlib.AsyncExitStack, server: ChosenServer, log: Any, verify: bool, inflow: Inflow) -> Any:
    """Connect and return the client."""
    from mcp import Client, StdioServerParameters, stdio_client

    entry = server.entry
    if entry.command:
        about = StdioServerParameters(command=entry.command[0], args=list(entry.command[1:]), env=dict(entry.env))
        return await stack.enter_async_context(Client(stdio_client(about, errlog=log)))
    if entry.sse or entry.url.rstrip("/").endswith("/sse"):
        return await _enter_sse(stack, server, verify, inflow)
    from mcp.client.streamable_http import streamable_http_client

    http = await stack.enter_async_context(_http(server, verify, inflow))
    return await stack.enter_async_context(Client(streamable_http_client(entry.url, http_client=http)))


async def _enter_sse(stack: contextlib.AsyncExitStack, server: ChosenServer, verify: bool, inflow: Inflow) -> Any:
    from mcp import Client
    from mcp.client.sse import sse_client

    def make(headers: Any = None, timeout: Any = None, auth: Any = None) -> Any:
        return _http(server, verify, inflow)

    return await stack.enter_async_context(Client(sse_client(server.entry.url, httpx_client_factory=make)))


def _http(server: ChosenServer, verify: bool, inflow: Inflow) -> Any:
    """Return an HTTP client that reaches the checked address and no other, and follows no redirect."""
    import httpx2

    from .byte_limit import CountingTransport

    async def pin(request: Any) -> None:
        if server.address is not None:
            host = request.url.host
            request.extensions["sni_hostname"] = host
            request.headers["Host"] = request.url.netloc.decode("ascii")
            request.url = request.url.copy_with(host=server.address)

    return httpx2.AsyncClient(
        headers=dict(server.entry.headers),
        timeout=httpx2.Timeout(_CONNECT_SECONDS, read=300.0),
        transport=CountingTransport(inflow, verify=verify),
        follow_redirects=False,
        trust_env=False,
        event_hooks={"request": [pin]},
    )


def _require() -> None:
    try:
        import mcp  # noqa: F401
    except ImportError:
        raise ServerRefused("no client for MCP servers is installed: pip install 'flask-flowrunner[mcp]'") from None


def _reason(error: BaseException) -> str:
    """Return why a task failed: of a group of errors the first that says something."""
    while isinstance(inner := getattr(error, "exceptions", None), tuple) and inner:
        error = inner[0]
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:_SAID]


def _tail(log: Any) -> str:
    """Return the last line that a command has printed."""
    with contextlib.suppress(OSError, ValueError):
        log.seek(0)
        lines = [line.strip() for line in log.read()[-10_000:].splitlines() if line.strip()]
        return lines[-1][:_SAID] if lines else ""
    return ""
