"""Small exports in the style of Langflow, written for these tests."""

import json


def field(value="", kind="str", **more):
    return {"value": value, "type": kind, "show": True, **more}


def node(node_id, kind, template=None, outputs=("message",), **more):
    """Return a node; ``more`` goes into ``data.node``."""
    listed = [{"name": name, "types": ["Message"], "method": f"make_{name}"} for name in outputs]
    inner = {"display_name": f"The {kind}", "template": template or {}, "outputs": listed, **more}
    return {"id": node_id, "type": "genericNode", "position": {"x": 1, "y": 2}, "data": {"type": kind, "node": inner}}


def source_handle(node_id, name="message", types=("Message",), kind="ChatInput"):
    return {"dataType": kind, "id": node_id, "name": name, "output_types": list(types)}


def target_handle(node_id, name="input_value", types=("Message",), kind="str"):
    return {"fieldName": name, "id": node_id, "inputTypes": list(types), "type": kind}


def edge(
    source, target, output="message", field_name="input_value", given=("Message",), wanted=("Message",), kind="str"
):
    start, end = source_handle(source, output, given), target_handle(target, field_name, wanted, kind)
    return {"source": source, "target": target, "data": {"sourceHandle": start, "targetHandle": end}}


def oe(handle, **options):
    """Return a handle as the editor writes it into its strings."""
    return json.dumps(handle, **options).replace('"', "œ")


def export(nodes, edges=(), **more):
    return {"name": "Test flow", **more, "data": {"nodes": list(nodes), "edges": list(edges)}}


def echo(**more):
    nodes = [node("ChatInput-a", "ChatInput", {"input_value": field("hi")}), node("ChatOutput-b", "ChatOutput")]
    return export(nodes, [edge("ChatInput-a", "ChatOutput-b")], **more)


def native(**more):
    flow = {
        "name": "Native test",
        "components": {"in": {"type": "ChatInput"}, "out": {"type": "ChatOutput"}},
        "edges": ["in.message -> out.input_value"],
    }
    return {**flow, **more}
