"""The files API: uploads of a flow (v1) and of an owner (v2), which runs and messages may name."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from flask import Response, request
from werkzeug.datastructures import FileStorage
from werkzeug.wsgi import wrap_file

from flowrunner.authority import AUTHOR, CONVERSE
from flowrunner.errors import FlowNotFound
from flowrunner.memory.message import utc_now
from flowrunner.runner import Runner
from flowrunner.store.bound import FilesOfCaller
from flowrunner.store.files import LONGEST_NAME, StoredFile, check_name
from flowrunner.web.auth import caller
from flowrunner.web.blueprint import Routes
from flowrunner.web.jsons import json_response, refuse_packed
from flowrunner.web.parameters import invalid, read_uuid

#: What a multipart body has besides the file.
_AROUND: Final = 64 * 1024


def add_file_routes(routes: Routes) -> None:
    """Add ``/api/v1/files``: the files of chats."""
    views = FileViews(routes.runner)
    v1 = "/api/v1/files"
    routes.add(f"{v1}/upload/<flow_id>", views.upload, methods=["POST"], name="upload_file", needs=CONVERSE)
    routes.add(f"{v1}/list/<flow_id>", views.list, methods=["GET"], name="list_files", needs=CONVERSE)
    routes.add(f"{v1}/download/<flow_id>/<name>", views.download, methods=["GET"], name="download_file", needs=CONVERSE)
    routes.add(f"{v1}/delete/<flow_id>/<name>", views.delete, methods=["DELETE"], name="delete_file", needs=CONVERSE)


def add_own_file_routes(routes: Routes) -> None:
    """Add ``/api/v2/files``: the files of an author, for all their flows."""
    views = FileViews(routes.runner)
    v2 = "/api/v2/files"
    routes.add(f"{v2}/", views.upload_own, methods=["POST"], name="upload_own_file", needs=AUTHOR)
    routes.add(f"{v2}/", views.list_own, methods=["GET"], name="list_own_files", needs=AUTHOR)
    routes.add(f"{v2}/<file_id>", views.download_own, methods=["GET"], name="download_own_file", needs=AUTHOR)
    routes.add(f"{v2}/<file_id>", views.delete_own, methods=["DELETE"], name="delete_own_file", needs=AUTHOR)


class FileViews:
    """The views; every one works in the name of the caller."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def _files(self) -> FilesOfCaller:
        return self._runner.stores_of(caller()).files

    def upload(self, flow_id: str) -> Response:
        """Keep a file for a flow."""
        found = self._flow(flow_id)
        given = self._uploaded()
        name = _dated(f"{utc_now():%Y-%m-%d_%H-%M-%S}_", given.filename or "")
        kept = self._save(given, name, found)
        return json_response({"flowId": found, "file_path": kept.path}, 201)

    def list(self, flow_id: str) -> Response:
        """List the names of the caller's files of a flow."""
        return json_response({"files": [f.name for f in self._files.list(flow_id=self._flow(flow_id))]})

    def download(self, flow_id: str, name: str) -> Response:
        """Send a file of a flow."""
        return self._send(self._files.find(flow_id=self._flow(flow_id), name=name))

    def delete(self, flow_id: str, name: str) -> Response:
        """Delete a file of a flow."""
        found = self._files.find(flow_id=self._flow(flow_id), name=name)
        self._files.delete(found)
        return json_response({"message": f"File {found.name} deleted successfully"})

    def upload_own(self) -> Response:
        """Keep a file for all flows of the caller."""
        given = self._uploaded()
        kept = self._save(given, given.filename or "", None)
        return json_response(_own(kept), 201)

    def list_own(self) -> Response:
        """List the caller's files that belong to no flow."""
        found = self._files.list(flow_id=None)
        more = ({"user_id": f.owner, "created_at": f.created_at, "updated_at": f.created_at} for f in found)
        return json_response([{**_own(file), **rest} for file, rest in zip(found, more, strict=True)])

    def download_own(self, file_id: str) -> Response:
        """Send a file."""
        return self._send(self._own_file(file_id))

    def delete_own(self, file_id: str) -> Response:
        """Delete a file."""
        found = self._own_file(file_id)
        self._files.delete(found)
        return json_response({"detail": f"File {_stem(found.name)} deleted successfully"})

    def _own_file(self, file_id: str) -> StoredFile:
        return self._files.find(flow_id=None, file_id=read_uuid(file_id, ("path", "file_id")))

    def _flow(self, flow_id: str) -> str:
        """Return the canonical id of a flow that the caller may use."""
        canonical = read_uuid(flow_id, ("path", "flow_id"))
        try:
            found: str = self._runner.find(canonical, caller()).id
        except FlowNotFound:
            raise FlowNotFound("Flow not found") from None
        return found

    def _uploaded(self) -> FileStorage:
        request.max_content_length = self._runner.settings.max_file_size + _AROUND
        refuse_packed(request)
        given = request.files.get("file")
        if given is None:
            raise invalid(("body", "file"), "missing", "Field required")
        check_name(given.filename or "")
        return given

    def _save(self, given: FileStorage, name: str, flow_id: str | None) -> StoredFile:
        stream: Any = given.stream
        media_type = (given.mimetype or "")[:255] or None
        return self._files.save(stream, name=name, flow_id=flow_id, media_type=media_type)

    def _send(self, found: StoredFile) -> Response:
        """Send a file as something to save, never to show: it may hold anything."""
        opened: Any = wrap_file(request.environ, self._files.open(found))
        answer = Response(opened, content_type="application/octet-stream", direct_passthrough=True)
        answer.content_length = found.size
        plain = found.name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
        answer.headers["Content-Disposition"] = (
            f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(found.name, safe='')}"
        )
        return answer


def _dated(date: str, name: str) -> str:
    """Return a name with a date before it; where both are too long, the stem loses some, not the suffix."""
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
