"""The table of settings, read once per app from configuration, environment and defaults."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowrunner.errors import SettingsInvalid, is_interrupt, reason_of
from flowrunner.memory.retention import read_rules
from flowrunner.session import SESSION_POLICIES
from flowrunner.text.budget import MOST_TEXT

logger = logging.getLogger("flowrunner")

PREFIX: Final = "FLOWRUNNER_"


def text(value: Any) -> str:
    """Take any text."""
    return str(value)


def path(value: Any) -> Path:
    """Take the path of a file or folder; ``~`` is the home folder."""
    return Path(value).expanduser().absolute()


def boolean(value: Any) -> bool:
    """Take true/false, yes/no, on/off, 1/0.

    :raises ValueError: for anything else.
    """
    if isinstance(value, bool):
        return value
    found = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    word = str(value).strip().lower()
    if word not in found:
        raise ValueError("want true or false")
    return found[word]


def words(value: Any) -> tuple[str, ...]:
    """Take a list, or words with commas between them; a path is one word.

    :raises ValueError: for anything else.
    """
    if isinstance(value, os.PathLike):
        value = [value]
    if isinstance(value, bytes) or not (isinstance(value, str) or hasattr(value, "__iter__")):
        raise ValueError("want a list, or words with commas between them")
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(str(part).strip() for part in parts if str(part).strip())


def integer(low: int, high: int | None = None) -> Callable[[Any], int]:
    """Take a whole number within bounds."""

    def parse(value: Any) -> int:
        if isinstance(value, bool):
            raise ValueError("want a whole number")
        number = int(value)
        if number < low or (high is not None and number > high):
            raise ValueError(f"want a whole number from {low}" + (f" to {high}" if high is not None else ""))
        return number

    return parse


def seconds(value: Any) -> float:
    """Take a number of seconds, 0 or more.

    :raises ValueError: for a negative number or no number.
    """
    number = float(value)
    if not 0 <= number < float("inf"):
        raise ValueError("want a number of seconds, 0 or more")
    return number


#: A window is no longer than what databases count in seconds.
_RATE: Final = re.compile(
    r"[1-9]\d{0,8} *(?:/|per) *(?:[1-9]\d{0,5} *)?(?:second|minute|hour|day|month|year)s?", re.ASCII
)


def rates(value: Any) -> tuple[str, ...]:
    """Take how often something may happen, such as ``10/second; 600/hour``: all of these hold.

    :raises ValueError: for anything else.
    """
    if isinstance(value, (list, tuple)):
        value = ";".join(map(str, value))
    found = tuple(part.strip().lower() for part in re.split(r"[;,|]", str(value)) if part.strip())
    for part in found:
        if not _RATE.fullmatch(part):
            raise ValueError("want a number and a time, such as 60/minute, with ; between several")
    return found


def limits_store(value: Any) -> str:
    """Take where limits are counted: ``database``, ``memory``, or the URL of a Redis server.

    :raises ValueError: for anything else.
    """
    kinds = ("redis://", "rediss://", "redis+unix://", "redis+sentinel://", "redis+cluster://")
    if value not in ("database", "memory") and not str(value).startswith(kinds):
        raise ValueError("want database, memory, or the URL of a Redis server, redis://...")
    return str(value)


def choice(*options: str) -> Callable[[Any], str]:
    """Take one of the named words."""

    def parse(value: Any) -> str:
        if value not in options:
            raise ValueError(f"want one of {', '.join(options)}")
        return str(value)

    return parse


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name without the prefix, its default, what it is for, and how it is read.

    ``parse`` takes the configured value or the text of the environment variable and raises
    ``ValueError`` or ``TypeError`` with a reason. ``secret`` values are never shown.
    """

    name: str
    default: Any
    help: str
    parse: Callable[[Any], Any] = text
    secret: bool = False


