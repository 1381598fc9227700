"""The request of a queued run, stored encrypted until the run starts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from flowrunner.engine.request import RunRequest
from flowrunner.errors import BadRequest
from flowrunner.flows.model import Flow
from flowrunner.identity import Identity
from flowrunner.store.secretbox import SecretBox
from flowrunner.telemetry.correlation import Origin, origin

_IDENTITY = ("id", "admin", "read_only", "name", "author", "nameless", "address", "acting", "key")


def close_request(flow: Flow, request: RunRequest, identity: Identity, box: SecretBox) -> str:
    """Return a request and who made it as a text that only holders of the key can read.

    What a site offers to whom cannot be kept: whoever reaches flows by its word reaches this one.
    """
    who: dict[str, Any] = {name: getattr(identity, name) for name in _IDENTITY}
    who["flows"] = None if identity.flows is None else sorted(identity.flows)
    if identity.offers is not None:
        who["flows"] = [flow.id]
    return box.close(json.dumps({"request": asdict(request), "identity": who, "origin": origin()}))


def open_request(text: str, box: SecretBox) -> tuple[RunRequest, Identity, Origin]:
    """Return what :func:`close_request` was given, and what it was called on behalf of.

    :raises BadRequest: if it was closed with another key.
    """
    opened = box.open(text)
    if opened is None:
        raise BadRequest("The request of this run was encrypted with another FLOWRUNNER_SECRET_KEY.")
    kept = json.loads(opened)
    who = kept["identity"]
    flows = who.pop("flows")
    identity = Identity(**who, flows=None if flows is None else frozenset(flows))
    return RunRequest(**kept["request"]), identity, Origin(*kept.get("origin", ()))
