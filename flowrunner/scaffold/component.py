"""Write a component and its test, from scratch or with the ports of a node in an export."""

from __future__ import annotations

import json
import keyword
import re
from pathlib import Path
from typing import Final

from flowrunner.errors import BadRequest
from flowrunner.scaffold.ports import FoundNode, FoundPort, find_node

_NAME: Final = re.compile(r"[A-Za-z][\w .:()@-]{0,99}", re.ASCII)
_LINE: Final = 120
_NOT_WORDS: Final = re.compile(r"[^0-9A-Za-z]+")
#: Port types of which an example can be written down, each with one.
_EXAMPLES: Final = {
    "Message": "'text'",
    "str": "'text'",
    "secret": "'not-a-key'",
    "int": "1",
    "float": "1.5",
    "bool": "True",
    "Data": "{'text': 'text'}",
    "dict": "{'text': 'text'}",
    "Table": "[{'text': 'text'}]",
    "list": "['text']",
    "any": "'text'",
}
_MADE: Final = {"Message": "Message(text={0})", "Data": '{{"text": {0}}}', "Table": '[{{"text": {0}}}]'}
_USUAL: Final = FoundNode(
    "", "", (FoundPort("input_value", "Message", required=True),), (FoundPort("message", "Message"),)
)


def write_component(name: str, folder: Path, *, flow: bytes | None = None) -> list[Path]:
    """Write a component of a type, and a test that passes as it is written.

    Of the flow names, types and marks of the inputs and outputs are taken. Its code is not read, and the values
    of its fields are left where they are, since they may be secrets.

    :param name: the type, as ``data.type`` of a vertex has it.
    :param folder: a folder of plugins; the test goes into its folder ``tests``.
    :param flow: an exported flow with a node of this type.
    :returns: the two files.
    :raises BadRequest: for a name that gives no Python name, a file that is there already, or a flow without such
        a node.
    """
    module = _NOT_WORDS.sub("_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).strip("_").lower()
    class_name = "".join(word[:1].upper() + word[1:] for word in _NOT_WORDS.split(name))
    if not _NAME.fullmatch(name) or not module.isidentifier() or keyword.iskeyword(module):
        raise BadRequest(f"{name!r} is not a component type: a type begins with a letter, such as MyLookup.")
    node = _USUAL if flow is None else find_node(flow, name)
    places = folder / f"{module}.py", folder / "tests" / f"test_{module}.py"
    for place in places:
        if place.exists():
            raise BadRequest(f"{place} already exists; choose another folder with --dir.")
    texts = _component(name, class_name, node), _test(name, class_name, module, node)
    for place, text in zip(places, texts, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, "utf-8")
    return list(places)


def _component(name: str, class_name: str, node: FoundNode) -> str:
    first = next((port for port in node.inputs if port.type in _EXAMPLES), None)
    text = f"text_of(values[{_text(first.name)}])" if first is not None else _text("text")
    made = [(port.name, _MADE[port.type].format(text)) for port in node.outputs if port.type in _MADE]
    left_out = [port for port in node.outputs if port.type not in _MADE]
    used = [
        "Component",
        *(["Input"] if node.inputs else []),
        *(["Message"] if "Message(" in str(made) else []),
        "Output",
        "hookimpl",
        *(["text_of"] if "text_of(" in str(made) else []),
    ]
    lines = [
        f'"""The component {class_name}."""',
        "",
        f"from flowrunner import {', '.join(used)}",
        "",
        "",
        f"class {class_name}(Component):",
        f'    """{_sentence(node.description)}"""',
        "",
        f"    type_name = {_text(name)}",
        *([f"    display_name = {_text(node.display_name)}"] if node.display_name else []),
        *_ports("inputs", "Input", node.inputs),
        *_ports("outputs", "Output", node.outputs),
        "",
        "    def run(self, context, /, **values):",
        '        """Return the outputs by name; one that is left out is a branch not taken."""',
        *(
            f"        # {port.name if port.name.isidentifier() else 'One output'} is of a type that only you can make."
            for port in left_out
        ),
        *(
            ["        return {", *(f"            {_text(port)}: {value}," for port, value in made), "        }"]
            if made
            else ["        return {}"]
        ),
        "",
        "",
        "@hookimpl",
        "def register_components(register):",
        '    """Offer the component."""',
        f"    register({class_name})",
    ]
    return "\n".join(lines) + "\n"


def _ports(attribute: str, kind: str, ports: tuple[FoundPort, ...]) -> list[str]:
    if not ports:
        return [f"    {attribute} = ()"]
    alone = f"    {attribute} = ({_port(kind, ports[0])},)"
    if len(ports) == 1 and len(alone) <= _LINE:
        return [alone]
    return [f"    {attribute} = (", *(f"        {_port(kind, port)}," for port in ports), "    )"]


def _port(kind: str, port: FoundPort) -> str:
    parts = [_text(port.name)]
    if port.type != "Message":
        parts.append(_text(port.type))
    if kind == "Input":
        parts += ["required=True"] if port.required else []
        parts += [f"accepts=({', '.join(map(_text, port.accepts))},)"] if port.accepts else []
        parts += ["many=True"] if port.many else []
        parts += ["tool=True"] if port.tool else []
    return f"{kind}({', '.join(parts)})"


def _test(name: str, class_name: str, module: str, node: FoundNode) -> str:
    given = {
        port.name: f"[{_EXAMPLES[port.type]}]" if port.many else _EXAMPLES[port.type]
        for port in node.inputs
        if port.type in _EXAMPLES
    }
    given |= {port.name: "[]" if port.many else "None" for port in node.inputs if port.type not in _EXAMPLES}
    values = ["VALUES = {", *(f"    {_text(port)}: {_quoted(value)}," for port, value in given.items()), "}"]
    return (
        "\n".join(
            [
                f'"""The component {class_name}: what it declares, and what it returns."""',
                "",
                "from pathlib import Path",
                "",
                "from flowrunner.app import create_app, runner_of",
                "",
                "#: A value of each input.",
                *(values if given else ["VALUES = {}"]),
                *(
                    ["OUTPUTS = [", *(f"    {_text(port.name)}," for port in node.outputs), "]"]
                    if node.outputs
                    else ["OUTPUTS = []"]
                ),
                "",
                "",
                "def component(tmp_path):",
                '    """Return the component as a server finds it in the folder of plugins."""',
                "    folder = Path(__file__).resolve().parents[1]",
                '    runner = runner_of(create_app(plugins_dir=folder, data_dir=tmp_path, memory="in-memory"))',
                "    try:",
                f"        return runner.plugins.registry.component({_text(name)})",
                "    finally:",
                "        runner.close()",
                "",
                "",
                "def test_its_ports_are_those_of_the_flow(tmp_path):",
                "    found = component(tmp_path)",
                f"    assert type(found).__module__.endswith({_text(module)})",
                "    assert {declared.name for declared in found.inputs} == set(VALUES)",
                "    assert [declared.name for declared in found.outputs] == OUTPUTS",
                "",
                "",
                "def test_it_returns_outputs_that_it_declares(tmp_path):",
                "    found = component(tmp_path)",
                "    made = found.run(None, **VALUES)",
                "    assert set(made) <= {declared.name for declared in found.outputs}",
            ]
        )
        + "\n"
    )


def _text(text: str) -> str:
    """Return a text as Python writes it, in double quotes; nothing of a flow ends the text that it stands in."""
    return json.dumps(text, ensure_ascii=False)


def _quoted(value: str) -> str:
    return value.replace("'", '"')


def _sentence(text: str) -> str:
    """Return a description as the inside of a docstring: one line of plain words."""
    plain = re.sub(r"[^\w ,.:;()/+-]", " ", text.splitlines()[0] if text.strip() else "", flags=re.ASCII)
    plain = " ".join(plain.split())[:80].rstrip(" .")
    return f"{plain}." if plain else "Say here what it does."