#: Environment variables in which providers' keys are kept; what flows may read where nothing else is set.
KEY_VARIABLES: Final = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GROQ_API_KEY",
    "GOOGLE_API_KEY",
    "MISTRAL_API_KEY",
    "COHERE_API_KEY",
    "OPENROUTER_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "NVIDIA_API_KEY",
    "PERPLEXITY_API_KEY",
    "HUGGINGFACEHUB_API_TOKEN",
    "SAMBANOVA_API_KEY",
    "NOVITA_API_KEY",
    "GEMINI_API_KEY",
    "DEEPSEEK_API_KEY",
    "XAI_API_KEY",
    "PPLX_API_KEY",
    "HF_TOKEN",
    "AIML_API_KEY",
    "MARITALK_API_KEY",
    "COMETAPI_KEY",
    "QIANFAN_API_KEY",
    "WATSONX_APIKEY",
    "WATSONX_API_KEY",
)

#: Parts of the API that are not needed to talk.
API_PARTS: Final = ("flows", "variables", "files", "keys", "monitor", "webhook", "openapi")


def api_parts(value: Any) -> tuple[str, ...]:
    """Take names of parts of the API; ``all`` or True stands for every one, ``none`` or False for none.

    :raises ValueError: for a part that is not there.
    """
    if isinstance(value, bool) or value in ("all", "none"):
        return API_PARTS if value in (True, "all") else ()
    found = words(value)
    unknown = [name for name in found if name not in API_PARTS]
    if unknown:
        raise ValueError(f"there is no part {unknown[0]}; want all, none, or some of {', '.join(API_PARTS)}")
    return found


