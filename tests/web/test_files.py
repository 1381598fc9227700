"""Uploads, and who may name them."""

import io

import pytest

from flowrunner.errors import BadRequest
from flowrunner.store.files import check_name
from tests.web.site import echo_flow, open_site


def send(site, user, path, data=b"hello", name="note.txt", expect=201):
    form = {"file": (io.BytesIO(data), name)}
    return site.ask(user, "POST", path, expect, data=form, content_type="multipart/form-data")


def test_a_file_of_a_flow_from_upload_to_deletion(site):
    flow = site.flow("ann")
    kept = send(site, "ann", f"/api/v1/files/upload/{flow}")
    assert (
        kept["flowId"] == flow and kept["file_path"].startswith(f"{flow}/") and kept["file_path"].endswith("_note.txt")
    )
    name = kept["file_path"].split("/")[1]
    assert site.ask("ann", "GET", f"/api/v1/files/list/{flow}") == {"files": [name]}
    answer = site.call("ann", "GET", f"/api/v1/files/download/{flow}/{name}")
    assert answer.data == b"hello" and answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="{name}"')
    answer.close()
    site.say("ann", flow, "see", "s", tweaks={"ChatInput-a": {"files": [kept["file_path"]]}})
    assert site.messages("ann")[0]["files"] == f'["{kept["file_path"]}"]'
    message = site.messages("ann")[1]["id"]
    site.ask("ann", "PUT", f"/api/v1/monitor/messages/{message}", json={"files": [kept["file_path"]]})
    gone = site.ask("ann", "DELETE", f"/api/v1/files/delete/{flow}/{name}")
    assert gone == {"message": f"File {name} deleted successfully"}
    assert site.ask("ann", "GET", f"/api/v1/files/list/{flow}") == {"files": []}
    site.ask("ann", "GET", f"/api/v1/files/download/{flow}/{name}", 404)


def test_a_file_of_ones_own(site):
    kept = send(site, "ann", "/api/v2/files/")
    again = send(site, "ann", "/api/v2/files")
    assert kept["name"] == "note" and kept["size"] == 5 and kept["path"].endswith("/note.txt")
    assert again["name"] == "note (1)" and again["path"].endswith("/note (1).txt")
    assert [f["id"] for f in site.ask("ann", "GET", "/api/v2/files/")] == [kept["id"], again["id"]]
    answer = site.call("ann", "GET", f"/api/v2/files/{kept['id']}")
    assert answer.data == b"hello"
    answer.close()
    flow = site.flow("ann")
    site.say("ann", flow, "see", "s", tweaks={"ChatInput-a": {"files": [kept["path"]]}})
    assert site.ask("ann", "DELETE", f"/api/v2/files/{kept['id']}") == {"detail": "File note deleted successfully"}
    site.ask("ann", "DELETE", f"/api/v2/files/{kept['id']}", 404)


def test_a_key_of_one_flow_names_no_files_of_others(site):
    flow, other = site.flow("ann", echo_flow("one")), site.flow("ann", echo_flow("other"))
    site.add_user("ann", "limited", flows=[flow])
    mine = send(site, "ann", f"/api/v1/files/upload/{flow}")["file_path"]
    foreign = send(site, "ann", f"/api/v1/files/upload/{other}")["file_path"]
    of_all = send(site, "ann", "/api/v2/files/")["path"]
    for path, expected in ((mine, 200), (foreign, 400), (of_all, 400)):
        body = {"input_value": "x", "tweaks": {"ChatInput-a": {"files": [path]}}}
        answer = site.ask("limited", "POST", f"/api/v1/run/{flow}", expected, json=body)
        assert expected == 200 or "not one of your uploads" in answer["detail"]
        site.ask("ann", "POST", f"/api/v1/run/{flow}", json=body)
        message = f"/api/v1/monitor/messages/{site.messages('limited', f'?flow_id={flow}')[0]['id']}"
        site.ask("limited", "PUT", message, expected, json={"files": [path]})
        site.ask("ann", "PUT", message, json={"files": [path]})


