"""The API keys API: a caller's own keys; admins manage everybody's.

No key creates, rotates or deletes a key with more permissions than its own.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from marshmallow import fields

from flowrunner.authority import AUTHOR
from flowrunner.web import schemas
from flowrunner.web.auth import caller, stores
from flowrunner.web.fields import Text, Texts, Truth, Uuid
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.schemas import Body, answer, member

BASE: Final = "/api/v1/api_key/"
ONE: Final[dict[str, Any]] = {"needs": AUTHOR, "path": {"key_id": Uuid()}}

routes = RouteGroup("keys")


#: The record of a key.
ApiKey: Final = answer(
    "ApiKey",
    id=UUID,
    name=str,
    api_key=member(str, "Its first characters; the whole key when it is created."),
    user_id=str,
    user=str,
    admin=bool,
    read_only=bool,
    flows=fields.List(fields.String(), required=True, allow_none=True),
    created_at=str,
    last_used_at=str | None,
    is_active=bool,
    expires_at=str | None,
)

#: Keys, without their secrets.
ApiKeys: Final = answer("ApiKeys", total_count=int, user_id=str, api_keys=[ApiKey])


class NewKey(Body):
    """The permissions of a new key."""

    name = Text(allow_none=True)
    user = Text(allow_none=True)
    admin = Truth(allow_none=True)
    read_only = Truth(allow_none=True)
    flows = Texts(allow_none=True)


@routes.get(BASE, needs=AUTHOR, answers={200: ApiKeys})
def list_keys() -> dict[str, Any]:
    """List API keys, without their secrets."""
    found = [record.to_json() for record in stores().keys.list()]
    return {"total_count": len(found), "user_id": caller().id, "api_keys": found}


@routes.post(BASE, needs=AUTHOR, body=NewKey, body_required=False, answers={200: ApiKey})
def create_key(body: Input) -> dict[str, Any]:
    """Create an API key. It is shown in this answer only."""
    keys = stores().keys
    key = keys.create(
        body.get("user") or caller().name,
        name=body.get("name") or "",
        admin=body.get("admin") or False,
        read_only=body.get("read_only") or False,
        flows=body.get("flows"),
    )
    return {**keys.record_of(key).to_json(), "api_key": key}


@routes.delete(f"{BASE}<key_id>", **ONE, answers={200: schemas.Detail})
def delete_key(key_id: str) -> dict[str, Any]:
    """Revoke an API key."""
    stores().keys.revoke(key_id)
    return {"detail": "API Key deleted"}


@routes.post(f"{BASE}<key_id>/rotate", **ONE, answers={200: ApiKey})
def rotate_key(key_id: str) -> dict[str, Any]:
    """Replace an API key. The new one is shown in this answer only."""
    found, key = stores().keys.rotate(key_id)
    return {**found.to_json(), "api_key": key}