#: The core's own settings. Plugins add theirs.
SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        "DATA_DIR",
        None,
        "folder for the database, uploads, locks and keys; default: the user's folder for data of"
        " programs, in a site the instance folder",
        path,
    ),
    Setting("FLOWS_DIR", (), "folders of flow files, commas between them; changes are seen without restart", words),
    Setting("PLUGINS_DIR", None, "a folder of plain Python files or packages, each a plugin", path),
    Setting("PLUGINS_BLOCKED", (), "names of plugins that are found but not loaded", words),
    Setting(
        "TRACE_PLUGINS", False, "print each call of a hook on standard error: whom it called, what came back", boolean
    ),
    Setting("MEMORY", "sqlite", "name of the memory backend"),
    Setting("VECTOR_STORE", "local", "name of the vector store, where all components of vector stores keep chunks"),
    Setting(
        "MEMORY_RETENTION", (), "which messages are kept, as in session=guest-* age=7d newest=100; age=365d", read_rules
    ),
    Setting("MEMORY_PURGE_EVERY", 0.0, "seconds between purges by these rules while the server runs; 0: none", seconds),
    Setting(
        "DATABASE_URL",
        None,
        "SQLAlchemy URL of the app's own data; default: a SQLite file in the data folder",
        secret=True,
    ),
    Setting(
        "DATABASE_TIMEOUT",
        30.0,
        "seconds that a database on a server (PostgreSQL) may take to answer a statement; 0: as long as it wants",
        seconds,
    ),
    Setting(
        "AUTH",
        "key",
        "key: every request needs an API key; none: everybody on this machine is the local user, and"
        " nobody else is answered",
        choice("key", "none"),
    ),
    Setting(
        "API",
        None,
        "parts of the API besides what talking needs: all, none, or some of flows, variables, files,"
        " keys, monitor, webhook, openapi; default: all, but none when mounted in a site",
        api_parts,
    ),
    Setting("KEY_IN_QUERY", False, "accept the API key as the query parameter x-api-key too", boolean),
    Setting(
        "TRUSTED_HOSTS",
        (),
        "host names that requests may name; default: any, but without keys only those of this machine",
        words,
    ),
    Setting("CORS_ORIGINS", (), "origins whose pages may call the API; default: none", words),
    Setting(
        "SESSION_POLICY",
        "flow_id",
        "session of a run that names none: flow_id, generate or require",
        choice(*SESSION_POLICIES),
    ),
    Setting(
        "TURNS",
        "queue",
        "runs of one session at a time: queue, reject (409) or parallel",
        choice("queue", "reject", "parallel"),
    ),
    Setting("TURN_WAIT", 30.0, "seconds that a run waits for its turn before 409", seconds),
    Setting("RUN_TIMEOUT", 300.0, "seconds that a run may take; 0: as long as it wants", seconds),
    Setting(
        "COMPONENT_TIMEOUT",
        0.0,
        "seconds that a component that waits (network, model) may take; 0: as long as the run",
        seconds,
    ),
    Setting("CANCEL_WHEN_LEFT", True, "cancel a plain run whose client has left", boolean),
    Setting(
        "STOP_WAIT", 20.0, "seconds that runs have to end when the server stops, before they are cancelled", seconds
    ),
    Setting(
        "MAX_RUNS",
        128,
        "runs at a time in one process; more wait for TURN_WAIT, callers in turn, then 503",
        integer(1, 10000),
    ),
    Setting("POOL_SIZE", 128, "threads for components that wait, for streams and webhooks", integer(1, 1000)),
    Setting(
        "ENGINE",
        "pool",
        "name of the engine that begins webhooks and background runs: pool (the threads of the"
        " servers), celery, procrastinate",
    ),
    Setting(
        "MAX_RUNS_PER_USER",
        None,
        "runs at a time of one user, or of all nameless visitors from one address, in"
        " one process, then 429; default: half of MAX_RUNS for those whom a site knows, MAX_RUNS for API keys",
        integer(1, 10000),
    ),
    Setting(
        "RATE_PER_KEY",
        (),
        "runs that one API key, one user of a site, or all nameless visitors from one address"
        " may ask for, such as 10/second; 600/hour, over all processes and hosts, then 429 (extra [limits])",
        rates,
    ),
    Setting("RATE_PER_SESSION", (), "runs that may be asked for in one session that requests name; likewise", rates),
    Setting("RATE_PER_FLOW", (), "runs of one flow that may be asked for; likewise", rates),
    Setting(
        "RATE_PER_ADDRESS",
        (),
        "runs that clients of one address may ask for; of IPv6 one network (/64); likewise",
        rates,
    ),
    Setting(
        "LIMITS_STORE",
        "database",
        "where rates are counted: database (the app's own), the URL of a Redis server,"
        " or memory (each process by itself)",
        limits_store,
        secret=True,
    ),
    Setting(
        "RUNS_PER_KEY",
        0,
        "runs at a time of one API key, one user, or all nameless visitors from one address,"
        " over all processes and hosts, then 429; 0: any number",
        integer(0, 1_000_000),
    ),
    Setting(
        "RUNS_PER_SESSION",
        0,
        "runs at a time in one session that requests name, waiting ones too; likewise",
        integer(0, 1_000_000),
    ),
    Setting("RUNS_PER_FLOW", 0, "runs at a time of one flow; likewise", integer(0, 1_000_000)),
    Setting("RUNS_PER_ADDRESS", 0, "runs at a time for clients of one address; likewise", integer(0, 1_000_000)),
    Setting(
        "MAX_WRONG_KEYS",
        30,
        "wrong API keys of one address in a minute, in one process, then 429; right ones are"
        " taken all the same; 0: any number",
        integer(0, 1_000_000),
    ),
    Setting(
        "TRUSTED_PROXIES",
        0,
        "proxies in front of a server of its own that add the address and the scheme they"
        " were asked by to X-Forwarded-For and X-Forwarded-Proto, and may name the path that they have taken off in"
        " X-Forwarded-Prefix; 0: these headers are not believed",
        integer(0, 10),
    ),
    Setting("MAX_BODY", 64 * 1024 * 1024, "bytes of a request body", integer(1)),
    Setting(
        "UNKNOWN",
        "leave-out",
        "components of a type that no plugin offers, where a flow answers without them:"
        " leave-out runs the rest and says so in its answer, refuse runs nothing",
        choice("leave-out", "refuse"),
    ),
    Setting("MAX_VERTICES", 5000, "vertices of a flow", integer(1)),
    Setting("MAX_TEXT", MOST_TEXT, "characters that one component of a run may make", integer(1000)),
    Setting(
        "MAX_INPUT",
        0,
        "characters of the input, tweaks and variables of one run together, then 422; 0: as many as MAX_BODY lets in",
        integer(0),
    ),
    Setting("MAX_TWEAKS", 10_000, "fields that the tweaks of one run may name", integer(0)),
    Setting("ENVELOPE", "1.13", "shape of run answers: 1.13 or 1.0", choice("1.13", "1.0")),
    Setting("RESUME_SECONDS", 30.0, "seconds that a run goes on after its SSE stream was cut", seconds),
    Setting("HEARTBEAT", 10.0, "seconds between heartbeats of an SSE stream", seconds),
    Setting(
        "IDEMPOTENCY_SECONDS",
        24 * 3600.0,
        "seconds that the answer to a request with an Idempotency-Key is kept; 0: such keys are not looked at",
        seconds,
    ),
    Setting(
        "RESULT_SECONDS",
        24 * 3600.0,
        "seconds that the result of a background run or webhook is kept; 0: it is not",
        seconds,
    ),
    Setting("MAX_ANSWER", 1024 * 1024, "bytes of an answer or result that is kept; larger ones are not", integer(1)),
    Setting("RUN_LOG", True, "keep builds, transactions and runs", boolean),
    Setting("RUN_LOG_PER_VERTEX", 50, "build records kept per vertex", integer(1)),
    Setting("RUN_LOG_TOTAL", 3000, "build records kept in all", integer(1)),
    Setting("LOG_FORMAT", "text", "text or json", choice("text", "json")),
    Setting("LOG_LEVEL", "INFO", "least level that is logged", choice("DEBUG", "INFO", "WARNING", "ERROR")),
    Setting("ACCESS_LOG", False, "log a line per request, without queries, headers and bodies", boolean),
    Setting("VARIABLES", KEY_VARIABLES, "names of environment variables that flows may read", words),
    Setting(
        "SECRET_KEY",
        None,
        "key that encrypts stored variables; default: made once, kept in the data folder",
        secret=True,
    ),
    Setting(
        "ALLOW_PRIVATE_ADDRESSES",
        (),
        "hosts or networks that fetching components may reach though they are private; all: every one",
        words,
    ),
    Setting("PLAYGROUND", False, "serve the page at /playground", boolean),
    Setting("MAX_FILE_SIZE", 32 * 1024 * 1024, "bytes of an uploaded file", integer(1)),
    Setting(
        "FILES_IN_DATABASE",
        None,
        "bytes up to which an uploaded file is kept in the database, where all hosts"
        " find it; default: 8388608 on PostgreSQL, 0 on SQLite",
        integer(0),
    ),
    Setting(
        "FILES_DIR", None, "folder of the other uploaded files, which hosts share; default: in the data folder", path
    ),
    Setting("MAX_FILES", 1000, "uploaded files of one owner", integer(1)),
    Setting("MAX_FILES_SIZE", 1024 * 1024 * 1024, "bytes of all uploaded files of one owner", integer(1)),
    Setting(
        "MAX_VISITOR_FILES",
        1000,
        "uploaded files of all nameless visitors together; those from one address may add a tenth of it in an hour",
        integer(1),
    ),
    Setting("MAX_VISITOR_FILES_SIZE", 1024 * 1024 * 1024, "bytes of these files; likewise", integer(1)),
    Setting("MAX_FLOWS", 1000, "stored flows of one owner", integer(1)),
    Setting("MAX_FLOWS_SIZE", 512 * 1024 * 1024, "bytes of all stored flows of one owner", integer(1)),
    Setting("MAX_VARIABLES", 1000, "variables of one owner", integer(1)),
    Setting("MAX_KEYS", 1000, "API keys of one owner", integer(1)),
    Setting("METRICS", False, "serve /metrics (extra [metrics])", boolean),
    Setting("TRACING", False, "OpenTelemetry spans (extra [otel])", boolean),
    Setting("BIND", "127.0.0.1:7860", "address and port of flowrunner serve and of gunicorn with our configuration"),
    Setting(
        "WORKERS",
        None,
        "processes of flowrunner serve and of gunicorn with our configuration; default: 1 and 2",
        integer(1, 256),
    ),
    Setting("THREADS", 128, "threads of each of these processes", integer(1, 10000)),
)