def test_nobody_reaches_the_files_of_another(site):
    flow, own = site.flow("ann"), site.flow("bob")
    kept = send(site, "ann", f"/api/v1/files/upload/{flow}")
    mine = send(site, "ann", "/api/v2/files/")
    name = kept["file_path"].split("/")[1]
    for method, path in (
        ("POST", f"/api/v1/files/upload/{flow}"),
        ("GET", f"/api/v1/files/list/{flow}"),
        ("GET", f"/api/v1/files/download/{flow}/{name}"),
        ("DELETE", f"/api/v1/files/delete/{flow}/{name}"),
        ("GET", f"/api/v2/files/{mine['id']}"),
        ("DELETE", f"/api/v2/files/{mine['id']}"),
    ):
        site.ask("bob", method, path, 404)
    assert site.ask("bob", "GET", "/api/v2/files/") == []
    for path in (kept["file_path"], mine["path"]):
        body = {"input_value": "x", "tweaks": {"ChatInput-a": {"files": [path]}}}
        answer = site.ask("bob", "POST", f"/api/v1/run/{own}", 400, json=body)
        assert "not one of your uploads" in answer["detail"]
    assert site.ask("ann", "GET", f"/api/v1/files/list/{flow}") == {"files": [name]}


@pytest.mark.parametrize("name", ["", ".", "../x", "a/b", "a\\b", "..", "nul\0", "line\nbreak", "x" * 256])
def test_what_is_no_name_of_a_file(name):
    with pytest.raises(BadRequest):
        check_name(name)


def test_a_name_of_the_greatest_length_fits_with_the_date_before_it(site):
    flow = site.flow("ann")
    for name in ("x" * 251 + ".txt", "x" * 255, "." + "x" * 254):
        kept = send(site, "ann", f"/api/v1/files/upload/{flow}", name=name)["file_path"].split("/")[1]
        assert len(kept) <= 255 and kept[20:30] == name[:10] and kept[-4:] == name[-4:]
        answer = site.call("ann", "GET", f"/api/v1/files/download/{flow}/{kept}")
        assert answer.data == b"hello"
        answer.close()


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "nul\0", "x" * 256])
def test_names_that_are_paths_are_refused(site, name):
    flow = site.flow("ann")
    for path in (f"/api/v1/files/upload/{flow}", "/api/v2/files/"):
        answer = site.call(
            "ann", "POST", path, data={"file": (io.BytesIO(b"x"), name)}, content_type="multipart/form-data"
        )
        assert answer.status_code == 400, (name, answer.get_json())


def test_a_request_without_a_file_is_refused(site):
    flow = site.flow("ann")
    for path in (f"/api/v1/files/upload/{flow}", "/api/v2/files/"):
        answer = site.ask("ann", "POST", path, 422, data={"other": "x"}, content_type="multipart/form-data")
        assert answer["detail"][0]["loc"] == ["body", "file"]
        site.ask("ann", "POST", path, 422, json={"file": "x"})


def test_size_and_count_are_bounded(tmp_path):
    with open_site(tmp_path, max_file_size=1000, max_files=2) as site:
        site.add_user("ann")
        send(site, "ann", "/api/v2/files/", b"x" * 1000)
        assert send(site, "ann", "/api/v2/files/", b"x" * 1001, expect=413)["code"] == "body_too_large"
        assert send(site, "ann", "/api/v2/files/", b"x" * 200_000, expect=413)["code"] == "body_too_large"
        send(site, "ann", "/api/v2/files/")
        send(site, "ann", "/api/v2/files/", expect=400)
        stored = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
        assert len(stored) == 2
        assert all(len(path.name) == 64 and path.stat().st_mode & 0o077 == 0 for path in stored)


def test_odd_names_come_back_as_they_were(site):
    for name in ("na'me.txt", "наме 🦜.txt", "no-suffix", ".hidden"):
        kept = send(site, "ann", "/api/v2/files/", name=name)
        assert kept["path"].endswith(f"/{name}")
        answer = site.call("ann", "GET", f"/api/v2/files/{kept['id']}")
        assert answer.data == b"hello" and "\n" not in answer.headers["Content-Disposition"]
        answer.close()
