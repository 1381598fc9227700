"""Schemas of what the API answers and takes: messages, sessions, records, keys, files, and errors."""

from __future__ import annotations

from marshmallow import Schema, fields

from flowrunner.store.ledger import RUN_STATES
from flowrunner.web.schemas import Body


class Source(Schema):
    """The component that a message came from."""

    id = fields.String(allow_none=True)
    display_name = fields.String(allow_none=True)
    source = fields.String(allow_none=True)


class MessageBase(Schema):
    """What all forms of a message have in common."""

    timestamp = fields.String(required=True, metadata={"examples": ["2026-01-31 12:00:00.000000 UTC"]})
    sender = fields.String(required=True, allow_none=True)
    sender_name = fields.String(required=True, allow_none=True)
    session_id = fields.String(required=True)
    context_id = fields.String(required=True, allow_none=True)
    text = fields.String(required=True)
    edit = fields.Boolean(required=True)
    properties = fields.Dict(required=True)
    category = fields.String(required=True)
    content_blocks = fields.List(fields.Dict(), required=True)
    session_metadata = fields.Dict(required=True, allow_none=True)
    flow_id = fields.String(required=True, allow_none=True)


class Message(MessageBase):
    """A message as lists show it."""

    id = fields.UUID(required=True)
    files = fields.String(required=True, metadata={"description": "A JSON list of names of uploads."})
    duration = fields.Float(required=True, allow_none=True)
    owner = fields.String(metadata={"description": "Whose it is; where everybody's are shown."})


class EditedMessage(MessageBase):
    """A message after an edit."""

    id = fields.UUID(required=True)
    files = fields.List(fields.String(), required=True)
    error = fields.Boolean(required=True)
    run_id = fields.String(required=True, allow_none=True)


class MessageEdit(Body):
    """What may be changed in a message; null and other members change nothing."""

    text = fields.String(allow_none=True)
    sender = fields.String(allow_none=True, metadata={"minLength": 1})
    sender_name = fields.String(allow_none=True, metadata={"minLength": 1})
    session_id = fields.String(allow_none=True, metadata={"minLength": 1})
    context_id = fields.String(allow_none=True)
    files = fields.List(fields.String(), allow_none=True)
    edit = fields.Boolean(allow_none=True)
    error = fields.Boolean(allow_none=True)
    properties = fields.Dict(allow_none=True)
    session_metadata = fields.Dict(allow_none=True)
    category = fields.String(allow_none=True)
    content_blocks = fields.List(fields.Dict(), allow_none=True)


class SessionSummary(Schema):
    """What a session holds."""

    session_id = fields.String(required=True)
    title = fields.String(required=True, allow_none=True, metadata={"description": "How its first message begins."})
    count = fields.Integer(required=True)
    flow_ids = fields.List(fields.String(), required=True)
    first_at = fields.String(required=True)
    last_at = fields.String(required=True)
    owner = fields.String(metadata={"description": "Whose it is; where everybody's are shown."})


class SessionPage(Schema):
    """A page of summaries."""

    sessions = fields.List(fields.Nested(SessionSummary), required=True)
    cursor = fields.String(required=True, allow_none=True)


class Deleted(Schema):
    """How many sessions a request to delete named."""

    message = fields.String(required=True)
    deleted_count = fields.Integer(required=True)


class Build(Schema):
    """What a component made in a run, without secrets."""

    id = fields.String(required=True, metadata={"description": "Id of the component in the flow."})
    build_id = fields.UUID(required=True)
    flow_id = fields.String(required=True)
    job_id = fields.String(required=True, metadata={"description": "Id of the run."})
    valid = fields.Boolean(required=True)
    timestamp = fields.DateTime(required=True)
    params = fields.String(required=True, allow_none=True)
    artifacts = fields.Dict(required=True)
    data = fields.Dict(required=True)


class Builds(Schema):
    """Builds by component."""

    vertex_builds = fields.Dict(keys=fields.String(), values=fields.List(fields.Nested(Build)), required=True)


