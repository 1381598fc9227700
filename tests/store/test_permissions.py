"""What is stored can be read by the user of the server alone, whatever the umask and the folder around it."""

import io
import os

import pytest

from flowrunner import SettingsInvalid
from flowrunner.app import create_app, runner_of


@pytest.fixture
def no_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("backend", ["sqlite", "file-json"])
def test_nobody_else_reads_conversations_keys_and_files(tmp_path, no_umask, backend):
    data = tmp_path / "data"
    data.mkdir(mode=0o777)
    app = create_app(data_dir=data, memory=backend, auth="none", flows_dir="examples/flows")
    client = app.test_client()
    run = "/api/v1/run/basic-chat"
    assert client.post(run, json={"input_value": "secret", "session_id": "s"}).status_code == 200
    assert client.post(f"{run}?stream=sse", json={"input_value": "secret", "session_id": "s"}).get_data()
    assert client.post("/api/v2/files/", data={"file": (io.BytesIO(b"secret"), "a.txt")}).status_code == 201
    runner = runner_of(app)
    runner.stores.variables.create("local", "KEY", "secret", type="Credential")
    message = runner.memory.for_owner("local").fetch()[0]
    runner.memory.for_owner("local").delete(ids=(message.id,))
    found = [path for path in data.rglob("*") if path.is_file() and readable_by_others(path, data)]
    # A stamp is a row of dots that says when something changed, and no more.
    assert [path.name for path in found if set(path.read_bytes()) - set(b".")] == []
    runner.close()


def readable_by_others(path, root):
    """Say whether another user gets at a file: by its own mode, and through every folder below the root."""
    folders = [folder for folder in path.parents if folder.is_relative_to(root) and folder != root]
    return bool(path.stat().st_mode & 0o077) and all(folder.stat().st_mode & 0o007 for folder in folders)


def test_a_database_where_nothing_can_be_made_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    url = f"sqlite:///{tmp_path / 'file' / 'x.db'}"
    with pytest.raises(SettingsInvalid, match="^FLOWRUNNER_DATABASE_URL: the database file .* lies below a file"):
        runner_of(create_app(data_dir=tmp_path, database_url=url)).open()
