"""The files API: uploads of a flow (v1) and of an owner (v2), which runs and messages may name."""

from __future__ import annotations

from typing import Any, BinaryIO, Final, cast
from urllib.parse import quote
from uuid import UUID

from flask import Response, request
from werkzeug.wsgi import wrap_file

from flowrunner.authority import AUTHOR, CONVERSE
from flowrunner.errors import FlowNotFound
from flowrunner.memory.message import utc_now
from flowrunner.store.files import LONGEST_NAME, StoredFile, check_name
from flowrunner.web import schemas
from flowrunner.web.auth import caller, stores, this_runner
from flowrunner.web.fields import Uuid
from flowrunner.web.input import uploaded_file
from flowrunner.web.route import RouteGroup
from flowrunner.web.schemas import DOWNLOAD, UPLOAD, answer, member

#: The size of a multipart body in addition to the file.
_AROUND: Final = 64 * 1024

V1: Final = "/api/v1/files"
V2: Final = "/api/v2/files"
OF_FLOW: Final[dict[str, Any]] = {"needs": CONVERSE, "path": {"flow_id": Uuid()}}
OWN: Final[dict[str, Any]] = {"needs": AUTHOR, "path": {"file_id": Uuid()}}

#: Files uploaded for a flow.
routes = RouteGroup("files")
#: Files of an author for all their flows.
own_routes = RouteGroup("files")


#: Where a file is kept, as runs and messages name it.
FlowFile: Final = answer("FlowFile", flowId=str, file_path=str)
FileNames: Final = answer("FileNames", files=[str])

#: A file of an owner.
OwnFile: Final = answer(
    "OwnFile",
    id=UUID,
    name=str,
    path=str,
    size=int,
    provider=str | None,
    user_id=member(str, required=False),
    created_at=member(str, required=False),
    updated_at=member(str, required=False),
)


@routes.post(f"{V1}/upload/<flow_id>", **OF_FLOW, body=UPLOAD, answers={201: FlowFile}, errors=(429,))
def upload_file(flow_id: str) -> dict[str, Any]:
    """Upload a file for a flow."""
    flow_id = _flow(flow_id)
    return {"flowId": flow_id, "file_path": _keep(flow_id, f"{utc_now():%Y-%m-%d_%H-%M-%S}_").path}


@routes.get(f"{V1}/list/<flow_id>", **OF_FLOW, answers={200: FileNames})
def list_files(flow_id: str) -> dict[str, Any]:
    """List the files of a flow."""
    return {"files": [file.name for file in stores().files.list(flow_id=_flow(flow_id))]}


@routes.get(f"{V1}/download/<flow_id>/<name>", **OF_FLOW, answers={200: DOWNLOAD})
def download_file(flow_id: str, name: str) -> Response:
    """Download a file of a flow."""
    return _send(stores().files.find(flow_id=_flow(flow_id), name=name))


@routes.delete(f"{V1}/delete/<flow_id>/<name>", **OF_FLOW, answers={200: schemas.Said})
def delete_file(flow_id: str, name: str) -> dict[str, Any]:
    """Delete a file of a flow."""
    found = stores().files.find(flow_id=_flow(flow_id), name=name)
    stores().files.delete(found)
    return {"message": f"File {found.name} deleted successfully"}


@own_routes.post(f"{V2}/", needs=AUTHOR, body=UPLOAD, answers={201: OwnFile}, errors=(429,))
def upload_own_file() -> dict[str, Any]:
    """Upload a file for all flows of the caller."""
    return _own(_keep(None))


@own_routes.get(f"{V2}/", needs=AUTHOR, answers={200: [OwnFile]})
def list_own_files() -> list[dict[str, Any]]:
    """List the caller's files that do not belong to a flow."""
    return [
        {**_own(file), "user_id": file.owner, "created_at": file.created_at, "updated_at": file.created_at}
        for file in stores().files.list(flow_id=None)
    ]


@own_routes.get(f"{V2}/<file_id>", **OWN, answers={200: DOWNLOAD})
def download_own_file(file_id: str) -> Response:
    """Download a file of the caller."""
    return _send(stores().files.find(flow_id=None, file_id=file_id))


@own_routes.delete(f"{V2}/<file_id>", **OWN, answers={200: schemas.Detail})
def delete_own_file(file_id: str) -> dict[str, Any]:
    """Delete a file of the caller."""
    found = stores().files.find(flow_id=None, file_id=file_id)
    stores().files.delete(found)
    return {"detail": f"File {_stem(found.name)} deleted successfully"}


def _flow(flow_id: str) -> str:
    """Return the id of a flow that the caller may use.

    :raises FlowNotFound: if there is none.
    """
    try:
        return this_runner().find(flow_id, caller()).id
    except FlowNotFound:
        raise FlowNotFound("Flow not found") from None


def _keep(flow_id: str | None, date: str = "") -> StoredFile:
    """Store the file uploaded by the current request.

    :param date: a prefix of its name.
    """
    given = uploaded_file(this_runner().settings.max_file_size + _AROUND)
    name, stream = given.filename or "", cast("BinaryIO", given.stream)
    check_name(name)
    name, media_type = _dated(date, name) if date else name, (given.mimetype or "")[:255] or None
    return stores().files.save(stream, name=name, flow_id=flow_id, media_type=media_type)


def _send(found: StoredFile) -> Response:
    """Send a file as an attachment, never inline: it may contain anything."""
    opened: Any = wrap_file(request.environ, stores().files.open(found))
    answer = Response(opened, content_type="application/octet-stream", direct_passthrough=True)
    answer.content_length = found.size
    plain = found.name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    answer.headers["Content-Disposition"] = (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(found.name, safe='')}"
    )
    return answer


def _dated(date: str, name: str) -> str:
    """Return a name with a date as prefix; if it is too long, the stem is truncated, not the suffix."""
    over = max(0, len(date) + len(name) - LONGEST_NAME)
    stem, dot, suffix = name.rpartition(".")
    if len(stem) <= over:
        stem, dot, suffix = name, "", ""
    return f"{date}{stem[: len(stem) - over]}{dot}{suffix}"


def _stem(name: str) -> str:
    stem, _, _ = name.rpartition(".")
    return stem or name


def _own(file: StoredFile) -> dict[str, Any]:
    return {"id": file.id, "name": _stem(file.name), "path": file.path, "size": file.size, "provider": None}
