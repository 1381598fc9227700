"""Writing a package of a plugin from its templates."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Final

from flowrunner.errors import BadRequest

_TEMPLATES: Final = Path(__file__).parent / "memory"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: Final = 40


def write_memory_package(name: str, folder: Path) -> list[Path]:
    """Write a package with a memory backend that works, its tests and its README.

    :param name: name of the backend, as ``FLOWRUNNER_MEMORY`` will say it.
    :param folder: where; it must be empty, or not be there yet.
    :returns: the files.
    :raises BadRequest: for a name that is none, or a folder with something in it.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise BadRequest(
            f"A backend is named in small letters and digits with hyphens between them, such as my-store, not {name!r}."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadRequest(f"{folder} is there already; name another folder with --dir.")
    words = {
        "name": name,
        "package": f"flowrunner_{name.replace('-', '_')}",
        "class_name": f"{name.title().replace('-', '')}Memory",
        "setting": f"{name.upper().replace('-', '_')}_DIR",
        "attribute": f"{name.replace('-', '_')}_dir",
    }
    written = []
    for template in sorted(_TEMPLATES.rglob("*.tmpl")):
        place = template.relative_to(_TEMPLATES).with_suffix("").as_posix().replace("PACKAGE", words["package"])
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(template.read_text("utf-8")).substitute(words), "utf-8")
        written.append(path)
    return written
