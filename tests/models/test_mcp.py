"""Tools of MCP servers: real ones, over a pipe and over HTTP, and which of them a flow may use."""

from __future__ import annotations

import contextlib
import gc
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flowrunner_models.mcp_servers.component import McpTools
from flowrunner_models.mcp_servers.configured import ServerEntry, entry_of, read_commands, read_servers
from flowrunner_models.mcp_servers.server_choice import ServerRefused, choose_server

from flowrunner import AddressRefused, CancelToken, Component, FlowRunnerError, Output, Tool
from flowrunner.testing.model_script import call, say
from tests.installed import require
from tests.waiting import wait_until

require("mcp")

STAND_IN = Path(__file__).with_name("mcp_stand_in.py")
COMMAND = f"{sys.executable} {STAND_IN} stdio"
TOOLS = ["add", "rows", "count", "fail", "sleep", "see.it", "environment", "end"]


def start(kind):
    """Start a server; return its process and its port."""
    process = subprocess.Popen(
        [sys.executable, str(STAND_IN), kind], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return process, int(process.stdout.readline())


@pytest.fixture(scope="module")
def places():
    """Where the stand-in is reached, by way."""
    import socket

    started = {kind: start(kind) for kind in ("streamable-http", "sse")}
    for _, port in started.values():

        def answers(port=port):
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(answers)
    yield {
        "http": f"http://127.0.0.1:{started['streamable-http'][1]}/mcp",
        "sse": f"http://127.0.0.1:{started['sse'][1]}/sse",
        "stdio": COMMAND,
    }
    for process, _ in started.values():
        process.kill()
        process.wait()
        process.stdout.close()


def agent_flow(settings):
    vertices = [("in", "ChatInput"), ("mcp", "MCPTools", settings), ("agent", "Agent"), ("out", "ChatOutput")]
    edges = [
        "in.message -> agent.input_value",
        "mcp.component_as_tool -> agent.tools",
        "agent.response -> out.input_value",
    ]
    return vertices, edges


def ask_agent(house, model, settings, *calls):
    """Have an agent call tools; return what it was told of them."""
    model.script(*[call(one) for one in calls], say("done"))
    assert house.run(*agent_flow(settings)).text == "done"
    return [m["content"] for m in model.asked[-1]["messages"] if m["role"] == "tool"]


@pytest.mark.parametrize("way", ["http", "sse", "stdio"])
def test_an_agent_uses_the_tools_of_a_server(open_house, model, places, way):
    house = open_house(mcp_servers=f"numbers={places[way]}")
    named = {"mcp_server": {"name": "numbers", "config": {}}}
    told = ask_agent(house, model, named, ("add", {"a": 2, "b": 40}), ("see_it", {}), ("fail", {"word": "rain"}))
    assert told[:2] == ["42", "look\n[image/png, 3 bytes]"]
    assert told[2].startswith("Error: ")
    assert "no rain today" in told[2]
    offered = {tool["function"]["name"]: tool["function"] for tool in model.asked[-1]["tools"]}
    assert {name.replace(".", "_") for name in TOOLS} <= set(offered)
    assert offered["add"]["description"] == "Add two numbers."
    assert offered["add"]["parameters"]["required"] == ["a"]


def test_calls_of_one_run_go_to_one_process_which_ends_with_it(open_house, model, places):
    house = open_house(mcp_servers=f"s={COMMAND}")
    first, second = ask_agent(house, model, {"mcp_server": "s"}, ("count", {}), ("count", {}))
    pid = int(first.rpartition(" ")[2])
    assert (first, second) == (f"call 1 of process {pid}", f"call 2 of process {pid}")
    gc.collect()
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize("way", ["http", "sse", "stdio"])
def test_a_flow_calls_one_tool(open_house, places, way):
    house = open_house(mcp_servers=f"s={places[way]}")
    about = {"mcp_server": {"name": "s"}, "tool": "rows", "count": "2"}
    vertices = [("it", "MCP", about), ("out", "ChatOutput")]
    result = house.run(vertices, ["it.response -> out.input_value"])
    rows = next(v.outputs["response"] for v in result.vertices if v.vertex_id == "it")
    assert {"name": "row 0"} in rows
    assert {"name": "row 1"} in rows


def test_arguments_come_over_edges(open_house, places):
    house = open_house(mcp_servers=f"s={places['http']}")
    about = {"mcp_server": "s", "tool": "add", "a": 2, "b": ""}
    vertices = [("in", "TextInput", {"input_value": "20"}), ("it", "MCPTools", about), ("out", "ChatOutput")]
    over = ["in.text -> it.b", "it.response -> out.input_value"]
    assert "22" in house.run(vertices, over, input_type="chat").text
    assert "3" in house.run(vertices[1:], over[1:]).text


def test_what_the_author_switched_off_is_not_offered(open_house, model, places):
    house = open_house(mcp_servers=f"s={places['http']}")
    rows = [{"name": "add", "status": True}, {"name": "count", "status": False}, {"name": "fail", "status": True}]
    ask_agent(house, model, {"mcp_server": "s", "tools_metadata": rows})
    offered = {tool["function"]["name"] for tool in model.asked[-1]["tools"]}
    assert {"add", "fail"} <= offered
    assert not {"count", "rows", "end"} & offered
    ask_agent(house, model, {"mcp_server": "s", "tools_metadata": [{**row, "status": False} for row in rows]})
    offered = {tool["function"]["name"] for tool in model.asked[-1].get("tools") or []}
    assert not {"add", "count", "fail"} & offered


def test_tools_that_are_not_there_any_more_are_said(open_house, places):
    house = open_house(mcp_servers=f"s={places['http']}")
    with pytest.raises(FlowRunnerError, match=r"none of the tools that the flow uses \(gone\); it has add"):
        house.run(*agent_flow({"mcp_server": "s", "tools_metadata": [{"name": "gone", "status": True}]}))
    with pytest.raises(FlowRunnerError, match="has no tool gone; available are add"):
        house.run(
            [("it", "MCP", {"mcp_server": "s", "tool": "gone"}), ("out", "ChatOutput")],
            ["it.response -> out.input_value"],
        )


def test_a_slow_tool_is_given_up_and_a_cancelled_run_waits_for_none(open_house, model, places):
    house = open_house(mcp_servers=f"s={places['http']}")
    (told,) = ask_agent(house, model, {"mcp_server": "s", "tool_execution_timeout": 0.5}, ("sleep", {"seconds": 30}))
    assert "did not answer within 0.5 seconds" in told
    token = CancelToken()
    threading.Timer(0.5, token.cancel).start()
    model.script(call(("sleep", {"seconds": 60})))
    started = time.monotonic()
    with pytest.raises(FlowRunnerError):
        house.run(*agent_flow({"mcp_server": "s"}), cancelled=token)
    assert time.monotonic() - started < 30


def test_a_server_that_ends_is_said(open_house, model):
    house = open_house(mcp_servers=f"s={COMMAND}")
    told = ask_agent(house, model, {"mcp_server": "s"}, ("end", {}), ("add", {"a": 1}))
    assert all(one.startswith("Error: the MCP server s") for one in told), told


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("http://127.0.0.1:1/mcp", "the MCP server s failed"),
        ("/nowhere/to/be/found", "the MCP server s failed"),
        (f"{sys.executable} {STAND_IN} broken", "the licence has run out"),
    ],
    ids=["http", "no program", "ends at once"],
)
def test_a_server_that_is_not_there_is_said(open_house, place, said):
    house = open_house(mcp_servers=f"s={place}")
    with pytest.raises(FlowRunnerError, match=said):
        house.run(*agent_flow({"mcp_server": "s"}))


