"""The flows API: what folders hold, and what owners create."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import PurePath, PurePosixPath
from typing import Any

from flask import Response, request

from flowrunner.authority import AUTHOR, CONVERSE
from flowrunner.errors import BadRequest, FlowInvalid, FlowNotFound, FlowRunnerError, RequestInvalid
from flowrunner.flows.archives import is_archive
from flowrunner.flows.model import Flow
from flowrunner.flows.parsing import Limits
from flowrunner.flows.reading import Part, find_graph, read_parts, unwrap
from flowrunner.runner import Runner
from flowrunner.store.bound import FlowsOfCaller
from flowrunner.store.flowrecord import EXTRA
from flowrunner.web.auth import caller
from flowrunner.web.blueprint import Routes
from flowrunner.web.jsons import dumps, json_response, parse_json_bytes, read_json, read_object, refuse_packed
from flowrunner.web.messages import read_ids
from flowrunner.web.parameters import query_boolean, query_integer, read_uuid

MOST_FLOWS_A_PAGE = 100


def add_flow_routes(routes: Routes) -> None:
    """Add ``/api/v1/flows/``."""
    views = FlowViews(routes.runner)
    base = "/api/v1/flows/"
    routes.add(base, views.list, methods=["GET"], name="list_flows", needs=CONVERSE)
    routes.add(base, views.create, methods=["POST"], name="create_flow", needs=AUTHOR)
    routes.add(base, views.delete_many, methods=["DELETE"], name="delete_flows", needs=AUTHOR)
    routes.add(f"{base}upload/", views.upload, methods=["POST"], name="upload_flows", needs=AUTHOR)
    routes.add(f"{base}batch/", views.batch, methods=["POST"], name="create_flows", needs=AUTHOR)
    routes.add(f"{base}download/", views.download, methods=["POST"], name="download_flows", needs=AUTHOR.that_reads)
    routes.add(f"{base}<flow_id>", views.read, methods=["GET"], name="read_flow", needs=AUTHOR)
    routes.add(f"{base}<flow_id>", views.change, methods=["PATCH"], name="change_flow", needs=AUTHOR)
    routes.add(f"{base}<flow_id>", views.put, methods=["PUT"], name="put_flow", needs=AUTHOR)
    routes.add(f"{base}<flow_id>", views.delete, methods=["DELETE"], name="delete_flow", needs=AUTHOR)


class FlowViews:
    """The views; every one works in the name of the caller."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def _flows(self) -> FlowsOfCaller:
        return self._runner.stores_of(caller()).flows

    def list(self) -> Response:
        """List the caller's flows and those of the folders; paged with ``get_all=false``."""
        flows, header = self._flows, query_boolean("header_flows")
        page, size = query_integer("page", 1, low=1), query_integer("size", 50, low=1, high=MOST_FLOWS_A_PAGE)
        header = header or not flows.sees_graphs
        shown = [self._folder_json(flow, header=header) for flow in flows.of_folders()]
        shown += [stored.to_header() if header else stored.to_json() for stored in flows.stored()]
        if query_boolean("get_all", default=True):
            return json_response(shown)
        total = len(shown)
        items = shown[(page - 1) * size : page * size]
        pages = -(-total // size)
        return json_response({"items": items, "total": total, "page": page, "size": size, "pages": pages})

    def create(self) -> Response:
        """Create a flow."""
        return json_response(self._flows.create(self._body()).to_json(), 201)

    def batch(self) -> Response:
        """Create several flows: ``{"flows": [...]}``."""
        return json_response(self._create_all(self._body().get("flows")), 201)

    def upload(self) -> Response:
        """Create the flows of an uploaded file: one flow, ``{"flows": [...]}``, or an archive of such files."""
        request.max_content_length = self._runner.settings.max_body
        refuse_packed(request)
        file = request.files.get("file")
        if file is None:
            raise RequestInvalid(
                "file: Field required", [{"type": "missing", "loc": ["body", "file"], "msg": "Field required"}]
            )
        limits = Limits(max_vertices=self._runner.settings.max_vertices)
        return json_response(self._create_all(_flows_in(file.read(), file.filename or "", limits)), 201)

    def read(self, flow_id: str) -> Response:
        """Show one flow."""
        return json_response(self._show(flow_id))

    def change(self, flow_id: str) -> Response:
        """Change members of a flow."""
        return json_response(self._flows.update(_id(flow_id), self._body()).to_json())

    def put(self, flow_id: str) -> Response:
        """Replace a flow, or create it under that id."""
        stored, new = self._flows.put(_id(flow_id), self._body())
        return json_response(stored.to_json(), 201 if new else 200)

    def delete(self, flow_id: str) -> Response:
        """Remove a flow; its messages stay."""
        self._flows.delete(_id(flow_id))
        return json_response({"message": "Flow deleted successfully"})

    def delete_many(self) -> Response:
        """Remove flows by their ids; those that are not the caller's are passed over."""
        ids = read_ids(read_json(request, limit=self._runner.settings.max_body, strict_type=self._strict()))
        return json_response({"deleted": self._flows.delete_many(ids)})

    def download(self) -> Response:
        """Send one flow as JSON, several as a zip archive."""
        ids = read_ids(read_json(request, limit=self._runner.settings.max_body, strict_type=self._strict()))
        found = []
        for flow_id in ids:
            try:
                found.append(self._show(flow_id))
            except FlowNotFound:
                continue
        if not found:
            raise FlowNotFound("No flows found.")
        if len(found) == 1:
            answer = json_response(found[0])
            answer.headers["Content-Disposition"] = "attachment; filename=flow.json"
            return answer
        answer = Response(_archive(found), content_type="application/x-zip-compressed")
        answer.headers["Content-Disposition"] = "attachment; filename=flows.zip"
        return answer

    def _show(self, flow_id: str) -> dict[str, Any]:
        canonical = _id(flow_id)
        flow = self._flows.folder_flow(canonical)
        return self._flows.get(canonical).to_json() if flow is None else self._folder_json(flow)

    def _folder_json(self, flow: Flow, *, header: bool = False) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "name": flow.name,
            "description": flow.description,
            "data": None if header else self._flows.folder_graph(flow),
            "is_component": flow.is_component,
            "updated_at": None,
            "webhook": any(v.type == "Webhook" for v in flow.vertices),
            "endpoint_name": flow.endpoint_name,
            **EXTRA,
            "locked": True,
            "id": flow.id,
            "user_id": None,
        }
        return shown

    def _create_all(self, given: Any) -> Sequence[dict[str, Any]]:
        if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
            entry = {"type": "list_type", "loc": ["body", "flows"], "msg": "Input should be a valid list of flows"}
            raise RequestInvalid("flows: Input should be a valid list of flows", [entry])
        made = self._flows.create_many([{**item, "id": None} for item in given])
        return [stored.to_json() for stored in made]

    def _body(self) -> Mapping[str, Any]:
        return read_object(request, limit=self._runner.settings.max_body, strict_type=self._strict())

    def _strict(self) -> bool:
        strict: bool = self._runner.settings.auth == "none"
        return strict


