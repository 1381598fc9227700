"""How much of a large set of real flow files is understood, and how much of it runs.

    python benchmarks/corpus.py [ARCHIVE] [--index FILE] [--run] [--all] [--timeout SECONDS]

ARCHIVE is a tar file of flow files; default: ``../shared/corpus/open.tar.xz`` beside the repository.
Prints seconds for reading and for checking, and how many flows have known component types only.
With ``--run`` every flow that a user made (the index beside the archive tells; ``--all``: every flow)
is run against a stand-in that answers chats and embeds texts. Each file that a flow names is
uploaded first, each variable that it names is set, each collection that it searches holds a text, and its SQL goes to
a SQLite database that has the tables of its queries; MCP servers have the tools that flows use of them.
Two figures come of it: flows that answer, and flows that answer and run whole, with no component
left out. Tables say what still fails and why, and which types alone stand in the way.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import logging
import re
import sqlite3
import tarfile
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flowrunner.engine.plan import needed_for_outputs
from flowrunner.errors import FlowRunnerError
from flowrunner.flows.check import check_flow
from flowrunner.flows.model import Flow
from flowrunner.flows.reading import read_flows
from flowrunner.plugins import PluginManager
from flowrunner.registry import Registry

DEFAULT = Path(__file__).resolve().parents[1] / ".." / "shared" / "corpus" / "open.tar.xz"
_FILE_FIELDS = {"File": ("path",), "CSVtoData": ("csv_file",), "JSONtoData": ("json_file",)}
_MCP = ("MCPTools", "MCP")
QUESTION = "Hello, what can you do?"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--index", type=Path, help="lines of JSON that say of each file what it is")
    parser.add_argument("--run", action="store_true", help="run the flows, too")
    parser.add_argument("--all", action="store_true", help="every flow, not only those that users made")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds that a run may take")
    arguments = parser.parse_args()
    with tarfile.open(arguments.archive) as opened:
        files = {m.name: opened.extractfile(m).read() for m in opened if m.isfile()}  # type: ignore[union-attr]
    registry = load_registry()
    report_reading(files, registry)
    if arguments.run:
        wanted = None if arguments.all else made_by_users(arguments.index or arguments.archive.parent / "index.jsonl")
        flows = [
            (name, flow)
            for name, data in sorted(files.items())
            if wanted is None or Path(name).name in wanted
            for flow in read_all({name: data})[0][:1]
        ]
        report_running(flows, registry, arguments.timeout)


def report_reading(files: dict[str, bytes], registry: Registry) -> None:
    """Print how long reading and checking take, and what is noticed."""
    started = time.perf_counter()
    flows, failed = read_all(files)
    read = time.perf_counter()
    codes = collections.Counter(f.code for flow in flows for f in check_flow(flow, registry))
    checked = time.perf_counter()
    size = sum(map(len, files.values())) / 1e6
    print(f"{len(files)} files, {size:.1f} MB: {len(flows)} flows read, {len(failed)} files refused")
    print(f"reading {read - started:.2f} s, checking {checked - read:.2f} s, together {checked - started:.2f} s")
    known = [flow for flow in flows if all(registry.component(v.type) for v in flow.vertices)]
    print(f"flows with known types only: {len(known)} of {len(flows)}")
    for name, reason in failed.items():
        print(f"  refused: {name}: {reason}")
    for code, count in codes.most_common():
        print(f"  {code}: {count}")
    missing = collections.Counter(kind for flow in flows for kind in unknown_types(flow, registry))
    print("most wanted types: " + ", ".join(f"{kind} ({count})" for kind, count in missing.most_common(15)))


def report_running(flows: list[tuple[str, Flow]], registry: Registry, timeout: float) -> None:
    """Run flows and print both figures, what fails and why."""
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    reasons = run_all(flows, timeout)
    answered = [name for name, reason in reasons.items() if reason is None]
    by_name = dict(flows)
    whole = [name for name in answered if not unknown_types(by_name[name], registry)]
    total = len(reasons) or 1
    print(f"\n{total} flows run in {time.perf_counter() - started:.0f} s")
    print(f"answer: {len(answered)} ({100 * len(answered) / total:.1f} %)")
    print(f"run whole: {len(whole)} ({100 * len(whole) / total:.1f} %)")
    needed = {name: needed_types(flow, registry) for name, flow in flows}
    missing = {name: unknown_types(flow, registry) for name, flow in flows}
    print("\nwhat fails though every type that it needs is known:")
    kinds = collections.Counter(_kind(reason) for name, reason in reasons.items() if reason and not needed[name])
    for reason, count in kinds.most_common():
        print(f"  {count:3}  {reason}")
    for name, reason in reasons.items():
        if reason and not needed[name]:
            print(f"       {Path(name).name}: {reason[:200]}")
    print("\nunknown types: flows that need them, that need nothing else, that lack nothing else to be whole:")
    for kind, row in _blocking(needed, missing):
        print(f"  {row[0]:3} {row[1]:3} {row[2]:3}  {kind}")


def run_all(flows: list[tuple[str, Flow]], timeout: float) -> dict[str, str | None]:
    """Return by name None for a flow that answered, else why it did not."""
    from flowrunner.app import create_app, runner_of
    from flowrunner.identity import LOCAL_IDENTITY
    from flowrunner.testing.model_server import ModelServer

    reasons: dict[str, str | None] = {}
    with (
        ModelServer(say_json) as model,
        serve_tools(name for _, flow in flows for name in tools_of(flow)) as tools,
        tempfile.TemporaryDirectory() as folder,
    ):
        named = {name: {"url": tools} for _, flow in flows for name in servers_of(flow)}
        app = create_app(
            data_dir=Path(folder, "data"),
            document_folders=[folder],
            auth="none",
            memory="in-memory",
            run_log=False,
            run_timeout=timeout,
            max_files=100_000,
            model="openai:stand-in",
            embedding="openai:stand-in",
            model_base_urls=f"all={model.url}",
            mcp_servers=named,
        )
        runner = runner_of(app)
        for kind in ("txt", "pdf", "csv"):
            Path(folder, f"stand-in.{kind}").write_bytes(content_of(f"stand-in.{kind}"))
        from flowrunner.engine.request import RunRequest

        for name, flow in flows:
            upload_all(runner, flow)
            name_variables(runner, flow)
            fill_collections(runner, flow)
            try:
                tweaks = name_databases(flow, Path(folder))
                asked = RunRequest(input_value=QUESTION, session_id=name, tweaks=tweaks)
                text = runner.execute(flow, asked, LOCAL_IDENTITY).text
                reasons[name] = None if text.strip() else "nothing is answered"
            except FlowRunnerError as error:
                reasons[name] = error.message
            # Flows of many people name their collection alike, and embed it with models of their own.
            handle = runner.vectors.for_owner(LOCAL_IDENTITY.id)
            for collection in handle.collections():
                handle.delete(collection.name)
        runner.close()
    return reasons


def upload_all(runner: Any, flow: Flow) -> None:
    """Upload a stand-in for each file that a flow names: a short text of the kind."""
    for vertex in flow.vertices:
        names = [n for field in _FILE_FIELDS.get(vertex.type, ()) for n in _listed(vertex.settings.get(field))]
        for given in names:
            if given.strip():
                short = re.split(r"[/\\]", given)[-1]
                runner.stores.files.save("local", io.BytesIO(content_of(short)), name=short, flow_id=flow.id)


def fill_collections(runner: Any, flow: Flow) -> None:
    """Store a text in each collection that a flow searches: its own has been filled before it is asked."""
    from flowrunner import Chunk
    from flowrunner.testing.model_server import embed_words

    for vertex in flow.vertices:
        component = runner.plugins.registry.component(vertex.type)
        name = component.reads_with(vertex.settings, ("search_query",)) if component is not None else None
        if name is not None and not name.startswith("\0"):
            text = "A short text about what can be done."
            chunk = Chunk("stand-in", text, embed_words(text), "stand-in.txt")
            runner.vectors.for_owner("local").upsert(name or f"flow {flow.id}", [chunk])


def servers_of(flow: Flow) -> list[str]:
    """Return the names of the MCP servers that a flow uses."""
    found = (v.settings.get("mcp_server") for v in flow.vertices if v.type in _MCP)
    return [one["name"] for one in found if isinstance(one, dict) and one.get("name")]


def tools_of(flow: Flow) -> list[str]:
    """Return the names of the tools of MCP servers that a flow uses."""
    tables = (v.settings.get("tools_metadata") for v in flow.vertices if v.type in _MCP)
    return [row["name"] for rows in tables if isinstance(rows, list) for row in rows if row.get("name")]


@contextlib.contextmanager
def serve_tools(names: Iterable[str]) -> Iterator[str]:
    """Serve tools of these names, each of which says a word, by MCP over HTTP; return the address."""
    import uvicorn
    from mcp.server import MCPServer

    server = MCPServer("stand-in")
    for name in dict.fromkeys(names):
        server.add_tool(lambda: "what can be done", name=name, description="A stand-in.")
    running = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), port=0, log_level="error"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}/mcp"
    running.should_exit = True
    thread.join(30)


def name_databases(flow: Flow, folder: Path) -> dict[str, dict[str, str]]:
    """Make a SQLite database for each SQL component, with the tables and columns that the flow's queries name."""
    vertices = [vertex for vertex in flow.vertices if vertex.type == "SQLComponent"]
    queries = [text for vertex in flow.vertices for text in vertex.settings.values() if isinstance(text, str)]
    place = folder / f"{flow.id}.db"
    if vertices:
        place.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(place)) as connection, connection:
            for query in queries:
                columns = dict.fromkeys(word.lower() for word in re.findall(r"[A-Za-z_]\w*", query)[:100])
                for table in re.findall(r"\bfrom\s+([a-z_]\w*)", query, re.IGNORECASE):
                    named = ", ".join(f'"{column}"' for column in columns)
                    connection.execute(f'CREATE TABLE IF NOT EXISTS "{table}" ({named})')
                    connection.execute(f'INSERT INTO "{table}" DEFAULT VALUES')
    return {vertex.id: {"database_url": f"sqlite:///{place.name}"} for vertex in vertices}


