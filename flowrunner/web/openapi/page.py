"""``/docs``: the OpenAPI description as a page for people, without scripts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from markupsafe import Markup

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { margin-top: 2rem; text-transform: capitalize; }
nav a { margin-right: .8rem; text-transform: capitalize; }
details { border: 1px solid #8886; border-radius: 8px; margin: .4rem 0; padding: .4rem .7rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary b { display: inline-block; min-width: 4.5rem; font-family: ui-monospace, monospace; }
summary code { font-weight: 600; } s code { font-weight: 400; }
code, pre { font-family: ui-monospace, monospace; font-size: .88rem; }
pre { overflow: auto; max-height: 24rem; border: 1px solid #8886; border-radius: 6px; padding: .5rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0; }
"""


def build_page(document: Mapping[str, Any]) -> str:
    """Return an OpenAPI description as an HTML page; what it says stands in it as text."""
    by_tag: dict[str, list[Markup]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                shown = _operation(document, path, method, operations[method])
                by_tag.setdefault(operations[method]["tags"][0], []).append(shown)
    links = Markup("").join(Markup('<a href="#{0}">{0}</a>').format(tag) for tag in by_tag)
    parts = Markup("").join(
        Markup('<h2 id="{0}">{0}</h2>{1}').format(tag, Markup("").join(shown)) for tag, shown in by_tag.items()
    )
    info = document["info"]
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        "<body><main><h1>{title} {version}: API</h1><p>{about}</p>"
        '<p>The same for programs: <a href="openapi.json">openapi.json</a>. A key goes into the header'
        " <code>x-api-key</code>, or <code>Authorization: Bearer</code>.</p>"
        '<nav aria-label="Resources">{links}</nav>{parts}</main></body></html>\n'
    ).format(
        title=info["title"],
        version=info["version"],
        about=info.get("description", ""),
        style=Markup(_STYLE),
        links=links,
        parts=parts,
    )


def style_digest() -> str:
    """Return the source by which a Content-Security-Policy allows the style of the page, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"


def _operation(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> Markup:
    name = Markup("<s><code>{}</code></s>") if operation.get("deprecated") else Markup("<code>{}</code>")
    parts = [Markup("<p>{}</p>").format(operation["description"])] if operation.get("description") else []
    if not operation["security"]:
        parts.append(Markup("<p>Needs no key.</p>"))
    rows = [_parameter(one) for one in operation["parameters"] if one["name"] != "owner"]
    if rows:
        parts.append(Markup("<table><thead><tr><th>Parameter<th>In<th>Type<th></thead>{}</table>").format(_all(rows)))
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(_schema(f"Body, {kind}", document, content["schema"]))
    for status, answer in operation["responses"].items():
        if status < "300":
            for kind, content in answer.get("content", {}).items():
                parts.append(_schema(f"Answer {status}, {kind}", document, content["schema"]))
    errors = [status for status in operation["responses"] if status >= "400"]
    parts.append(Markup("<p>Errors: {}.</p>").format(", ".join(errors)))
    return Markup('<details id="{id}"><summary><b>{method}</b> {name} {summary}</summary>{parts}</details>').format(
        id=operation["operationId"],
        method=method.upper(),
        name=name.format(path),
        summary=operation["summary"],
        parts=_all(parts),
    )


def _parameter(one: Mapping[str, Any]) -> Markup:
    name = f"{one['name']} (required)" if one["required"] else one["name"]
    return Markup("<tr><td><code>{}</code><td>{}<td>{}<td>{}</tr>").format(
        name, one["in"], _type_of(one["schema"]), one.get("description", "")
    )


def _schema(heading: str, document: Mapping[str, Any], schema: Mapping[str, Any]) -> Markup:
    shown = json.dumps(_resolved(document, schema, ()), indent=2, ensure_ascii=False)
    return Markup("<p>{}</p><pre>{}</pre>").format(heading, shown)


def _resolved(document: Mapping[str, Any], schema: Any, seen: tuple[str, ...]) -> Any:
    """Return a schema with what it refers to in its place; what refers to itself keeps its name there."""
    if isinstance(schema, list):
        return [_resolved(document, item, seen) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference in seen:
            return reference.rpartition("/")[2]
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        return _resolved(document, found, (*seen, reference))
    return {key: _resolved(document, value, seen) for key, value in schema.items()}


def _type_of(schema: Mapping[str, Any]) -> str:
    return " or ".join(dict.fromkeys(_types_in(schema)))


def _types_in(schema: Mapping[str, Any]) -> Iterator[str]:
    if "enum" in schema:
        yield ", ".join(str(value) for value in schema["enum"] if value != "")
        return
    kind = schema.get("type", "")
    yield from [kind] if isinstance(kind, str) else (one for one in kind if one != "null")


def _all(parts: list[Markup]) -> Markup:
    return Markup("").join(parts)
