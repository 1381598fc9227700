"""The flows API: flows from folders, and flows that owners create."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import PurePath, PurePosixPath
from typing import Any, Final

from flask import Response

from flowrunner.authority import AUTHOR, CONVERSE
from flowrunner.errors import BadRequest, FlowInvalid, FlowNotFound, FlowRunnerError
from flowrunner.flows.archives import is_archive
from flowrunner.flows.as_nodes import as_nodes
from flowrunner.flows.model import Flow
from flowrunner.flows.parsing import Limits
from flowrunner.flows.reading import Part, find_graph, is_native, read_parts, unwrap
from flowrunner.store.flowrecord import EXTRA, StoredFlow
from flowrunner.web import schemas
from flowrunner.web.auth import caller, stores, this_runner
from flowrunner.web.fields import Anything, Flag, Items, Nested, Uuid
from flowrunner.web.input import uploaded_file
from flowrunner.web.json_io import dumps, parse_json_bytes
from flowrunner.web.pages import IDS, numbered, one_page
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.schemas import BYTES, UPLOAD, Body, Deleted, Media, Open, answer, member

MOST_FLOWS_A_PAGE: Final = 100
MOST_DOWNLOADED: Final = 1000
#: The maximum size of a flow that is indented in an archive, in characters.
_MOST_INDENTED: Final = 100_000

BASE: Final = "/api/v1/flows/"
ONE: Final[dict[str, Any]] = {"needs": AUTHOR, "path": {"flow_id": Uuid()}}

routes = RouteGroup("flows")


class FlowChanges(Open):
    """The members of a flow to change; validated by the store, which also checks files."""

    id = Anything(json={"type": "string", "format": "uuid"}, allow_none=True)
    name = Anything(json={"type": "string"}, allow_none=True)
    description = Anything(json={"type": "string"}, allow_none=True)
    endpoint_name = Anything(json={"type": "string"}, allow_none=True)
    data = Anything(json={"type": "object"}, allow_none=True)
    is_component = Anything(json={"type": "boolean"}, allow_none=True)


class FlowBody(FlowChanges):
    """A flow, as in an export; unknown members are kept."""

    name = Anything(json={"type": "string"}, required=True)


class FlowBatch(Body):
    """Several flows."""

    flows = Items(Nested(FlowBody), required=True)


#: A flow, perhaps without its data.
FlowHeader: Final = answer(
    "FlowHeader",
    Open,
    id=str,
    name=str,
    description=str | None,
    endpoint_name=str | None,
    is_component=bool,
    data=dict | None,
    updated_at=str | None,
)

#: A flow.
FlowAnswer: Final = answer(
    "FlowAnswer",
    FlowHeader,
    webhook=bool,
    warnings=member([str], "What a run would leave out, or why the flow cannot run.", required=False),
    user_id=str | None,
)


@routes.get(
    BASE,
    needs=CONVERSE,
    query={
        "get_all": Flag("All flows in one list; false: page by page.", load_default=True),
        "header_flows": Flag("Without the data of the flows."),
        "folder_id": Uuid("Only flows of this project."),
        **numbered("Flows", MOST_FLOWS_A_PAGE),
    },
    answers={200: {"anyOf": [[FlowHeader], {"type": "object"}]}},
)
def list_flows(query: Input) -> Any:
    """List flows: those in folders and the caller's own."""
    shown = shown_flows(query["folder_id"], header=bool(query["header_flows"]))
    return shown if query["get_all"] else one_page(shown, query["page"], query["size"])


@routes.post(BASE, needs=AUTHOR, body=FlowBody, answers={201: FlowAnswer}, errors=(409,))
def create_flow(body: Input) -> dict[str, Any]:
    """Create a flow."""
    return _stored_json(stores().flows.create(body))[0]


@routes.delete(BASE, needs=AUTHOR, body=IDS, answers={200: Deleted})
def delete_flows(body: list[str]) -> dict[str, int]:
    """Delete flows by id; other owners' flows are ignored."""
    return {"deleted": stores().flows.delete_many(body)}


@routes.post(f"{BASE}upload/", needs=AUTHOR, body=UPLOAD, answers={201: [FlowAnswer]})
def upload_flows() -> Sequence[dict[str, Any]]:
    """Create the flows in an uploaded file.

    The file contains one flow or `{"flows": [...]}`, or is a ZIP archive of such files.
    """
    file = uploaded_file(this_runner().settings.max_body)
    return create_all(flows_in(file.read(), file.filename or ""))


@routes.post(f"{BASE}batch/", needs=AUTHOR, body=FlowBatch, answers={201: [FlowAnswer]})
def create_flows(body: Input) -> Sequence[dict[str, Any]]:
    """Create several flows."""
    return create_all(body["flows"])


@routes.post(
    f"{BASE}download/",
    needs=AUTHOR.that_reads,
    body=IDS,
    answers={200: Media({"application/json": FlowAnswer, "application/x-zip-compressed": BYTES})},
)
def download_flows(body: list[str]) -> Any:
    """Download flows: one as JSON, several as a ZIP archive."""
    wanted = list(dict.fromkeys(body))
    if len(wanted) > MOST_DOWNLOADED:
        raise BadRequest(f"The list has {len(wanted)} flows; at most {MOST_DOWNLOADED} can be downloaded at once.")
    # One by one, so that they are never all in memory.
    found = filter(None, map(_find, wanted))
    first, second = next(found, None), next(found, None)
    if first is None:
        raise FlowNotFound("No flows found.")
    if second is None:
        return first, {"Content-Disposition": "attachment; filename=flow.json"}
    return archive_of(chain((first, second), found))