def _id(flow_id: str) -> str:
    """Return the id of a flow in the path, in canonical spelling."""
    return read_uuid(flow_id, ("path", "flow_id"))


def _flows_in(data: bytes, filename: str, limits: Limits) -> list[dict[str, Any]]:
    """Return the flows of an uploaded file, as JSON; one that has no name is called as its file.

    :raises FlowInvalid: for the first of them that is none: an upload is taken as a whole or not at all.
    :raises BadRequest: if there is none.
    """
    parts = read_parts(data, limits=limits) if is_archive(data) else _parts_of_json(data, PurePath(filename).stem)
    for part in parts:
        try:
            if part.error is not None:
                raise part.error
            find_graph(part.raw)
        except FlowRunnerError as error:
            named = error.message.startswith(part.label)
            raise FlowInvalid(error.message if named else f"{part.label}: {error.message}") from None
    if not parts:
        raise BadRequest("The file holds no flow.")
    return [{**part.raw, "name": _name_of(part)} for part in parts]


def _parts_of_json(data: bytes, stem: str) -> list[Part]:
    try:
        found = parse_json_bytes(data)
    except FlowRunnerError as error:
        raise BadRequest(f"Invalid JSON file: {error.message}") from error
    if not isinstance(found, (dict, list)):
        raise BadRequest("Invalid JSON file: it holds no flow.")
    return list(unwrap(found, stem))


def _name_of(part: Part) -> Any:
    """Return the name of a flow, else that of its file, which may be one of an archive."""
    given = part.raw.get("name")
    return PurePosixPath(part.label).name.replace(".json", "") if given is None else given


def _archive(found: list[dict[str, Any]]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for flow in found:
            archive.writestr(f"{flow['id']}.json", json.dumps(json.loads(dumps(flow)), indent=2))
    return packed.getvalue()