def test_the_environment_of_a_command_is_what_the_operator_says(open_house, model, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-server")
    about = {"command": sys.executable, "args": [str(STAND_IN), "stdio"], "env": {"OWN": "said"}}
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"s": about}}))
    house = open_house(mcp_servers=str(tmp_path / "servers.json"))
    told = ask_agent(
        house, model, {"mcp_server": "s"}, ("environment", {"name": "OWN"}), ("environment", {"name": "OPENAI_API_KEY"})
    )
    assert told == ["said", "none"]


class Endless(BaseHTTPRequestHandler):
    """Answer whatever is asked with more than anybody wants."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append(self.headers["accept-encoding"])
        self.send_response(200)
        for name, value in self.server.says.items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        part = b" " * 50_000
        with contextlib.suppress(OSError):
            for _ in range(200):
                self.wfile.write(b"%x\r\n" % len(part) + part + b"\r\n")
                self.server.sent += len(part)
            self.wfile.write(b"0\r\n\r\n")

    do_GET = do_DELETE = do_POST

    def log_message(self, *about):
        pass


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ({"content-type": "application/json"}, "it sent more than 1000000 bytes"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "it sent a compressed answer"),
        ({"content-type": "text/event-stream"}, "the MCP server s failed"),
    ],
    ids=["json", "packed", "events"],
)
def test_a_server_that_sends_without_end_is_read_no_further(open_house, monkeypatch, says, why):
    from flowrunner_models.mcp_servers import byte_limit

    monkeypatch.setattr(byte_limit, "MOST_BYTES", 1_000_000)
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        server.says, server.asked, server.sent = says, [], 0
        threading.Thread(target=server.serve_forever, daemon=True).start()
        house = open_house(mcp_servers=f"s=http://127.0.0.1:{server.server_port}/mcp")
        with pytest.raises(FlowRunnerError, match=why):
            house.run(
                [("it", "MCP", {"mcp_server": "s", "tool": "x"}), ("out", "ChatOutput")],
                ["it.response -> out.input_value"],
            )
        server.shutdown()
    assert set(server.asked) == {"identity"}
    assert server.sent < 10_000_000 * len(server.asked)


# Whose word a server is.


def chosen(house, settings, *, author="ann", **request):
    """Return what stands in the way of a server that a stored flow of an author names; None if nothing does."""
    found = []

    class Ask(McpTools):
        type_name = "Ask"

        def run(self, context, /, **values):
            try:
                choose_server(context, values)
            except (ServerRefused, AddressRefused) as error:
                found.append(error)
            return {"response": []}

    house.registry._components["Ask"] = Ask()
    house.run(
        [("it", "Ask", settings), ("out", "ChatOutput")],
        ["it.response -> out.input_value"],
        owner=author,
        author=author,
        **request,
    )
    return found[0] if found else None


def test_a_command_is_one_that_the_operator_lists(open_house):
    config = {"command": sys.executable, "args": [str(STAND_IN), "stdio"]}
    house = open_house()
    for settings in (
        {"mcp_server": {"name": "mine", "config": config}},
        {"mcp_server": config},
        {"mode": "Stdio", "command": COMMAND},
        {"mcp_server": json.dumps({"name": "mine", "config": config})},
    ):
        assert "FLOWRUNNER_MCP_COMMANDS" in str(chosen(house, settings))
        assert "FLOWRUNNER_MCP_COMMANDS" in str(chosen(house, settings, author=None))
    listed = open_house(mcp_commands=COMMAND)
    assert chosen(listed, {"mcp_server": {"config": config}}) is None
    for other in (
        {**config, "args": [str(STAND_IN)]},
        {**config, "args": [str(STAND_IN), "stdio", "-x"]},
        {"command": "python", "args": config["args"]},
        {**config, "env": {"LD_PRELOAD": "x"}},
        {"command": f"{COMMAND}; true"},
        {"command": COMMAND, "args": ["x"]},
    ):
        assert isinstance(chosen(listed, {"mcp_server": {"config": other}}), ServerRefused)


def test_a_private_address_is_for_the_operator_to_name(open_house, places):
    house = open_house()
    for settings in ({"mcp_server": {"name": "x", "config": {"url": places["http"]}}}, {"sse_url": places["sse"]}):
        assert isinstance(chosen(house, settings), AddressRefused)
        assert chosen(house, settings, author=None) is None
        tweaks = {"it": settings}
        assert isinstance(chosen(house, {}, author=None, tweaks=tweaks), AddressRefused)
    allowed = open_house(allow_private_addresses="127.0.0.1")
    assert chosen(allowed, {"sse_url": places["sse"]}) is None


def test_secrets_go_to_no_address_that_a_request_chose(open_house, places):
    house = open_house(allow_private_addresses="all")
    held = {"mcp_server": {"config": {"url": "https://mcp.example/"}}, "headers": [{"key": "X-Key", "value": "hidden"}]}
    elsewhere = {"it": {"mcp_server": {"config": {"url": places["http"]}}}}
    refused = chosen(house, held, tweaks=elsewhere)
    assert isinstance(refused, AddressRefused)
    assert "headers" in str(refused)
    assert chosen(house, {**held, "headers": ""}, tweaks=elsewhere) is None
    own = {"it": {**elsewhere["it"], "headers": [{"key": "X-Key", "value": "mine"}]}}
    assert chosen(house, {}, tweaks=own) is None


@pytest.mark.parametrize("own", [{"name": "a"}, {"config": {"url": "https://127.0.0.1:9/"}}], ids=["named", "address"])
def test_arguments_of_a_tool_go_to_no_address_that_a_request_chose(open_house, places, own):
    house = open_house(allow_private_addresses="all", mcp_servers="a=https://a.example/mcp")
    held = {"mcp_server": own, "tool": "add", "api_token": "hidden", "q": ""}
    elsewhere = {"mcp_server": {"url": places["http"]}}
    for tweak in (elsewhere, {"mcp_server": "", "sse_url": places["sse"]}, {"mcp_server": places["http"]}):
        refused = chosen(house, held, tweaks={"it": tweak})
        assert isinstance(refused, AddressRefused)
        assert "api_token" in str(refused)
    mine = {"it": {**elsewhere, "api_token": "mine", "q": "mine"}}
    assert chosen(house, held, tweaks=mine) is None
    assert chosen(house, held) is None


def test_which_of_the_named_servers_is_for_the_author_to_say(open_house):
    house = open_house(mcp_servers="a=https://a.example/mcp,b=https://b.example/mcp")
    assert chosen(house, {"mcp_server": "a"}) is None
    assert "set by the flow's author" in str(chosen(house, {"mcp_server": "a"}, tweaks={"it": {"mcp_server": "b"}}))
    assert ": FLOWRUNNER_MCP_SERVERS lists" in str(chosen(house, {"mcp_server": {"name": "c", "config": {}}}))
    assert "no MCP server is set" in str(chosen(house, {}))


@pytest.mark.parametrize(
    ("own", "tweak"),
    [
        ({"mcp_server": {"command": "server-a"}}, {"mcp_server": {"command": "server-b --root /"}}),
        (
            {"mcp_server": "a"},
            {"mcp_server": {"name": "x", "config": {"command": "server-b", "args": ["--root", "/"]}}},
        ),
        ({}, {"mode": "Stdio", "command": "server-b --root /"}),
        ({"mode": "Stdio", "command": "server-a"}, {"command": "server-b --root /"}),
        ({"mode": "SSE", "command": "server-a", "sse_url": "https://a.example/sse"}, {"mode": "Stdio"}),
        ({"command": "server-a", "sse_url": "https://a.example/sse"}, {"sse_url": ""}),
        ({"mcp_server": {"url": "https://a.example/"}, "command": "server-a", "mode": "Stdio"}, {"mcp_server": ""}),
    ],
    ids=["another", "of a named", "brought", "older", "by mode", "by no address", "by no server"],
)
@pytest.mark.parametrize("author", ["ann", None])
def test_which_of_the_listed_commands_is_for_the_author_to_say(open_house, own, tweak, author):
    house = open_house(mcp_servers="a=https://a.example/mcp", mcp_commands="server-a,server-b --root /")
    refused = chosen(house, own, author=author, tweaks={"it": tweak})
    assert isinstance(refused, ServerRefused)
    assert "set by the flow's author" in str(refused)
    assert chosen(house, {"command": "server-a"}, author=author, tweaks={"it": {"tool": "x"}}) is None


def call_tool(house, settings, tweak):
    """Call one tool of a server for a request that says so."""
    vertices = [("it", "MCP", {"mcp_server": "s", **settings}), ("out", "ChatOutput")]
    return house.run(vertices, ["it.response -> out.input_value"], owner="ann", author="ann", tweaks={"it": tweak}).text


def test_a_request_calls_a_tool_that_the_author_left_to_it_alone(open_house, places):
    house = open_house(mcp_servers=f"s={places['http']}", allow_private_addresses="127.0.0.1")
    rows = [{"name": "add", "status": True}, {"name": "rows", "status": True}, {"name": "count", "status": False}]
    held = {"tool": "add", "a": 2, "b": 40, "tools_metadata": rows}
    assert "42" in call_tool(house, held, {"tool": "add"})
    assert "row 0" in call_tool(house, {**held, "count": 1}, {"tool": "rows"})
    switched = {"tool": "count", "tools_metadata": [{"name": "count", "status": True}]}
    for own, tweak in (
        (held, {"tool": "count"}),
        (held, {"tool": "end"}),
        (held, switched),
        ({**held, "tools_metadata": ""}, {"tool": "count"}),
        ({}, {"tool": "count"}),
        ({}, switched),
    ):
        with pytest.raises(FlowRunnerError, match="the tool of the MCP server s is set by the flow's author"):
            call_tool(house, own, tweak)
    assert "call" in call_tool(house, {"tool": "add"}, {"mcp_server": {"url": places["http"]}, "tool": "count"})


def test_a_request_switches_no_tool_on(open_house, model, places):
    house = open_house(mcp_servers=f"s={places['http']}")
    rows = [{"name": "add", "status": True}, {"name": "rows"}, {"name": "count", "status": False}]
    asked = [{"name": "add"}, {"name": "count", "status": True}, {"name": "end", "status": True}]
    for table, offers in ((asked, {"add"}), ([], {"add", "rows"})):
        model.script(say("done"))
        house.run(
            *agent_flow({"mcp_server": "s", "tools_metadata": rows}),
            owner="ann",
            author="ann",
            tweaks={"mcp": {"tools_metadata": table}},
        )
        offered = {tool["function"]["name"] for tool in model.asked[-1]["tools"]}
        assert offered & set(TOOLS) == offers


def test_without_the_extra_its_name_is_said(open_house, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    house = open_house(mcp_servers="a=https://a.example/mcp")
    with pytest.raises(FlowRunnerError, match=r"pip install 'flask-flowrunner\[mcp\]'"):
        house.run(*agent_flow({"mcp_server": "a"}))


def test_settings_are_read():
    assert dict(read_servers("a=https://h/mcp?x=1, b=python -m 'my server'")) == {
        "a": ServerEntry(url="https://h/mcp?x=1"),
        "b": ServerEntry(command=("python", "-m", "my server")),
    }
    assert read_commands("npx -y x, python -m y") == (("npx", "-y", "x"), ("python", "-m", "y"))
    assert entry_of({"url": "https://h", "headers": [{"key": "A", "value": "b"}], "type": "sse"}).sse
    for bad in ("a", "=x", "a=", "/nowhere/file.json", {"mcpServers": []}, {"a": {}}):
        with pytest.raises(ValueError, match="must be|cannot be read|needs a url"):
            read_servers(bad)


class Brings(Component):
    """Bring tools."""

    type_name = "Brings"
    inputs = ()
    outputs = (Output("text"),)

    def run(self, context):
        return {"text": ""}

    def own_tools(self, context):
        return Brings.brought


def test_a_component_may_bring_tools_of_its_own(open_house, model):
    house = open_house(components=(Brings,))
    flow = agent_flow({})
    flow[0][1] = ("mcp", "Brings")
    Brings.brought = [
        Tool(name, name, {"type": "object", "properties": {}}, lambda a, n=name: n) for name in ("x", "y")
    ]
    model.script(call(("x", {}), ("y", {})), say("done"))
    house.run(*flow)
    assert [m["content"] for m in model.asked[-1]["messages"] if m["role"] == "tool"] == ["x", "y"]
    Brings.brought = None
    house.run(*flow)
    Brings.brought = "nothing of use"
    with pytest.raises(FlowRunnerError, match="own_tools.. of Brings returned a str"):
        house.run(*flow)
