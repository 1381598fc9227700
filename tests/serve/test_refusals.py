"""What cannot start says why in one sentence, and ends."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from flowrunner.app import create_app, runner_of
from flowrunner.cli import main
from flowrunner.errors import SettingsInvalid
from flowrunner.settings.values import split_address
from tests.live_server import DEADLINE, ROOT, clean_environment, serve_command


def _run(command, **environment):
    return subprocess.run(
        command,
        cwd=ROOT,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


@pytest.fixture
def serve(tmp_path, monkeypatch, capsys):
    """Call ``flowrunner serve`` in this process, up to where gunicorn would begin; give status and what it said."""
    for name in [name for name in os.environ if name.startswith("FLOWRUNNER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("flowrunner.cli.gunicorn_app.run_gunicorn", lambda performance: pytest.fail("it would start"))

    def serve(*arguments, data=None, flows="examples/flows", status=1, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", serve_command(data or tmp_path, *arguments, flows=flows))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == status, said.err
        assert said.out == ""
        assert "Traceback" not in said.err
        return said.err

    return serve


@pytest.fixture
def refusal(serve):
    """The one sentence with which ``flowrunner serve`` refuses to start."""

    def refusal(*arguments, **given):
        (line,) = serve(*arguments, **given).splitlines()
        assert line.startswith("flowrunner: ")
        return line.removeprefix("flowrunner: ")

    return refusal


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"FLOWRUNNER_RUN_TIMEOUT": "soon"}, "FLOWRUNNER_RUN_TIMEOUT 'soon' cannot be used"),
        ({"FLOWRUNNER_AUTH": "maybe"}, "FLOWRUNNER_AUTH 'maybe' cannot be used: must be one of key, none."),
        ({"FLOWRUNNER_WORKERS": "0"}, "FLOWRUNNER_WORKERS '0' cannot be used"),
        ({"FLOWRUNNER_BIND": "unix:/tmp/x"}, "FLOWRUNNER_BIND 'unix:/tmp/x' cannot be used"),
        ({"FLOWRUNNER_MEMORY": "sqlight"}, "No plugin offers the memory backend 'sqlight'; available are: file-json,"),
        ({"FLOWRUNNER_PLUGINS_DIR": "/nowhere"}, "The plugins folder /nowhere does not exist."),
        ({"FLOWRUNNER_LOG_LEVEL": "loud"}, "FLOWRUNNER_LOG_LEVEL 'loud' cannot be used"),
        ({"FLOWRUNNER_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x"}, "DATABASE_URL cannot be used"),
        ({"FLOWRUNNER_DATABASE_URL": "what is this"}, "FLOWRUNNER_DATABASE_URL is not a database URL."),
        ({"FLOWRUNNER_DATABASE_URL": "mysql://u:hunter2@h/x"}, "FLOWRUNNER_DATABASE_URL"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "".join(value).removeprefix("FLOWRUNNER_"),
)
def test_a_setting_that_cannot_be_used_is_named(refusal, environment, sentence):
    said = refusal(**environment)
    assert sentence in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_here", "ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("def broken(:\n", "SyntaxError"),
        ("from flowrunner import hookimpl\n@hookimpl\ndef register_komponents(register): ...", "register_komponents"),
        ("raise SystemError('on import')", "SystemError: on import"),
    ],
    ids=["import", "syntax", "misspelt hook", "raises"],
)
def test_a_broken_plugin_is_named(refusal, tmp_path, source, reason):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "my_broken_one.py").write_text(source)
    said = refusal("--plugins-dir", str(folder), data=tmp_path / "data")
    assert "my_broken_one" in said
    assert reason in said


def test_an_old_schema_says_what_to_type(refusal, tmp_path):
    runner = runner_of(create_app(data_dir=tmp_path))
    runner.open()
    runner.close()
    with closing(sqlite3.connect(tmp_path / "flowrunner.db")) as connection, connection:
        connection.execute("UPDATE flowrunner_memory_version SET version_num = '0001'")
    said = refusal()
    assert "0001" in said
    assert "flowrunner db upgrade" in said
    with closing(sqlite3.connect(tmp_path / "flowrunner.db")) as connection, connection:
        connection.execute("UPDATE flowrunner_version SET version_num = '9999'")
    assert "newer version" in refusal()


def test_a_folder_that_is_none_is_named(refusal, tmp_path):
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in refusal(data=tmp_path / "file" / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(refusal, tmp_path):
    tmp_path.chmod(0o500)
    assert str(tmp_path) in refusal()
    tmp_path.chmod(0o700)


def test_a_file_that_is_no_database_is_said(refusal, tmp_path):
    (tmp_path / "flowrunner.db").write_text("this is no database, whatever its name says" * 100)
    assert "is not a SQLite database" in refusal()


def test_a_taken_port_is_said_at_once(refusal):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        said = refusal("--port", str(port))
    assert said == (
        f"Nothing can listen on 127.0.0.1, port {port}: Address already in use. Choose another address with"
        f" --host and --port."
    )


@pytest.mark.parametrize("arguments", [["--port", "99999"], ["--workers", "0"], ["--auth", "maybe"], ["--nonsense"]])
def test_wrong_usage_ends_with_status_2(serve, arguments):
    assert "Usage: " in serve(*arguments, status=2)


def test_a_folder_of_flows_that_is_not_there_is_wrong_usage(serve):
    assert "no-such-folder" in serve(flows="no-such-folder", status=2)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "server.example"])
def test_an_address_that_others_reach_wants_a_key(refusal, host):
    assert refusal("--host", host) == (
        f"{host} can be reached from other machines and there is no API key yet: create one with"
        " flowrunner keys create --user NAME, or listen on 127.0.0.1."
    )
    assert "no API key yet" in refusal("--host", host, "--auth", "key")
    assert "and so requires API keys" in refusal("--host", host, "--auth", "none")


def test_a_plugin_that_knows_the_callers_does_for_keys(tmp_path, serve, monkeypatch):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "login.py").write_text(
        "from flowrunner import Identity, hookimpl\n@hookimpl\ndef identify(request): return Identity('ann')\n"
    )
    started = []
    monkeypatch.setattr("flowrunner.cli.gunicorn_app.run_gunicorn", started.append)
    serve("--host", "127.0.0.1", "--plugins-dir", str(folder), status=0)
    assert not started[0].open


def test_the_sentence_is_all_that_is_printed(tmp_path):
    """The same in a process of its own, since what it prints is what people see."""
    done = _run(serve_command(tmp_path), FLOWRUNNER_TURNS="never")
    assert done.returncode == 1
    sentence = "flowrunner: FLOWRUNNER_TURNS 'never' cannot be used: must be one of queue, reject, parallel.\n"
    assert (done.stdout, done.stderr) == ("", sentence)


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
def test_gunicorn_stops_instead_of_starting_workers_again_and_again(tmp_path, preload):
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--no-control-socket",
        *preload,
        "-w",
        "1",
        "-b",
        "127.0.0.1:0",
        "wsgi:app",
    ]
    done = _run(command, FLOWRUNNER_DATA_DIR=str(tmp_path), FLOWRUNNER_TURNS="never")
    assert done.returncode == 4, done.stderr
    assert "flowrunner: FLOWRUNNER_TURNS 'never' cannot be used: must be one of queue, reject, parallel." in done.stderr
    assert done.stderr.count("Booting worker") <= 1
    assert "Traceback" not in done.stderr


def test_gunicorn_with_our_configuration_names_a_bad_setting(tmp_path):
    command = [sys.executable, "-m", "gunicorn", "-c", "python:flowrunner.serving", "wsgi:app"]
    done = _run(command, FLOWRUNNER_DATA_DIR=str(tmp_path), FLOWRUNNER_THREADS="many")
    assert done.returncode == 1
    assert done.stderr.startswith("flowrunner: FLOWRUNNER_THREADS 'many' cannot be used")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("bind", "host", "port"),
    [
        ("127.0.0.1:8000", "127.0.0.1", 8000),
        ("localhost", "localhost", 7860),
        ("[::1]:8000", "::1", 8000),
        ("[::1]", "::1", 7860),
    ],
)
def test_where_a_server_listens(bind, host, port):
    assert split_address(bind) == (host, port)


@pytest.mark.parametrize("bind", ["", ":80", "host:", "host:http", "host:65536", "unix:/run/flowrunner.sock"])
def test_where_a_server_cannot_listen(bind):
    with pytest.raises(SettingsInvalid, match="FLOWRUNNER_BIND"):
        split_address(bind)
