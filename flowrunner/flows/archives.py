"""Read archives of flow files, such as the download of a project."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator

from flowrunner.errors import FlowInvalid
from flowrunner.flows.parsing import Limits

_CHUNK = 64 * 1024


def is_archive(data: bytes) -> bool:
    """Return whether the bytes are a zip archive."""
    return data[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def members(data: bytes, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each JSON file in an archive. Names are labels only and never paths.

    :raises FlowInvalid: for an archive that is broken, locked with a password, or over the limits.
    """
    if len(data) > limits.max_bytes:
        raise FlowInvalid(f"The file has {len(data)} bytes; at most {limits.max_bytes} are accepted.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            wanted = [info for info in archive.infolist() if _is_flow_file(info)]
            if len(wanted) > limits.max_flows:
                raise FlowInvalid(f"The archive has {len(wanted)} files; at most {limits.max_flows} are accepted.")
            left = limits.max_bytes
            for info in wanted:
                content = _read_member(archive, info, left, limits)
                left -= len(content)
                yield info.filename, content
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise FlowInvalid(f"The archive cannot be read: {error}.") from error


def _is_flow_file(info: zipfile.ZipInfo) -> bool:
    name = info.filename.rpartition("/")[2]
    return name.lower().endswith(".json") and not name.startswith(".") and not info.filename.startswith("__MACOSX/")


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, left: int, limits: Limits) -> bytes:
    """Read one file; the sizes in the archive's list are not believed."""
    parts: list[bytes] = []
    size = 0
    with archive.open(info) as opened:
        while chunk := opened.read(_CHUNK):
            size += len(chunk)
            if size > left:
                raise FlowInvalid(f"The archive unpacks to more than {limits.max_bytes} bytes.")
            parts.append(chunk)
    return b"".join(parts)
