"""Ids and endpoint names of flows."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

#: Ids of flows that bring none are made from their names in this namespace; never change it.
NAMESPACE: Final = uuid.UUID("6f0a4c52-6d1b-5c0e-9a53-3f1d6d7a7a10")

_ENDPOINT_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")


def canonical_uuid(value: Any) -> str | None:
    """Return a UUID in canonical spelling, whatever its case and with or without dashes; None if it is none."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        return None
    return str(uuid.UUID(value))


def derived_id(name: str) -> str:
    """Return the id of a flow that has none of its own: always the same for the same name."""
    return str(uuid.uuid5(NAMESPACE, name))


def is_endpoint_name(value: Any) -> bool:
    """Return whether a text may be the address of a flow: letters, digits, ``-`` and ``_``."""
    return isinstance(value, str) and _ENDPOINT_NAME.fullmatch(value) is not None


def endpoint_name_from(text: str) -> str | None:
    """Make an endpoint name out of a name or file stem, or return None if nothing of it can be used."""
    made = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")
    return made or None