class Settings:
    """The settings of one runner, read once.

    ``settings.data_dir`` is the value of ``FLOWRUNNER_DATA_DIR``; a name that nobody declared
    raises AttributeError. ``sources`` says where each value came from.
    """

    def __init__(self, values: Mapping[str, Any], sources: Mapping[str, str], prefix: str) -> None:
        self._values = dict(values)
        vars(self).update({name.lower(): value for name, value in values.items()})
        self.sources = dict(sources)
        self.prefix = prefix

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __contains__(self, name: str) -> bool:
        return name.upper() in self._values

    def with_values(self, **values: Any) -> Settings:
        """Return a copy with some values replaced, by lower-case name."""
        return Settings({**self._values, **{k.upper(): v for k, v in values.items()}}, self.sources, self.prefix)


def read_settings(
    table: Iterable[Setting],
    *,
    config: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    prefix: str = PREFIX,
) -> Settings:
    """Read settings, the first that is given: command line, configuration, arguments, environment, default.

    :param table: what is declared, the core's and the plugins'.
    :param config: an app's configuration.
    :param overrides: what the command line gives, by name without prefix.
    :param defaults: arguments of the extension, by name without prefix.
    :raises SettingsInvalid: for a value that cannot be used, naming the setting.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in table:
        full = prefix + setting.name
        if overrides and overrides.get(setting.name) is not None:
            raw, source = overrides[setting.name], "command line"
        elif config.get(full) is not None:
            raw, source = config[full], "configuration"
        elif defaults and defaults.get(setting.name) is not None:
            raw, source = defaults[setting.name], "argument"
        elif environ.get(full, "") != "":
            raw, source = environ[full], "environment"
        else:
            values[setting.name], sources[setting.name] = setting.default, "default"
            continue
        try:
            values[setting.name] = setting.parse(raw)
        except BaseException as error:
            if is_interrupt(error):
                raise
            shown = "" if setting.secret else f" {raw!r}"
            raise SettingsInvalid(f"{full}{shown} cannot be used: {_why(error)}.") from error
        sources[setting.name] = source
    return Settings(values, sources, prefix)


def _why(error: BaseException) -> str:
    """Return the reason of a ``parse``; what it did not raise on purpose has its name."""
    return str(error).rstrip(".") if isinstance(error, (ValueError, TypeError)) else reason_of(error)


def refuse_unknown(table: Iterable[Setting], overrides: Mapping[str, Any]) -> None:
    """Refuse settings given in code that nobody declares.

    :param overrides: by name without prefix.
    :raises SettingsInvalid: with the nearest name that is known.
    """
    known = [setting.name for setting in table]
    for name in overrides:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0].lower()}?" if near else "."
            raise SettingsInvalid(f"{name.lower()} is no setting that flowrunner or a plugin knows{hint}")


def warn_about_unknown(
    table: Iterable[Setting],
    *,
    config: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    prefix: str = PREFIX,
) -> list[str]:
    """Warn about names with our prefix that nobody declares, with the nearest known one.

    :returns: the sentences, which are logged too.
    """
    environ = os.environ if environ is None else environ
    known = [prefix + setting.name for setting in table]
    sentences = []
    for name in sorted({*config, *environ}):
        if isinstance(name, str) and name.startswith(prefix) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            sentences.append(f"{name} is no setting that flowrunner or a plugin knows{hint}")
    for sentence in sentences:
        logger.warning("%s", sentence)
    return sentences
