"""Which files a flow may read, and what it gets of them."""

from __future__ import annotations

import io
import json
import sys
import zipfile

import pytest

from flowrunner import FlowRunnerError
from tests.engine.rig import FLOW_ID

PDF_TEXT = "Returns are taken within thirty days."


def make_pdf(*lines):
    """Return a PDF file with a page for each line of text."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    kids = []
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for line in lines:
        stream = f"BT /F1 12 Tf 20 50 Td ({line}) Tj ET".encode()
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        content = len(objects)
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 100] /Contents {content} 0 R"
        objects.append(f"{page} /Resources << /Font << /F1 3 0 R >> >> >>".encode())
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    made, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    made += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)
    return bytes(made)


def make_docx():
    docx = pytest.importorskip("docx")
    document, made = docx.Document(), io.BytesIO()
    document.add_heading("Holidays", 1)
    document.add_paragraph("Everybody has 28 days.")
    table = document.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "part time", "14"
    document.add_paragraph("Ask a month ahead.")
    document.save(made)
    return made.getvalue()


FILES = {
    "note.txt": ("Plain text.\nTwo lines.", "Plain text.\nTwo lines."),
    "read.me.md": ("# Title\n\nText", "# Title\n\nText"),
    "table.csv": ("name,age\nAnn,30\nBob,4.5\n", "name,age\nAnn,30\nBob,4.5\n"),
    "rows.json": ('[{"a": 1}, {"a": 2}]', '[{"a": 1}, {"a": 2}]'),
    "one.json": ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
    "page.html": ("<html><title>T</title><script>x</script><p>Shown <b>text</b></p></html>", "Shown text"),
    "utf16.txt": ("Straße".encode("utf-16"), "Straße"),
    "bom.txt": ("\ufeffmarked".encode(), "marked"),
    "old.txt": ("Stra\xdfe".encode("cp1252"), "Straße"),
    "returns.pdf": (make_pdf(PDF_TEXT, "Second page."), f"{PDF_TEXT}\n\nSecond page."),
    "code.py": ("print(1)\n", "print(1)\n"),
    "LOUD.TXT": ("loud", "loud"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_every_kind_are_read(house, name):
    data, text = FILES[name]
    path = house.upload(name, data)
    assert house.outputs("File", {"path": [path]}, output="message").text == text
    assert house.outputs("File", {"path": path}, output="data") == {"file_path": path, "text": text}


def test_a_word_document_gives_its_paragraphs_and_tables_in_order(house):
    path = house.upload("holidays.docx", make_docx())
    text = house.outputs("File", {"path": path}, output="message").text
    assert text == "Holidays\nEverybody has 28 days.\npart time\t14\nAsk a month ahead."


def test_several_files_become_one_text_and_a_row_each(house):
    paths = [house.upload("a.txt", "A"), house.upload("b.txt", "B")]
    settings = {"path": paths, "separator": " + "}
    assert house.outputs("File", settings, output="message").text == "A + B"
    rows = [{"file_path": paths[0], "text": "A"}, {"file_path": paths[1], "text": "B"}]
    assert house.outputs("File", settings, output="data") == rows
    assert house.outputs("File", settings, output="dataframe") == rows
    assert house.outputs("File", settings, output="path").text == "\n".join(paths)


@pytest.mark.parametrize(
    ("name", "data", "rows"),
    [
        ("a.csv", "name,age\nAnn,30\nBob,4.5\n", [{"name": "Ann", "age": 30}, {"name": "Bob", "age": 4.5}]),
        ("b.csv", "zip;city\n01234;Ort\n", [{"zip": "01234", "city": "Ort"}]),
        ("c.csv", 'text\n"two\nlines, quoted"\n', [{"text": "two\nlines, quoted"}]),
        ("d.tsv", "a\tb\n1\t2\n", [{"a": 1, "b": 2}]),
        ("e.json", '[{"a": 1}, {"a": null}]', [{"a": 1}, {"a": None}]),
        ("f.jsonl", '{"a": 1}\n\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ("g.csv", "a,b\n1\n1,2,3\n", [{"a": 1, "b": ""}, {"a": 1, "b": 2}]),
    ],
)
def test_tables_give_their_rows(house, name, data, rows):
    assert house.outputs("File", {"path": house.upload(name, data)}, output="dataframe") == rows


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("a.json", '{"a": 1}', {"a": 1}),
        ("b.json", '[{"a": 1}]', {"results": [{"a": 1}]}),
        ("c.json", "[1, 2]", {"text": "[1,2]"}),
        ("d.json", "not json", {"text": "not json"}),
        ("e.json", "[" * 100_000, {"text": "[" * 100_000}),
    ],
    ids=str,
)
def test_json_files_give_what_they_hold(house, name, data, found):
    assert house.outputs("File", {"path": house.upload(name, data)}, output="json") == found


def test_no_file_named_gives_nothing(house):
    for settings in ({}, {"path": ""}, {"path": []}, {"path": [""]}):
        assert house.outputs("File", settings, output="dataframe") == []


@pytest.mark.parametrize(
    "name",
    ["absent.txt", f"{FLOW_ID}/absent.txt", "../secret.txt", "/etc/passwd", "a\\..\\b", "x" * 5000, "nul\0.txt"],
    ids=lambda name: name[:20],
)
def test_a_file_that_is_not_there_is_refused_with_what_to_do(house, name):
    with pytest.raises(FlowRunnerError, match="not among your uploads: upload .* to this flow"):
        house.outputs("File", {"path": [name]}, output="message")
    assert house.outputs("File", {"path": [name], "silent_errors": True}, output="message").text == ""


def test_a_file_of_somebody_else_is_not_there(house):
    path = house.upload("theirs.txt", "secret", owner="bob")
    with pytest.raises(FlowRunnerError, match="not among your uploads"):
        house.outputs("File", {"path": path}, output="message")
    assert house.outputs("File", {"path": path}, output="message", owner="bob").text == "secret"


@pytest.mark.parametrize(
    "named",
    [
        "0fe7cc05-6602-4f18-8984-f5931c4997dc/faq.txt",
        "0fe7cc05-6602-4f18-8984-f5931c4997dc\\2024-10-13_20-04-17_faq.txt",
        "faq.txt",
    ],
)
def test_a_flow_of_another_server_finds_its_file_by_name(house, named):
    house.upload("faq.txt", "questions")
    assert house.outputs("File", {"path": [named]}, output="message").text == "questions"


def test_files_named_by_other_components_are_read(house):
    path = house.upload("faq.txt", "questions")
    more = [("name", "TextInput", {"input_value": path})]
    edges = ["name.text -> it.file_path"]
    result = house.outputs("File", output="message", more=more, edges=edges)
    assert result.text == "questions"


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "documents"
        (folder / "deep" / "deeper").mkdir(parents=True)
        (folder / "a.txt").write_text("A")
        (folder / "b.md").write_text("B")
        (folder / "c.bin").write_bytes(b"\0\1")
        (folder / ".hidden.txt").write_text("H")
        (folder / "deep" / "d.txt").write_text("D")
        (folder / "deep" / "deeper" / "e.txt").write_text("E")
        (tmp_path / "outside.txt").write_text("secret")
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "f.txt").write_text("secret")
        (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
        (folder / "linked").symlink_to(tmp_path / "outside")
        return folder

    @pytest.fixture
    def house(self, open_house, folder):
        return open_house(document_folders=[str(folder)])

    def test_a_directory_gives_a_row_for_each_file_that_can_be_read(self, house):
        rows = house.outputs("Directory", {}, output="dataframe")
        assert [row["text"] for row in rows] == ["A", "B"]
        assert [row["file_path"] for row in rows] == ["a.txt", "b.md"]

    @pytest.mark.parametrize(
        ("settings", "texts"),
        [
            ({"types": ["md"]}, ["B"]),
            ({"depth": 1}, ["A", "B", "D"]),
            ({"depth": 5}, ["A", "B", "D", "E"]),
            ({"recursive": True, "types": [".txt"]}, ["A", "D", "E"]),
            ({"load_hidden": True, "types": ["txt"]}, ["H", "A"]),
            ({"path": "deep", "depth": 9}, ["D", "E"]),
            ({"path": "./deep/deeper"}, ["E"]),
        ],
        ids=str,
    )
    def test_types_depth_and_hidden_files(self, house, settings, texts):
        assert [row["text"] for row in house.outputs("Directory", settings, output="data")] == texts

    @pytest.mark.parametrize("path", ["..", "/etc", "linked", "deep/../..", "absent", "a.txt", "nul\0"])
    def test_what_is_outside_is_refused(self, house, path):
        with pytest.raises(FlowRunnerError, match="is not in a folder listed"):
            house.outputs("Directory", {"path": path}, output="data")

    def test_a_file_below_an_allowed_folder_is_read_and_no_other(self, house, folder):
        for name in ("a.txt", "deep/d.txt", str(folder / "a.txt")):
            assert house.outputs("File", {"path": [name]}, output="message").text in ("A", "D")
        for name in ("link.txt", "linked/f.txt", "../outside.txt", str(folder.parent / "outside.txt")):
            with pytest.raises(FlowRunnerError, match="not among your uploads"):
                house.outputs("File", {"path": [name]}, output="message")


def test_without_allowed_folders_no_directory_is_read(house, tmp_path):
    with pytest.raises(FlowRunnerError, match="no folder may be read: FLOWRUNNER_DOCUMENT_FOLDERS"):
        house.outputs("Directory", {"path": str(tmp_path)}, output="data")


def _bomb():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(6):
            packed.writestr(f"word/{number}.xml", b"0" * (50 * 1024 * 1024))
    return made.getvalue()


def _locked():
    writer = pytest.importorskip("pypdf").PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret")
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("broken.pdf", b"%PDF-1.4 nothing", "not a readable PDF file"),
        ("empty.pdf", b"", "not a readable PDF file"),
        ("broken.docx", b"PK nothing", "not a readable Word document"),
        ("other.docx", {"a.txt": "a"}, "not a readable Word document"),
        (
            "no-types.docx",
            {"[Content_Types].xml": "<Types/>", "word/document.xml": "<a/>"},
            "not a readable Word document",
        ),
        ("no-xml.docx", {"[Content_Types].xml": "<Types"}, "not a readable Word document"),
        ("locked.pdf", "locked", "locked.pdf needs a password"),
        ("bomb.docx", "bomb", "contains too much"),
        ("picture.png", b"\x89PNG\r\n\0\0", "of an unsupported kind"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(house, name, data, said):
    if isinstance(data, dict):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as packed:
            for member, text in data.items():
                packed.writestr(member, text)
        data = made.getvalue()
    path = house.upload(name, _bomb() if data == "bomb" else _locked() if data == "locked" else data)
    with pytest.raises(FlowRunnerError, match=said):
        house.outputs("File", {"path": [path]}, output="message")
    assert house.outputs("File", {"path": [path], "silent_errors": True}, output="message").text == ""


@pytest.mark.parametrize(("module", "name"), [("pypdf", "returns.pdf"), ("docx", "a.docx")])
def test_without_the_library_the_error_says_what_to_install(house, monkeypatch, module, name):
    path = house.upload(name, FILES["returns.pdf"][0])
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(FlowRunnerError, match=r"flask-flowrunner\[retrieval\]"):
        house.outputs("File", {"path": [path]}, output="message")


def test_a_tweak_names_only_the_callers_own_files(house):
    theirs = house.upload("theirs.txt", "secret", owner="bob")
    mine = house.upload("mine.txt", "mine")
    vertices, edges = [("it", "File", {"path": []}), ("out", "ChatOutput")], ["it.message -> out.input_value"]
    assert house.run(vertices, edges, tweaks={"it": {"path": [mine]}}).text == "mine"
    with pytest.raises(FlowRunnerError, match="not among your uploads"):
        house.run(vertices, edges, tweaks={"it": {"path": [theirs]}})


def test_a_large_table_is_read_in_proportion(house):
    rows = "".join(f"{n},{json.dumps('x' * 50)}\n" for n in range(20_000))
    found = house.outputs("File", {"path": [house.upload("large.csv", "n,text\n" + rows)]}, output="dataframe")
    assert (len(found), found[-1]["n"]) == (20_000, 19_999)
