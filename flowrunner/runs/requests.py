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
    """Encrypt a request together with its caller.

    What a site offers to the caller is decided by a function and cannot be stored, so such a caller is limited to the
    flow of this run.
    """
    who: dict[str, Any] = {name: getattr(identity, name) for name in _IDENTITY}
    who["flows"] = None if identity.flows is None else sorted(identity.flows)
    if identity.offers is not None:
        who["flows"] = [flow.id]
    return box.close(json.dumps({"request": asdict(request), "identity": who, "origin": origin()}))


def open_request(text: str, box: SecretBox) -> tuple[RunRequest, Identity, Origin]:
    """Decrypt what :func:`close_request` returned: the request, the caller and the correlation ids.

    :raises BadRequest: if it was encrypted with another key.
    """
    opened = box.open(text)
    if opened is None:
        raise BadRequest("The request of this run was encrypted with another FLOWRUNNER_SECRET_KEY.")
    kept = json.loads(opened)
    who = kept["identity"]
    flows = who.pop("flows")
    identity = Identity(**who, flows=None if flows is None else frozenset(flows))
    return RunRequest(**kept["request"]), identity, Origin(*kept.get("origin", ()))
