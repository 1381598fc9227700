"""Schemas of what the API answers and takes: runs, flows, variables, and the server itself."""

from __future__ import annotations

from marshmallow import Schema, fields

from flowrunner.web.openapi.schemas import Session
from flowrunner.web.schemas import Body, Open


class Health(Schema):
    """The server is there."""

    status = fields.String(required=True)


class HealthCheck(Schema):
    """Whether memory and database answer."""

    status = fields.String(required=True)
    chat = fields.String(required=True)
    db = fields.String(required=True)


class Version(Schema):
    """Which program this is."""

    version = fields.String(required=True)
    main_version = fields.String(required=True)
    package = fields.String(required=True)


class Config(Open):
    """What clients may know of the settings."""

    type = fields.String(required=True)
    max_file_size_upload = fields.Integer(required=True)
    event_delivery = fields.String(required=True)
    auth = fields.String(required=True)
    playground = fields.Boolean(required=True)


class VertexAnswer(Open):
    """What a reported component gave."""

    results = fields.Dict(required=True)
    artifacts = fields.Dict(required=True)
    outputs = fields.Dict(required=True)
    logs = fields.Dict(required=True)
    messages = fields.List(fields.Dict(), required=True)
    component_display_name = fields.String(required=True)
    component_id = fields.String(required=True)
    used_frozen_result = fields.Boolean(required=True)


class RunOutputs(Open):
    """What went in and what came out."""

    inputs = fields.Dict(required=True)
    outputs = fields.List(fields.Nested(VertexAnswer), required=True)


class RunAnswer(Open):
    """The answer of a run."""

    session_id = fields.String(required=True)
    session = fields.Nested(Session, required=True)
    outputs = fields.List(fields.Nested(RunOutputs), required=True)


class Started(Schema):
    """A run was accepted; its record is at ``/api/v1/runs/{run_id}``."""

    message = fields.String(required=True)
    status = fields.String(required=True)
    run_id = fields.String(required=True)


class ResponsesBody(Body):
    """A request to a flow behind OpenAI's Responses API; other members are passed over."""

    model = fields.String(required=True, metadata={"description": "Id or endpoint name of a flow."})
    input = fields.String(required=True)
    stream = fields.Boolean(allow_none=True)
    previous_response_id = fields.String(allow_none=True)


class ResponsesAnswer(Open):
    """A response."""

    id = fields.String(required=True)
    object = fields.String(required=True)
    created_at = fields.Integer(required=True)
    status = fields.String(required=True)
    model = fields.String(required=True)
    output = fields.List(fields.Dict(), required=True)
    previous_response_id = fields.String(required=True, allow_none=True)
    usage = fields.Dict(required=True, allow_none=True)


class ResponsesError(Open):
    """A failure, in OpenAI's shape or as everywhere else."""

    error = fields.Dict()
    detail = fields.Raw()
    code = fields.String()


class FlowBody(Body):
    """A flow, as exports hold it; members that mean nothing here are kept."""

    id = fields.UUID(allow_none=True)
    name = fields.String(required=True)
    description = fields.String(allow_none=True)
    endpoint_name = fields.String(allow_none=True)
    data = fields.Dict(allow_none=True)
    is_component = fields.Boolean(allow_none=True)


class FlowChanges(FlowBody):
    """Members of a flow that are to be changed."""

    name = fields.String(allow_none=True)


class FlowHeader(Open):
    """A flow, perhaps without its data."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    endpoint_name = fields.String(required=True, allow_none=True)
    is_component = fields.Boolean(required=True)
    data = fields.Dict(required=True, allow_none=True)
    updated_at = fields.String(required=True, allow_none=True)


class FlowAnswer(FlowHeader):
    """A flow."""

    webhook = fields.Boolean(required=True)
    user_id = fields.String(required=True, allow_none=True)


class FlowBatch(Body):
    """Several flows."""

    flows = fields.List(fields.Nested(FlowBody), required=True)


class FlowsDeleted(Schema):
    """How many flows were deleted."""

    deleted = fields.Integer(required=True)


class Texts(Body):
    """Texts to render."""

    texts = fields.List(fields.String(), required=True, metadata={"maxItems": 200})


class Rendered(Schema):
    """Rendered texts; null where the text is to be shown as it is."""

    html = fields.List(fields.String(allow_none=True), required=True)
