"""Variables: encrypted, one owner's alone, credentials never shown."""

import stat

import pytest

from flowrunner.errors import BadRequest, NotFound, SettingsInvalid
from flowrunner.memory import EVERY_OWNER
from flowrunner.store.secretbox import KEY_FILE, SecretBox, open_secret_box
from flowrunner.store.variables import VariableStore


@pytest.fixture
def variables(engine, tmp_path):
    return VariableStore(engine, tmp_path, open_secret_box(None, tmp_path))


def test_a_generic_variable_shows_its_value(variables):
    made = variables.create("ann", "REC_VAR", "from-db")
    assert made.to_json() == {
        "id": made.id,
        "name": "REC_VAR",
        "type": "Generic",
        "value": "from-db",
        "has_value": True,
        "default_fields": [],
        "is_owner": True,
        "can_manage_shares": True,
        "validation_error": None,
        "is_valid": None,
    }
    assert variables.find("ann", "REC_VAR").value == "from-db"


def test_a_credential_never_shows_its_value(variables, tmp_path):
    made = variables.create("ann", "KEY", "sk-very-secret-1", type="Credential", default_fields=["api_key"])
    assert (made.value, made.has_value, made.default_fields) == (None, True, ("api_key",))
    assert [v.value for v in variables.list("ann")] == [None]
    assert variables.find("ann", "KEY").value == "sk-very-secret-1"
    assert variables.known_secrets() == ("sk-very-secret-1",)
    assert all(b"sk-very-secret-1" not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_credential_is_shown_only_with_a_new_value(variables):
    made = variables.create("ann", "KEY", "sk-very-secret-1", type="Credential")
    with pytest.raises(BadRequest, match="never shown"):
        variables.update(made.id, "ann", {"type": "Generic"})
    assert variables.get(made.id, "ann").value is None
    assert variables.update(made.id, "ann", {"type": "Generic", "value": "open"}).value == "open"


def test_nobody_reaches_anothers(variables):
    made = variables.create("ann", "X", "1")
    assert variables.list("bob") == [] and variables.find("bob", "X") is None
    for attempt in (
        lambda: variables.get(made.id, "bob"),
        lambda: variables.update(made.id, "bob", {"value": "2"}),
        lambda: variables.delete(made.id, "bob"),
    ):
        with pytest.raises(NotFound, match="Variable not found"):
            attempt()
    assert variables.get(made.id, EVERY_OWNER).value == "1"
    assert variables.create("bob", "X", "2").value == "2"


def test_a_change_counts_for_the_next_reading_also_elsewhere(variables, engine, tmp_path):
    elsewhere = VariableStore(engine, tmp_path, open_secret_box(None, tmp_path))
    assert elsewhere.find("ann", "X") is None
    made = variables.create("ann", "X", "1")
    assert elsewhere.find("ann", "X").value == "1"
    variables.update(made.id, "ann", {"value": "2", "name": "X", "type": None})
    assert elsewhere.find("ann", "X").value == "2"
    variables.delete(made.id, "ann")
    assert elsewhere.find("ann", "X") is None


def test_what_cannot_be_stored_is_refused(variables):
    variables.create("ann", "X", "1")
    other = variables.create("ann", "Y", "1")
    with pytest.raises(BadRequest, match="already exists"):
        variables.create("ann", "X", "1")
    with pytest.raises(BadRequest, match="already exists"):
        variables.update(other.id, "ann", {"name": "X"})
    for name, value, kind in (
        ("", "1", "Generic"),
        ("Z", "", "Generic"),
        ("Z", "1", "Secret"),
        ("a\0", "1", "Generic"),
    ):
        with pytest.raises(BadRequest):
            variables.create("ann", name, value, type=kind)


def test_a_value_closed_with_another_key_is_no_value(variables, engine, tmp_path):
    variables.create("ann", "X", "1")
    other = VariableStore(engine, tmp_path, open_secret_box("another key", tmp_path))
    assert other.find("ann", "X").value is None
    assert other.find("ann", "Y") is None and variables.find("ann", "X").value == "1"


@pytest.mark.parametrize("secret", [None, "any text of the operator's"])
def test_what_is_closed_can_be_opened_again(tmp_path, secret):
    closed = open_secret_box(secret, tmp_path).close("a\0b \ud83d")
    assert open_secret_box(secret, tmp_path).open(closed) == "a\0b \ud83d"
    assert open_secret_box("x" + (secret or ""), tmp_path).open(closed) is None


def test_the_key_file_is_for_the_owner_of_the_process_alone(tmp_path):
    assert isinstance(open_secret_box(None, tmp_path), SecretBox)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_file_that_holds_no_key_is_refused(tmp_path):
    (tmp_path / KEY_FILE).write_text("nothing")
    with pytest.raises(SettingsInvalid, match=KEY_FILE):
        open_secret_box(None, tmp_path)


def test_processes_that_start_at_once_agree_on_the_key(run_python, tmp_path):
    code = """
import sys
from pathlib import Path
from flowrunner.store.secretbox import open_secret_box
print(open_secret_box(None, Path(sys.argv[1])).close("x"))
"""
    box = None
    for closed in run_python(code, tmp_path, times=4):
        box = box or open_secret_box(None, tmp_path)
        assert box.open(closed) == "x"
