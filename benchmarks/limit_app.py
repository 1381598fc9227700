"""The limit: what a run costs when it is written by hand, in bare Flask and raw sqlite3.

The same two durable inserts (WAL, synchronous FULL, one transaction) and the same answer as a run of
ChatInput → ChatOutput; an API key is compared with one in memory. Nothing else.
"""

import hashlib
import json
import os
import sqlite3
import threading
import uuid
from datetime import datetime, timezone

from flask import Flask, Response, request

FOLDER = os.environ["LIMIT_DATA_DIR"]
KEY = hashlib.sha256(os.environ["LIMIT_KEY"].encode()).digest()
FLOW = str(uuid.uuid5(uuid.NAMESPACE_URL, "limit"))
INSERT = (
    "INSERT INTO message (id, owner, session_id, flow_id, run_id, sender, sender_name, text, timestamp, files,"
    " properties, content_blocks, category, error, edit, context_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
PROPERTIES = {
    "text_color": None, "background_color": None, "edited": False,
    "source": {"id": None, "display_name": None, "source": None}, "icon": None, "allow_markdown": False,
    "positive_feedback": None, "state": "complete", "targets": [], "usage": None, "build_duration": None,
}  # fmt: skip

app = Flask("limit")
local = threading.local()


def connection():
    if not hasattr(local, "connection"):
        local.connection = sqlite3.connect(f"{FOLDER}/limit.db", timeout=30, isolation_level=None)
        local.connection.execute("PRAGMA journal_mode=WAL")
        local.connection.execute("PRAGMA synchronous=FULL")
    return local.connection


def create():
    made = sqlite3.connect(f"{FOLDER}/limit.db", timeout=30)
    made.execute("PRAGMA journal_mode=WAL")
    made.execute(
        "CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, owner TEXT,"
        " session_id TEXT, flow_id TEXT, run_id TEXT, sender TEXT, sender_name TEXT, text TEXT, timestamp INTEGER,"
        " files TEXT, properties TEXT, content_blocks TEXT, category TEXT, error INTEGER, edit INTEGER,"
        " context_id TEXT)"
    )
    for columns in ("owner, session_id, seq", "owner, flow_id, seq", "owner, seq"):
        name = columns.replace(", ", "_")
        made.execute(f"CREATE INDEX IF NOT EXISTS message_{name} ON message ({columns})")
    made.commit()
    made.close()


create()


@app.post("/api/v1/run/basic-chat")
def run():
    if hashlib.sha256(request.headers.get("x-api-key", "").encode()).digest() != KEY:
        return {"detail": "no"}, 403
    body = json.loads(request.get_data())
    text, session_id = body["input_value"], body["session_id"]
    run_id, now = str(uuid.uuid4()), datetime.now(timezone.utc)
    stamp, micros = now.strftime("%Y-%m-%d %H:%M:%S.%f UTC"), int(now.timestamp() * 1e6)
    ids = [str(uuid.uuid4()), str(uuid.uuid4())]
    packed = json.dumps(PROPERTIES)
    rows = [
        (ids[n], "owner", session_id, FLOW, run_id, sender, name, text, micros, "[]", packed, "[]", "message", 0, 0, "")
        for n, (sender, name) in enumerate((("User", "User"), ("Machine", "AI")))
    ]
    db = connection()
    db.execute("BEGIN IMMEDIATE")
    db.executemany(INSERT, rows)
    db.execute("COMMIT")
    fields = {
        "timestamp": stamp, "sender": "Machine", "sender_name": "AI", "session_id": session_id, "context_id": "",
        "text": text, "files": [], "error": False, "edit": False, "properties": PROPERTIES, "category": "message",
        "content_blocks": [], "session_metadata": {"graph_run_id": run_id}, "flow_id": FLOW, "run_id": run_id,
        "duration": None,
    }  # fmt: skip
    entry = {
        "message": text, "sender": "Machine", "sender_name": "AI", "session_id": session_id, "stream_url": None,
        "component_id": "answer", "files": [], "type": "text",
    }  # fmt: skip
    message = {"text_key": "text", "data": {**fields, "id": ids[1]}, "default_value": "", **fields}
    vertex = {
        "results": {"message": message},
        "artifacts": {"message": text, "sender": "Machine", "sender_name": "AI", "files": [], "type": "object"},
        "outputs": {"message": {"message": text, "type": "text"}}, "logs": {"message": []}, "messages": [entry],
        "timedelta": None, "duration": None, "component_display_name": "Chat Output", "component_id": "answer",
        "used_frozen_result": False, "token_usage": None,
    }  # fmt: skip
    session = {"id": session_id, "source": "payload", "component": None}
    answer = {"session_id": session_id, "session": session,
              "outputs": [{"inputs": {"input_value": text}, "outputs": [vertex]}]}  # fmt: skip
    return Response(json.dumps(answer, separators=(",", ":")), content_type="application/json")
