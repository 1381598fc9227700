"""The memory backend ``file-json``: a folder of readable JSON lines, one file per session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowrunner import Setting, Settings, SettingsInvalid, hookimpl

if TYPE_CHECKING:
    from flowrunner_file_json.backend import FileJson


def _path(value: Any) -> Path:
    return Path(value).expanduser().absolute()


def _open(app: Any, settings: Settings) -> FileJson:
    from flowrunner_file_json.backend import FileJson

    if settings.file_json_dir is not None:
        return FileJson(settings.file_json_dir)
    if settings.data_dir is None:
        raise SettingsInvalid(f"{settings.prefix}FILE_JSON_DIR is not set, and there is no data folder either.")
    return FileJson(Path(settings.data_dir) / "messages")


@hookimpl
def register_memory_backends(register: Callable[..., None]) -> None:
    folder = Setting("FILE_JSON_DIR", None, "folder for conversations; default: messages in the data folder", _path)
    register("file-json", _open, settings=(folder,))