def say_json(body: Mapping[str, Any]) -> Any:
    """Answer as a model does that can follow: with JSON where the conversation speaks of it."""
    from flowrunner.testing.model_script import say, usual_answer

    if not body.get("response_format") and "json" in json.dumps(body.get("messages")).lower():
        return say('{"text": "Ahoy", "items": [{"name": "first"}]}')
    return usual_answer(body)


def name_variables(runner: Any, flow: Flow) -> None:
    """Store a variable under each name that a flow gives, as whoever imports it does."""
    known = {one.name for one in runner.stores.variables.list("local")}
    for vertex in flow.vertices:
        for field in vertex.variables:
            name = vertex.settings.get(field)
            if isinstance(name, str) and name.strip() and name not in known:
                known.add(name)
                runner.stores.variables.create("local", name=name, value="stand-in", type="Generic")


def _listed(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def content_of(name: str) -> bytes:
    """Return something to read under a name."""
    suffix = name.rpartition(".")[2].lower()
    if suffix == "pdf":
        return _pdf("A short text about what can be done.")
    if suffix == "docx":
        from docx import Document

        document, made = Document(), io.BytesIO()
        document.add_paragraph("A short document about what can be done.")
        document.save(made)
        return made.getvalue()
    if suffix == "csv":
        return b"name,text\nfirst,what can be done\nsecond,something else\n"
    if suffix == "json":
        return json.dumps([{"name": "first", "text": "what can be done"}]).encode()
    return b"A short text about what can be done.\n\nAnother paragraph of it.\n"


def _pdf(text: str) -> bytes:
    """Return a PDF file of one page with a line of text."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    made, writer = io.BytesIO(), PdfWriter()
    page = writer.add_blank_page(400, 100)
    names = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    font = DictionaryObject({NameObject(key): NameObject(value) for key, value in names.items()})
    fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    content = DecodedStreamObject()
    content.set_data(f"BT /F1 12 Tf 20 50 Td ({text}) Tj ET".encode())
    page[NameObject("/Contents")] = writer._add_object(content)
    writer.write(made)
    return made.getvalue()


def load_registry() -> Registry:
    """Return the components that the installed plugins offer."""
    plugins = PluginManager()
    plugins.load_entry_points(keep_going=True)
    plugins.collect_components()
    return plugins.registry


def read_all(files: dict[str, bytes]) -> tuple[list[Flow], dict[str, str]]:
    """Read every file; return the flows, and why files were refused."""
    flows: list[Flow] = []
    failed: dict[str, str] = {}
    for name, data in files.items():
        try:
            flows += read_flows(data, name_hint=Path(name).stem)
        except FlowRunnerError as error:
            failed[name] = error.message
    return flows, failed


def made_by_users(index: Path) -> set[str]:
    """Return the names of the files that are flows which users made with a release."""
    entries = [json.loads(line) for line in index.read_text("utf-8").splitlines()]
    return {e["file"] for e in entries if (e["category"], e["kind"], e["era"]) == ("user", "flow", "1.x")}


def unknown_types(flow: Flow, registry: Registry) -> set[str]:
    """Return the types of a flow that nobody offers."""
    return {vertex.type for vertex in flow.vertices if registry.component(vertex.type) is None}


def needed_types(flow: Flow, registry: Registry) -> set[str]:
    """Return the unknown types that stand on the way to an output."""
    needed = needed_for_outputs(flow, registry)
    return {v.type for v in flow.vertices if v.id in needed and registry.component(v.type) is None}


def _kind(reason: str) -> str:
    """Return a reason without the names in it, so that equal ones count together."""
    plain = re.sub(r"^Error building Component [^:]*:\s*", "", reason.replace("\n", " "))
    return re.sub(r"'[^']*'|\"[^\"]*\"|\([^)]*\)|\d+", "…", plain)[:110]


def _blocking(needed: dict[str, set[str]], missing: dict[str, set[str]]) -> list[tuple[str, tuple[int, int, int]]]:
    """Return the unknown types, those first that stand in the way of the most flows alone."""
    every = collections.Counter(kind for kinds in needed.values() for kind in kinds)
    alone = collections.Counter(next(iter(kinds)) for kinds in needed.values() if len(kinds) == 1)
    whole = collections.Counter(next(iter(kinds)) for kinds in missing.values() if len(kinds) == 1)
    rows = [(kind, (every[kind], alone[kind], whole[kind])) for kind in {*every, *whole}]
    return sorted(rows, key=lambda row: (-row[1][1], -row[1][2], -row[1][0], row[0]))


if __name__ == "__main__":
    main()
