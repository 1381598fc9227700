"""Read files: their text, and rows where they contain any."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from flowrunner_models.pages import Page

from flowrunner import CancelToken, FlowRunnerError

from ..extras import import_extra
from .file_access import FoundFile

#: What is read as it is.
TEXT_SUFFIXES: Final = frozenset(
    {
        "txt",
        "md",
        "mdx",
        "csv",
        "tsv",
        "json",
        "jsonl",
        "yaml",
        "yml",
        "xml",
        "py",
        "sh",
        "sql",
        "js",
        "ts",
        "tsx",
        "rst",
        "log",
        "ini",
        "toml",
        "cfg",
        "tex",
        "css",
        "c",
        "h",
        "cpp",
        "java",
        "go",
        "rs",
        "rb",
        "php",
        "",
    }
)
SUFFIXES: Final = TEXT_SUFFIXES | {"html", "htm", "pdf", "docx"}
#: Bytes of a file, and characters of its text.
_LARGEST: Final = 256 * 1024 * 1024
_LONGEST: Final = 64 * 1024 * 1024
_MOST_PAGES: Final = 20_000
#: Cells of a table, and columns over which those of one row of a Word table reach.
_MOST_CELLS: Final = 5_000_000
_MOST_SPANS: Final = 1_000


class FileUnreadable(ValueError):
    """A file that cannot be read; the text says which and why."""


def read_text(found: FoundFile, *, encoding: str = "", cancelled: CancelToken | None = None) -> str:
    """Return the text of a file.

    :param encoding: encoding of text files; default: UTF-8, else what their first bytes say.
    :raises FileUnreadable: if its kind is unknown, or it is broken or too large.
    :raises ExtraMissing: if the library for its kind is not installed.
    """
    size = found.path.stat().st_size
    if size > _LARGEST:
        raise FileUnreadable(f"{found.short_name} is larger than {_LARGEST} bytes")
    cancelled = CancelToken() if cancelled is None else cancelled
    reader = _READERS.get(found.suffix)
    if reader is not None:
        text = reader(found, cancelled)
    elif found.suffix in TEXT_SUFFIXES or _looks_like_text(found.path):
        text = decode(found.path.read_bytes(), encoding)
    else:
        raise FileUnreadable(f"{found.short_name} is of an unsupported kind: {found.suffix}")
    if len(text) > _LONGEST:
        raise FileUnreadable(f"{found.short_name} holds more than {_LONGEST} characters")
    return text


def read_rows(found: FoundFile, text: str) -> list[dict[str, Any]] | None:
    """Return the rows of a table or of a list of JSON objects; None for any other file."""
    if found.suffix in ("csv", "tsv"):
        return list(_table(text, "\t" if found.suffix == "tsv" else None))
    if found.suffix == "jsonl":
        lines = [parse_json(line) for line in text.splitlines() if line.strip()]
        return [line for line in lines if isinstance(line, dict)]
    if found.suffix == "json":
        value = parse_json(text)
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            return value
    return None


def parse_json(text: str) -> Any:
    """Return the value of a JSON text, or None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def decode(data: bytes, encoding: str = "") -> str:
    """Return bytes as text: in the encoding that is named or their mark tells, else UTF-8, else Latin-1."""
    if encoding:
        try:
            return data.decode(encoding, "replace")
        except LookupError:
            raise FileUnreadable(f"unknown encoding {encoding[:40]}") from None
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(name, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _table(text: str, delimiter: str | None) -> list[dict[str, Any]]:
    if delimiter is None:
        head = text.partition("\n")[0]
        delimiter = max(",;\t|", key=head.count) if head else ","
    # A cell may be as long as the file.
    limit = csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="")
        # Each row gets all columns of the head, however few it has itself.
        most = _MOST_CELLS // max(1, len(reader.fieldnames or ()))
        rows: list[dict[str, Any]] = []
        for row in reader:
            if len(rows) >= most:
                raise FileUnreadable(f"a table has more than {_MOST_CELLS} cells")
            rows.append({str(name): _cell(value) for name, value in row.items() if name != ""})
        return rows
    except csv.Error as error:
        raise FileUnreadable(f"a table cannot be read: {error}") from error
    finally:
        csv.field_size_limit(max(limit, 131072))


def _cell(value: Any) -> Any:
    """Return a cell as a number where it is one."""
    if not isinstance(value, str) or not value or len(value) > 30:
        return "" if value is None else value
    word = value.strip()
    if word.lstrip("-").isdigit() and word.isascii() and not (len(word.lstrip("-")) > 1 and word.lstrip("-")[0] == "0"):
        return int(word)
    if word.replace(".", "", 1).lstrip("-").isdigit() and word.isascii() and "." in word:
        return float(word)
    return value


def _looks_like_text(path: Path) -> bool:
    with path.open("rb") as opened:
        head = opened.read(4096)
    return b"\0" not in head


def _read_html(found: FoundFile, cancelled: CancelToken) -> str:
    return Page(decode(found.path.read_bytes())).text()


def _read_pdf(found: FoundFile, cancelled: CancelToken) -> str:
    pypdf = import_extra("pypdf", f"Reading {found.short_name}")
    parts: list[str] = []
    length = 0
    try:
        with found.path.open("rb") as opened:
            reader = pypdf.PdfReader(opened)
            if reader.is_encrypted and not reader.decrypt(""):
                raise FileUnreadable(f"{found.short_name} needs a password")
            for number, page in enumerate(reader.pages):
                cancelled.raise_if_set()
                if number >= _MOST_PAGES or length > _LONGEST:
                    raise FileUnreadable(f"{found.short_name} contains too much text")
                parts.append(page.extract_text())
                length += len(parts[-1])
    except (FileUnreadable, FlowRunnerError):
        raise
    except Exception as error:
        # A damaged file breaks the library anywhere.
        raise FileUnreadable(f"{found.short_name} is not a readable PDF file: {error}") from error
    return "\n\n".join(part for part in parts if part.strip())


def _read_docx(found: FoundFile, cancelled: CancelToken) -> str:
    docx = import_extra("docx", f"Reading {found.short_name}")
    try:
        with zipfile.ZipFile(found.path) as packed:
            # What is packed a thousand times smaller is not text that somebody wrote.
            if sum(entry.file_size for entry in packed.infolist()) > _LARGEST:
                raise FileUnreadable(f"{found.short_name} contains too much")
        document = docx.Document(str(found.path))
        lines: list[str] = []
        for block in document.iter_inner_content():
            cancelled.raise_if_set()
            if hasattr(block, "rows"):
                for row in block.rows:
                    # A cell may claim to reach over any number of columns, and is given once for each.
                    if sum(cell.grid_span for cell in row._tr.tc_lst) > _MOST_SPANS:
                        raise FileUnreadable(f"{found.short_name} has a table of more than {_MOST_SPANS} columns")
                    lines.append("\t".join(cell.text for cell in row.cells))
            else:
                lines.append(block.text)
    except (FileUnreadable, FlowRunnerError):
        raise
    except Exception as error:
        # As above.
        raise FileUnreadable(f"{found.short_name} is not a readable Word document") from error
    return "\n".join(lines).strip()


_READERS: Final[Mapping[str, Callable[[FoundFile, CancelToken], str]]] = {
    "pdf": _read_pdf,
    "docx": _read_docx,
    "html": _read_html,
    "htm": _read_html,
}
