"""Read the template of a node in a Langflow export into the settings of a vertex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flowrunner.text.unopened import Unopened

#: The type of fields that hold source code, which is never read.
CODE_TYPE: Final = "code"


@dataclass(slots=True)
class Fields:
    """What a template says, sorted into the members of a :class:`~flowrunner.flows.model.Vertex`."""

    settings: dict[str, Any] = field(default_factory=dict)
    hidden: dict[str, Any] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)
    types: dict[str, str] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)


def read_template(template: Mapping[str, Any]) -> Fields:
    """Read the fields of a template.

    Entries that are not objects (``_type``, ``is_refresh``) and the editor's own (``_frontend…``)
    are left out, and so is everything in fields of type ``code``. A field that the author's form
    does not show is hidden; in a template that says of no field whether it is shown, all are.
    """
    entries = {
        name: entry for name, entry in template.items() if isinstance(entry, Mapping) and not name.startswith("_")
    }
    says_shown = any("show" in entry for entry in entries.values())
    fields = Fields()
    # A field that was encrypted as a whole, and cannot be opened, is still there.
    locked = {name: entry for name, entry in template.items() if type(entry) is Unopened}
    fields.settings.update(locked)
    fields.secrets.update(locked)
    for name, entry in entries.items():
        kind = entry.get("type")
        if kind == CODE_TYPE or name == CODE_TYPE:
            fields.protected.add(name)
            continue
        if isinstance(kind, str) and kind:
            fields.types[name] = kind
        if entry.get("password") is True:
            fields.secrets.add(name)
        value = _value_of(entry)
        if value is None:
            continue
        shown = entry.get("show") is True if says_shown else True
        (fields.settings if shown else fields.hidden)[name] = value
        if entry.get("load_from_db") is True and isinstance(value, str) and value:
            fields.variables.add(name)
    return fields


def _value_of(entry: Mapping[str, Any]) -> Any:
    if entry.get("type") == "file":
        # ``value`` is the name that the author's form showed, ``file_path`` where the file lies.
        return entry.get("file_path") or entry.get("value")
    return entry.get("value")
