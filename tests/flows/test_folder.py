"""Flows of folders: found, looked at again, and reported when something is wrong."""

import json
import logging
import os
import threading

import pytest

from flowrunner.flows.folder import FolderLibrary
from flowrunner.flows.naming import derived_id
from flowrunner.flows.parsing import Limits
from tests.flows.exports import native

ID = "0b8f4b5e-6a58-4c2e-9f0a-3d6f0f4c9a11"


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "first.json", native(name="First", id=ID))
    write(tmp_path / "second.json", native(name="Second", endpoint_name="number-2"))
    return tmp_path


def write(path, raw):
    path.write_text(raw if isinstance(raw, str) else json.dumps(raw), encoding="utf-8")


def test_flows_are_found_by_id_and_endpoint_name(folder):
    library = FolderLibrary([folder])
    assert [flow.name for flow in library.flows()] == ["First", "Second"]
    for spelling in (ID, ID.upper(), ID.replace("-", ""), "first"):
        assert library.find(spelling).name == "First"
    assert library.find("number-2").name == library.find(derived_id("Second")).name == "Second"
    assert library.find("first").endpoint_name == "first"


@pytest.mark.parametrize("name", ["First", "FIRST", "second", "", "no", "../first", "0" * 32])
def test_what_is_not_there(folder, name):
    assert FolderLibrary([folder]).find(name) is None


def test_several_folders_and_single_files(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write(other / "third.json", native(name="Third"))
    library = FolderLibrary([str(folder / "first.json"), str(other)])
    assert [flow.name for flow in library.flows()] == ["First", "Third"]


def test_other_files_are_no_flows(folder):
    write(folder / "notes.txt", "?")
    write(folder / ".hidden.json", "?")
    (folder / "sub.json").mkdir()
    library = FolderLibrary([folder])
    assert len(library.flows()) == 2
    assert library.problems == ()


def test_a_new_flow_is_found_at_once(folder):
    library = FolderLibrary([folder], check_every=3600)
    write(folder / "third.json", native(name="Third"))
    assert library.find("third", look_again=False) is None
    assert library.find("third").name == "Third"


def test_changes_are_seen_at_the_next_look(folder):
    library = FolderLibrary([folder], check_every=0)
    before = library.find("first")
    write(folder / "first.json", native(name="Changed", id=ID, edges=[]))
    assert library.find("first").name == "Changed"
    assert library.find("first").content_hash != before.content_hash
    (folder / "first.json").unlink()
    assert library.find("first") is None
    assert library.find(ID) is None


def test_files_that_did_not_change_are_not_read_again(folder):
    for path in folder.iterdir():
        os.utime(path, ns=(1, 1))
    library = FolderLibrary([folder], check_every=0)
    before = library.find("first")
    library.refresh()
    assert library.find("first") is before


def test_a_change_within_the_clocks_step_is_seen(folder):
    library = FolderLibrary([folder], check_every=0)
    path = folder / "first.json"
    stamp = path.stat().st_mtime_ns
    inode = path.stat().st_ino
    text = path.read_text("utf-8").replace("First", "Furst")
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(stamp, stamp))
    assert path.stat().st_ino == inode
    assert library.find("first").name == "Furst"


def test_a_look_is_not_taken_at_every_lookup(folder):
    library = FolderLibrary([folder], check_every=3600)
    (folder / "first.json").unlink()
    assert library.find("first").name == "First"
    library.refresh()
    assert library.find("first") is None


def test_a_broken_file_is_reported_once_and_leaves_the_others(folder, caplog):
    caplog.set_level(logging.WARNING, "flowrunner")
    write(folder / "broken.json", '{"name": ')
    library = FolderLibrary([folder], check_every=0)
    assert library.find("first").name == "First"
    assert [(p.file, p.message) for p in library.problems] == [
        (str(folder / "broken.json"), "Line 1, column 10 is not valid JSON: Expecting value.")
    ]
    library.refresh()
    assert [record.message for record in caplog.records] == [
        f"{folder / 'broken.json'}: Line 1, column 10 is not valid JSON: Expecting value."
    ]
    write(folder / "broken.json", native(name="Mended"))
    assert library.find("broken").name == "Mended"
    assert library.problems == ()


def test_what_was_read_of_a_file_stays_while_it_is_broken(folder):
    library = FolderLibrary([folder], check_every=0)
    write(folder / "first.json", "{")
    assert library.find("first").name == "First"
    assert [p.message for p in library.problems][-1] == "The version read before stays in use."


def test_a_folder_that_is_not_there_is_reported_and_found_later(tmp_path):
    library = FolderLibrary([tmp_path / "later"], check_every=0)
    assert library.flows() == []
    assert "cannot be read" in library.problems[0].message
    (tmp_path / "later").mkdir()
    write(tmp_path / "later" / "x.json", native())
    assert library.find("x") is not None
    assert library.problems == ()


def test_too_large_a_file_is_not_read(folder):
    library = FolderLibrary([folder], limits=Limits(max_bytes=10))
    assert library.flows() == []
    assert "at most 10 are accepted" in library.problems[0].message


def test_a_copy_with_the_same_id_gets_another_one(folder):
    write(folder / "first-copy.json", native(name="First", id=ID))
    library = FolderLibrary([folder])
    copy, first = library.find("first-copy"), library.find("first")
    assert copy.id == ID
    assert first.id not in (ID, copy.id)
    assert library.find(first.id) is first
    assert library.raw(first.id)["id"] == ID
    assert first.id in library.problems[0].message


def test_an_endpoint_name_that_is_taken(folder):
    write(folder / "third.json", native(name="Third", endpoint_name="first"))
    library = FolderLibrary([folder])
    assert library.find("first").name == "First"
    third = library.find(derived_id("Third"))
    assert third.endpoint_name is None
    assert library.problems[0].message == (
        "The endpoint name 'first' is taken by first.json; the flow 'Third' is found by its id only."
    )


def test_a_file_of_several_flows(folder):
    write(folder / "many.json", {"flows": [native(name="Of many"), native(name="Other", endpoint_name="other")]})
    library = FolderLibrary([folder])
    assert (library.find("Of-many").name, library.find("other").name) == ("Of many", "Other")
    assert library.raw(library.find("other").id)["name"] == "Other"


def test_the_json_of_a_flow_is_that_of_its_file(folder):
    library = FolderLibrary([folder])
    assert library.raw(ID) == native(name="First", id=ID)
    assert library.raw("first") is None
    (folder / "first.json").unlink()
    assert library.raw(ID) is None


def test_many_threads_look_at_once(folder):
    library = FolderLibrary([folder], check_every=0)
    wrong = []

    def look(number):
        for turn in range(40):
            if number == 0:
                write(folder / "third.json", native(name=f"Third {turn}"))
            if library.find("first") is None or library.find("number-2") is None:
                wrong.append(number)

    threads = [threading.Thread(target=look, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert library.find("third").name == "Third 39"
