"""Small databases in the shapes of several releases of Langflow, written by hand."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import Connection, Engine, create_engine, text

USER, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
FLOW, SECOND, EXAMPLE = (str(n) * 32 for n in (1, 2, 3))
SUPPORT = "4" * 32
SECRET_KEY = base64.urlsafe_b64encode(b"k" * 32).decode().rstrip("=")

#: A graph as Langflow keeps it: what is asked is answered.
GRAPH: dict[str, Any] = {
    "nodes": [
        {"id": name, "data": {"id": name, "type": kind, "node": {"template": {}}}}
        for name, kind in (("ChatInput-a", "ChatInput"), ("ChatOutput-b", "ChatOutput"))
    ],
    "edges": [
        {
            "source": "ChatInput-a",
            "target": "ChatOutput-b",
            "data": {
                "sourceHandle": {"id": "ChatInput-a", "name": "message", "output_types": ["Message"]},
                "targetHandle": {"id": "ChatOutput-b", "fieldName": "input_value", "inputTypes": ["Message"]},
            },
        }
    ],
}

_USER = "id {uuid}, username VARCHAR, is_active BOOLEAN, is_superuser BOOLEAN, create_at TIMESTAMP"
_FOLDER = "id {uuid}, name VARCHAR, description VARCHAR, parent_id {uuid}, user_id {uuid}"
_FLOW = (
    "id {uuid}, name VARCHAR, description VARCHAR, icon VARCHAR, icon_bg_color VARCHAR, data JSON,"
    " is_component BOOLEAN, updated_at TIMESTAMP, endpoint_name VARCHAR, folder_id {uuid}, user_id {uuid},"
    " webhook BOOLEAN"
)
_VARIABLE = (
    "id {uuid}, name VARCHAR, value VARCHAR, type VARCHAR, default_fields JSON, created_at TIMESTAMP, user_id {uuid}"
)
_KEY = (
    "id {uuid}, name VARCHAR, last_used_at TIMESTAMP, total_uses INTEGER, is_active BOOLEAN, created_at TIMESTAMP,"
    " api_key VARCHAR, user_id {uuid}"
)
_MESSAGE = (
    "id {uuid}, timestamp TIMESTAMP, sender VARCHAR, sender_name VARCHAR, session_id VARCHAR, text VARCHAR,"
    " flow_id {uuid}, files JSON"
)
_MARKS = ", error BOOLEAN, edit BOOLEAN, properties JSON, category TEXT, content_blocks JSON"
_LATEST = ", context_id VARCHAR, session_metadata JSON, run_id {uuid}, is_output BOOLEAN, user_id {uuid}"
_LATEST_FLOW = ", tags JSON, locked BOOLEAN, mcp_enabled BOOLEAN, access_type VARCHAR, workspace_id {uuid}"

#: The tables of each kind of release, by the release that began it.
SHAPES: dict[str, dict[str, str]] = {
    "1.0.0": {"user": _USER, "folder": _FOLDER, "flow": _FLOW, "variable": _VARIABLE, "apikey": _KEY},
    "1.0.19": {
        "user": _USER,
        "folder": _FOLDER,
        "flow": _FLOW,
        "variable": _VARIABLE,
        "apikey": _KEY,
        "message": _MESSAGE,
    },
    "1.1.0": {
        "user": _USER,
        "folder": _FOLDER,
        "flow": _FLOW + ", gradient VARCHAR, tags JSON, locked BOOLEAN",
        "variable": _VARIABLE,
        "apikey": _KEY,
        "message": _MESSAGE + _MARKS,
    },
    "1.13.0": {
        "user": _USER,
        "folder": _FOLDER + ", auth_settings JSON",
        "flow": _FLOW + _LATEST_FLOW,
        "variable": _VARIABLE,
        "apikey": _KEY + ", expires_at TIMESTAMP, api_key_hash VARCHAR",
        "message": _MESSAGE + _MARKS + _LATEST,
    },
}

#: What was said: sender, session, text, and the flow.
TALK = (
    ("User", "a/b ü%", "Hello", FLOW),
    ("Machine", "a/b ü%", "Hello, you", FLOW),
    ("User", "s2", "line\nline", SECOND),
    ("User", "a/b ü%", "again", FLOW),
    ("Machine", "s2", "", SECOND),
    ("User", "gone", "its flow was deleted", "9" * 32),
)


def fernet(secret_key: str, *, old: bool = False) -> Fernet:
    """Return the cipher of a secret key: padded, or made of a text that is too short for a key."""
    if len(secret_key) >= 32:
        return Fernet(secret_key + "=" * (-len(secret_key) % 4))
    if not old:
        return Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret_key.encode()).digest()))
    seeded = random.Random(secret_key)
    return Fernet(base64.urlsafe_b64encode(bytes(seeded.getrandbits(8) for _ in range(32))))


def write_database(place: Path | Engine, release: str, *, cipher: Fernet | None = None) -> None:
    """Write a database of that release, with two users, two projects and what was said.

    :param cipher: encrypts the values of variables; generic ones too, as older releases did.
    """
    engine = create_engine(f"sqlite:///{place}") if isinstance(place, Path) else place
    cipher = cipher or fernet(SECRET_KEY)
    old = not release.startswith("1.13")
    with engine.begin() as connection:
        kind = "UUID" if engine.dialect.name == "postgresql" else "CHAR(32)"
        for table, columns in SHAPES[release].items():
            connection.execute(text(f'CREATE TABLE "{table}" ({columns.format(uuid=kind)})'))
        for number, (user, name) in enumerate(((USER, "langflow"), (OTHER, "second user"))):
            _insert(connection, "user", id=user, username=name, is_active=True, create_at=f"2024-01-0{number + 1}")
        _insert(connection, "folder", id=SUPPORT, name="Support", user_id=USER)
        flow = {"data": json.dumps(GRAPH), "is_component": False, "description": "d"}
        _insert(connection, "flow", id=FLOW, name="echo", endpoint_name="echo", user_id=USER, folder_id=SUPPORT, **flow)
        _insert(connection, "flow", id=SECOND, name="echo", user_id=OTHER, **flow)
        _insert(connection, "flow", id=EXAMPLE, name="Example", user_id=None, **flow)
        secret = cipher.encrypt(b"sk-of-langflow").decode()
        plain = cipher.encrypt(b"good day").decode() if old else "good day"
        for name, value, kind in (("GREETING", plain, "Generic"), ("MODEL_KEY", secret, "Credential")):
            _insert(
                connection,
                "variable",
                id=name.encode().hex()[:10].ljust(32, "a"),
                name=name,
                value=value,
                type=kind,
                default_fields='["api_key"]',
                user_id=USER,
            )
        for number, on in enumerate((True, False)):
            _insert(
                connection,
                "apikey",
                id=f"{number}b" * 16,
                name=f"key {number}",
                is_active=on,
                total_uses=0,
                api_key=f"sk-old-{number}",
                user_id=USER,
            )
        if "message" in SHAPES[release]:
            _write_talk(connection, release)
    if isinstance(place, Path):
        engine.dispose()


def _write_talk(connection: Connection, release: str) -> None:
    for number, (sender, session, said, flow) in enumerate(TALK):
        row: dict[str, Any] = {
            "id": f"{number + 10:032x}",
            "timestamp": f"2024-05-01 10:00:{number // 2:02d}.500000",
            "sender": sender,
            "sender_name": "AI" if sender == "Machine" else sender,
            "session_id": session,
            "text": said,
            "flow_id": flow,
            "files": '["x/a.png"]' if number == 2 else "[]",
        }
        if release != "1.0.19":
            row.update(
                error=number == 4,
                edit=number == 3,
                properties='{"state": "complete", "icon": "x"}',
                category="error" if number == 4 else "message",
                content_blocks='[{"title": "t", "contents": []}]' if number == 1 else "[]",
            )
        if release.startswith("1.13"):
            row.update(context_id="c1", session_metadata='{"graph_run_id": null}', run_id="7" * 32, user_id=USER)
        _insert(connection, "message", **row)


def _insert(connection: Connection, table: str, **values: Any) -> None:
    names = ", ".join(values)
    connection.execute(text(f'INSERT INTO "{table}" ({names}) VALUES ({", ".join(f":{n}" for n in values)})'), values)
