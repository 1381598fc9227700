"""Reading streams by hand, as far as a test wants."""

from __future__ import annotations

import json
from contextlib import contextmanager

import requests


@contextmanager
def opened(server, flow, text, *, stream="sse", session="s", last=None, timeout=20):
    """Yield the response of a streamed run, to be read and cut at will."""
    headers = {"x-api-key": server.key, **({"Last-Event-ID": last} if last else {})}
    with requests.post(
        f"{server.url}/api/v1/run/{flow}?stream={stream}",
        json={"input_value": text, "session_id": session},
        headers=headers,
        stream=True,
        timeout=timeout,
    ) as response:
        yield response


def lines_of(response):
    """Yield the objects of a line stream."""
    for line in response.iter_lines(chunk_size=1):
        if line:
            yield json.loads(line)


def events_of(response):
    """Yield ``(id, event, data)`` of server-sent events, and ``(None, "comment", text)`` for comments."""
    found = {}
    for raw in response.iter_lines(chunk_size=1):
        line = raw.decode()
        if line.startswith(":"):
            yield None, "comment", line[1:].strip()
        elif line:
            name, _, value = line.partition(": ")
            found[name] = value
        elif "event" in found:
            yield found["id"], found["event"], json.loads(found["data"])
            found = {}
        else:
            found = {}


def take(response, count):
    """Return the first events of a stream, without comments."""
    found = []
    if not count:
        return found
    for event in events_of(response):
        if event[1] != "comment":
            found.append(event)
        if len(found) == count:
            break
    return found
