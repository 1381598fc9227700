"""The projects API, also served under its older name, folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from flask import Response

from flowrunner.authority import AUTHOR
from flowrunner.errors import BadRequest, FlowRunnerError, NotFound
from flowrunner.flows.archives import is_archive
from flowrunner.web.auth import stores, this_runner
from flowrunner.web.fields import Anything, Items, Number, Uuid
from flowrunner.web.flows import MOST_FLOWS_A_PAGE, FlowAnswer, archive_of, create_all, flows_in, shown_flows
from flowrunner.web.input import uploaded_file
from flowrunner.web.pages import one_page
from flowrunner.web.route import Input, RouteGroup, View
from flowrunner.web.schemas import BYTES, UPLOAD, Media, Open, answer

BASE: Final = "/api/v1/projects/"
OLDER: Final = "/api/v1/folders/"
ONE: Final[dict[str, Any]] = {"needs": AUTHOR, "path": {"project_id": Uuid()}}

routes = RouteGroup("projects")
#: The same under the older name.
older_routes = RouteGroup("projects")

_MOST_MOVED: Final = 10_000


def _both(method: str, rest: str = "", **declared: Any) -> Callable[[View], View]:
    """Declare a route under both names."""

    def declare(view: View) -> View:
        older = view.__name__.replace("project", "folder")
        older_routes.route(f"{OLDER}{rest}", method, name=older, deprecated=True, **declared)(view)
        return routes.route(f"{BASE}{rest}", method, **declared)(view)

    return declare


class ProjectChanges(Open):
    """The members of a project to change."""

    name = Anything(json={"type": "string"}, allow_none=True)
    description = Anything(json={"type": "string"}, allow_none=True)
    flows = Items(Uuid(), most=_MOST_MOVED, allow_none=True)
    components = Items(Uuid(), most=_MOST_MOVED, allow_none=True)


class NewProject(Open):
    """A project to create, and flows to move into it."""

    name = Anything(json={"type": "string"}, required=True)
    description = Anything(json={"type": "string"}, allow_none=True)
    flows_list = Items(Uuid(), most=_MOST_MOVED, allow_none=True)
    components_list = Items(Uuid(), most=_MOST_MOVED, allow_none=True)


ProjectAnswer: Final = answer("ProjectAnswer", id=str, name=str, description=str | None, parent_id=str | None)
ProjectWithFlows: Final = answer("ProjectWithFlows", ProjectAnswer, flows=[FlowAnswer])


@_both("GET", needs=AUTHOR, answers={200: [ProjectAnswer]})
def list_projects() -> list[dict[str, Any]]:
    """List the caller's projects; there is at least one."""
    return [found.to_json() for found in stores().projects.list()]


@_both("POST", needs=AUTHOR, body=NewProject, answers={201: ProjectAnswer})
def create_project(body: Input) -> dict[str, Any]:
    """Create a project and move flows into it."""
    moved = [*(body.get("flows_list") or ()), *(body.get("components_list") or ())]
    return stores().projects.create(body["name"], body.get("description"), moved).to_json()


@_both("POST", "upload/", needs=AUTHOR, body=UPLOAD, answers={201: [FlowAnswer]})
def upload_project() -> Sequence[dict[str, Any]]:
    """Create a project from an uploaded file with flows.

    The file is JSON with `folder_name`, `folder_description` and `flows`, or a ZIP archive of flows, whose project is
    named after the file.
    """
    file = uploaded_file(this_runner().settings.max_body)
    data, filename = file.read(), file.filename or ""
    name, description = _head_of(data, filename)
    found = flows_in(data, filename)
    made = stores().projects.create(name, description)
    try:
        return create_all([{**flow, "folder_id": made.id} for flow in found])
    except FlowRunnerError:
        stores().projects.delete(made.id)
        raise


@_both("GET", "download/<project_id>", **ONE, answers={200: Media({"application/x-zip-compressed": BYTES})})
def download_project(project_id: str) -> Response:
    """Download the flows of a project as a ZIP archive."""
    flows = shown_flows(stores().projects.get(project_id).id)
    if not flows:
        raise NotFound("No flows found in project")
    return archive_of(flows)


@_both(
    "GET",
    "<project_id>",
    **ONE,
    query={
        "page": Number("Page number in its flows, from 1; needs size.", low=1),
        "size": Number("Flows per page.", low=1, high=MOST_FLOWS_A_PAGE),
    },
    answers={200: {"anyOf": [ProjectWithFlows, {"type": "object"}]}},
)
def read_project(project_id: str, query: Input) -> dict[str, Any]:
    """Show a project and its flows."""
    found = stores().projects.get(project_id).to_json()
    flows = shown_flows(found["id"])
    if not query["page"] or not query["size"]:
        return {**found, "flows": flows}
    return {"folder": found, "flows": one_page(flows, query["page"], query["size"])}


@_both("PATCH", "<project_id>", **ONE, body=ProjectChanges, answers={200: ProjectAnswer})
def change_project(project_id: str, body: Input) -> dict[str, Any]:
    """Change the name, description or flows of a project."""
    given = [body[name] for name in ("flows", "components") if body.get(name) is not None]
    moved = [flow_id for several in given for flow_id in several] if given else None
    return stores().projects.update(project_id, body, moved).to_json()


@_both("DELETE", "<project_id>", **ONE, answers={204: None})
def delete_project(project_id: str) -> None:
    """Delete a project and its flows; their messages are kept."""
    stores().projects.delete(project_id)


def _head_of(data: bytes, filename: str) -> tuple[Any, Any]:
    """Return the name and the description of an uploaded project."""
    usual = filename.rpartition("/")[2].rpartition(".")[0] or "New Project"
    if is_archive(data):
        return usual, None
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        raise BadRequest("Invalid JSON file: it does not contain a project.") from None
    if not isinstance(given, dict):
        return usual, None
    return given.get("folder_name") or usual, given.get("folder_description")