@routes.get(f"{BASE}<flow_id>", **ONE, answers={200: FlowAnswer})
def read_flow(flow_id: str) -> dict[str, Any]:
    """Show a flow."""
    flow = stores().flows.folder_flow(flow_id)
    return placed([stores().flows.get(flow_id).to_json() if flow is None else _folder_json(flow)])[0]


@routes.patch(f"{BASE}<flow_id>", **ONE, body=FlowChanges, answers={200: FlowAnswer}, errors=(409,))
def change_flow(flow_id: str, body: Input) -> dict[str, Any]:
    """Change members of a flow."""
    return _stored_json(stores().flows.update(flow_id, body))[0]


@routes.put(f"{BASE}<flow_id>", **ONE, body=FlowChanges, answers={200: FlowAnswer, 201: FlowAnswer}, errors=(409,))
def put_flow(flow_id: str, body: Input) -> tuple[dict[str, Any], int]:
    """Replace a flow, or create it with this id."""
    stored, new = stores().flows.put(flow_id, body)
    return _stored_json(stored)[0], 201 if new else 200


@routes.delete(f"{BASE}<flow_id>", **ONE, answers={200: schemas.Said})
def delete_flow(flow_id: str) -> dict[str, str]:
    """Delete a flow; its messages are kept."""
    stores().flows.delete(flow_id)
    return {"message": "Flow deleted successfully"}


def as_read(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a flow as nodes and edges for clients; a flow in the native form also has that form."""
    graph = shown.get("data")
    if not isinstance(graph, dict) or not is_native(graph):
        return shown
    try:
        data = as_nodes(graph, this_runner().plugins.registry)
    except FlowRunnerError:
        # Data that cannot be read is shown unchanged.
        return shown
    return {**shown, "data": data, "native": graph}


def placed(flows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return flows for clients, each with the id of an existing project."""
    projects = stores().projects
    known = {one.id for one in projects.list()}
    return [{**as_read(one), "folder_id": projects.place_of(one.get("folder_id"), known)} for one in flows]


def _stored_json(*several: StoredFlow) -> list[dict[str, Any]]:
    """Return flows that were just stored, each with warnings about parts that a run would leave out."""
    shown = []
    for stored in several:
        warnings = [] if stored.data is None or stored.is_component else _warnings_of(stored.id)
        shown.append({**stored.to_json(), **({"warnings": warnings} if warnings else {})})
    return placed(shown)


def _warnings_of(flow_id: str) -> list[str]:
    runner = this_runner()
    try:
        return list(runner.plan(runner.find(flow_id, caller())).warnings)
    except FlowRunnerError as error:
        return [error.message]


def _folder_json(flow: Flow, *, header: bool = False) -> dict[str, Any]:
    return {
        "name": flow.name,
        "description": flow.description,
        "data": None if header else stores().flows.folder_graph(flow),
        "is_component": flow.is_component,
        "updated_at": None,
        "webhook": any(v.type == "Webhook" for v in flow.vertices),
        "endpoint_name": flow.endpoint_name,
        **EXTRA,
        "locked": True,
        "id": flow.id,
        "user_id": None,
        **({"examples": list(flow.examples)} if flow.examples else {}),
    }


def create_all(given: Sequence[Mapping[str, Any]]) -> Sequence[dict[str, Any]]:
    """Create several flows, all or none, and return them in the format of the API."""
    return _stored_json(*stores().flows.create_many([{**item, "id": None} for item in given]))


def shown_flows(project_id: str | None, *, header: bool = False) -> list[dict[str, Any]]:
    """Return the flows of a project, or all flows, in the format of the API.

    :param header: leave out the graphs, as for callers who may not see them.
    """
    flows = stores().flows
    header = header or not flows.sees_graphs
    shown = [_folder_json(flow, header=header) for flow in flows.of_folders()]
    shown += [stored.to_header() if header else stored.to_json() for stored in flows.stored()]
    if flows.sees_graphs:
        shown = placed(shown)
    return [one for one in shown if project_id in (None, one["folder_id"])]


def flows_in(data: bytes, filename: str) -> list[dict[str, Any]]:
    """Return the flows in an uploaded file, as JSON; a flow without a name is named after its file.

    :raises FlowInvalid: for the first invalid flow: an upload is accepted completely or not at all.
    :raises BadRequest: if there is no flow.
    """
    limits = Limits(max_vertices=this_runner().settings.max_vertices)
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
        raise BadRequest("The file does not contain a flow.")
    return [{**part.raw, "name": _name_of(part)} for part in parts]


def _parts_of_json(data: bytes, stem: str) -> list[Part]:
    try:
        found = parse_json_bytes(data)
    except FlowRunnerError as error:
        raise BadRequest(f"Invalid JSON file: {error.message}") from error
    if not isinstance(found, (dict, list)):
        raise BadRequest("Invalid JSON file: it does not contain a flow.")
    return list(unwrap(found, stem))


def _name_of(part: Part) -> Any:
    """Return the name of a flow, or else that of its file."""
    given = part.raw.get("name")
    return PurePosixPath(part.label).name.replace(".json", "") if given is None else given


def _find(flow_id: str) -> Any:
    with suppress(FlowNotFound):
        return read_flow(flow_id)


def archive_of(found: Iterable[dict[str, Any]]) -> Response:
    """Return flows as a ZIP archive for download, with one file each."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for flow in found:
            text = dumps(flow)
            # Indentation could make a large flow a hundred times as large.
            if len(text) <= _MOST_INDENTED:
                text = json.dumps(json.loads(text), indent=2)
            # A fixed date, so that the same flows give the same bytes.
            entry = zipfile.ZipInfo(f"{flow['id']}.json")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    headers = {"Content-Disposition": "attachment; filename=flows.zip"}
    return Response(packed.getvalue(), headers=headers, content_type="application/x-zip-compressed")