class Transaction(Schema):
    """What went into a component and came out of it, without secrets."""

    id = fields.UUID(required=True)
    timestamp = fields.DateTime(required=True)
    vertex_id = fields.String(required=True)
    target_id = fields.String(required=True, allow_none=True)
    inputs = fields.Dict(required=True, allow_none=True)
    outputs = fields.Dict(required=True, allow_none=True)
    status = fields.String(required=True, metadata={"enum": ["success", "error"]})


class TransactionPage(Schema):
    """A page of transactions, newest first."""

    items = fields.List(fields.Nested(Transaction), required=True)
    total = fields.Integer(required=True)
    page = fields.Integer(required=True)
    size = fields.Integer(required=True)
    pages = fields.Integer(required=True)


class Session(Schema):
    """The session of a run, and who decided it."""

    id = fields.String(required=True)
    source = fields.String(required=True, allow_none=True)
    component = fields.String(required=True, allow_none=True)


class RunSummary(Schema):
    """A run."""

    id = fields.String(required=True)
    flow_id = fields.String(required=True)
    flow_name = fields.String(required=True, allow_none=True)
    content_hash = fields.String(required=True, allow_none=True)
    session = fields.Nested(Session, required=True, allow_none=True)
    status = fields.String(required=True, metadata={"enum": list(RUN_STATES)})
    kind = fields.String(required=True)
    error = fields.Dict(required=True, allow_none=True)
    accepted_at = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True, allow_none=True)
    ended_at = fields.DateTime(required=True, allow_none=True)
    duration = fields.Float(required=True, allow_none=True)
    warnings = fields.List(fields.String(), required=True)


class RunVertex(Schema):
    """A component in a run."""

    id = fields.String(required=True)
    type = fields.String(required=True)
    status = fields.String(required=True)
    duration = fields.Float(required=True)
    session = fields.Nested(Session, required=True, allow_none=True)


class Run(RunSummary):
    """A run with its components and messages."""

    vertices = fields.List(fields.Nested(RunVertex), required=True)
    messages = fields.List(fields.Nested(Message), required=True)


class RunPage(Schema):
    """A page of runs, newest first."""

    items = fields.List(fields.Nested(RunSummary), required=True)
    cursor = fields.String(required=True, allow_none=True)


class ApiKey(Schema):
    """What is known of a key."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    api_key = fields.String(required=True, metadata={"description": "How it begins; whole only when it is made."})
    user_id = fields.String(required=True)
    user = fields.String(required=True)
    admin = fields.Boolean(required=True)
    read_only = fields.Boolean(required=True)
    flows = fields.List(fields.String(), required=True, allow_none=True)
    created_at = fields.String(required=True)
    last_used_at = fields.String(required=True, allow_none=True)
    is_active = fields.Boolean(required=True)
    expires_at = fields.String(required=True, allow_none=True)


class ApiKeys(Schema):
    """Keys, without their texts."""

    total_count = fields.Integer(required=True)
    user_id = fields.String(required=True)
    api_keys = fields.List(fields.Nested(ApiKey), required=True)


class NewKey(Body):
    """What a key may."""

    name = fields.String(allow_none=True)
    user = fields.String(allow_none=True)
    admin = fields.Boolean(allow_none=True)
    read_only = fields.Boolean(allow_none=True)
    flows = fields.List(fields.String(), allow_none=True)


class Detail(Schema):
    """A sentence on what was done."""

    detail = fields.String(required=True)


class Said(Schema):
    """A sentence on what was done."""

    message = fields.String(required=True)


class FlowFile(Schema):
    """Where a file is kept, in the words that runs and messages use."""

    flowId = fields.String(required=True)  # noqa: N815 - the reference server's word
    file_path = fields.String(required=True)


class FileNames(Schema):
    """Names of files."""

    files = fields.List(fields.String(), required=True)


class OwnFile(Schema):
    """A file of an owner."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    path = fields.String(required=True)
    size = fields.Integer(required=True)
    provider = fields.String(required=True, allow_none=True)
    user_id = fields.String()
    created_at = fields.String()
    updated_at = fields.String()
