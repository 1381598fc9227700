"""Write a plugin package from templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from flowrunner.errors import BadRequest

_HERE: Final = Path(__file__).parent
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: Final = 40


def write_memory_package(name: str, folder: Path) -> list[Path]:
    """Write a package with a memory backend that works, its tests and its README.

    :param name: name of the backend, as ``FLOWRUNNER_MEMORY`` will say it.
    :param folder: where; it must be empty, or not be there yet.
    :returns: the files.
    :raises BadRequest: for a name that is none, or a folder with something in it.
    """
    _refuse_name(name, "A backend", "my-store")
    return _write(
        "memory",
        folder,
        {
            "name": name,
            "package": package_of(name),
            "class_name": f"{_camel(name)}Memory",
            "setting": f"{name.upper().replace('-', '_')}_DIR",
            "attribute": f"{name.replace('-', '_')}_dir",
        },
    )


def write_plugin_package(name: str, folder: Path) -> list[Path]:
    """Write a package with a component, a hook, their tests and a README.

    :param name: name of the plugin, as its entry point will say it.
    :param folder: where; it must be empty, or not be there yet.
    :returns: the files.
    :raises BadRequest: for a name that is none, or a folder with something in it.
    """
    _refuse_name(name, "A plugin", "my-plugin")
    names = {"name": name, "package": package_of(name), "class_name": f"{_camel(name)}Component"}
    return _write("plugin", folder, {**names, "type_name": _camel(name)})


def package_of(name: str) -> str:
    """Return the name of the Python package of a plugin."""
    return f"flowrunner_{name.replace('-', '_')}"


def _camel(name: str) -> str:
    return name.title().replace("-", "")


def _refuse_name(name: str, what: str, example: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise BadRequest(
            f"{what} must be named in lower-case letters and digits separated by hyphens, such as {example}, not"
            f" {name!r}."
        )


def _write(kind: str, folder: Path, words: Mapping[str, str]) -> list[Path]:
    """Write the templates of a kind into a folder, with words in place of their names."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadRequest(f"{folder} already exists; choose another folder with --dir.")
    written = []
    for template in sorted((_HERE / kind).rglob("*.tmpl")):
        place = template.relative_to(_HERE / kind).with_suffix("").as_posix().replace("PACKAGE", words["package"])
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(template.read_text("utf-8")).substitute(words), "utf-8")
        written.append(path)
    return written
