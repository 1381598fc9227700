"""A real MCP server in a process of its own: ``python mcp_stand_in.py stdio | streamable-http | sse``.

Over HTTP it prints its port first. What it was asked for by headers stands in the answer of ``headers``.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ImageContent, TextContent

server = MCPServer("stand-in")
calls = 0


@server.tool()
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def rows(count: int) -> list[dict[str, str]]:
    """Give rows."""
    return [{"name": f"row {number}"} for number in range(count)]


@server.tool()
def count() -> str:
    """Say how often it was called."""
    global calls
    calls += 1
    return f"call {calls} of process {os.getpid()}"


@server.tool()
def fail(word: str) -> str:
    """Fail."""
    raise ToolError(f"no {word} today")


@server.tool()
def sleep(seconds: float) -> str:
    """Sleep."""
    time.sleep(seconds)
    return "awake"


@server.tool(name="see.it")
def see() -> list[TextContent | ImageContent]:
    """Give a picture."""
    return [TextContent(type="text", text="look"), ImageContent(type="image", data="AAAA", mime_type="image/png")]


@server.tool()
def environment(name: str) -> str:
    """Give a variable of the environment."""
    return os.environ.get(name, "none")


@server.tool()
def end() -> str:
    """End the process at once."""
    os._exit(3)


if __name__ == "__main__":
    if sys.argv[1] == "broken":
        sys.exit("the licence has run out")
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        print(port, flush=True)
        server.run(sys.argv[1], port=port)
