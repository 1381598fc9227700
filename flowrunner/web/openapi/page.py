"""``/docs``: the OpenAPI description as a page for people, without scripts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import ChainableUndefined, Environment, FileSystemLoader

_FOLDER: Final = Path(__file__).parent
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def build_page(document: Mapping[str, Any]) -> str:
    """Return an OpenAPI description as an HTML page, with all its contents escaped."""
    tags: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                shown = {**operations[method], "path": path, "method": method}
                tags.setdefault(shown["tags"][0], []).append(shown)
    templates = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=ChainableUndefined, trim_blocks=True
    )

    def whole(schema: Any) -> str:
        return json.dumps(_resolved(document, schema, ()), indent=2, ensure_ascii=False)

    templates.filters["types"] = lambda schema: " or ".join(dict.fromkeys(_types_in(schema)))
    templates.filters["whole"] = whole
    return templates.get_template("page.html").render(info=document["info"], tags=tags, style=_style())


def style_digest() -> str:
    """Return the source expression that allows only the style of the page in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()}'"


def _style() -> str:
    return (_FOLDER / "page.css").read_text("utf-8")


def _resolved(document: Mapping[str, Any], schema: Any, seen: tuple[str, ...]) -> Any:
    """Return a schema with references resolved; recursive references are replaced by their names."""
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


def _types_in(schema: Mapping[str, Any]) -> Iterator[str]:
    if "enum" in schema:
        yield ", ".join(str(value) for value in schema["enum"] if value != "")
        return
    kind = schema.get("type", "")
    yield from [kind] if isinstance(kind, str) else (one for one in kind if one != "null")
