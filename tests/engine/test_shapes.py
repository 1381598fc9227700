"""Messages as answers and lists show them."""

from __future__ import annotations

import json

from flowrunner.engine.shapes import message_fields, message_json, message_row
from flowrunner.memory.message import Message

STORED = Message(
    id="5f0c2d2e-8a36-4f0c-9a3d-6a1f3f1c0001",
    text="hi",
    sender="User",
    sender_name="Ann",
    session_id="s",
    files=("flow/ä 1.txt",),
    run_id="r",
)


def test_a_row_of_a_list_has_its_files_as_text_and_neither_run_nor_error():
    row, fields = message_row(STORED), message_fields(STORED)
    assert json.loads(row["files"]) == fields["files"] == ["flow/ä 1.txt"]
    assert fields.keys() - row.keys() == {"run_id", "error"}
    assert {name: row[name] for name in row.keys() - {"files"}} == {
        name: fields[name] for name in row.keys() - {"files"}
    }


def test_an_answer_has_the_fields_twice_and_the_id_above_where_it_is_asked_for():
    shown = message_json(STORED)
    assert shown["data"] == message_fields(STORED)
    assert "id" not in shown and message_json(STORED, with_id=True)["id"] == STORED.id
