"""The table of the core's settings. Plugins add theirs."""

from __future__ import annotations

from typing import Final

from flowrunner.memory.retention import read_rules
from flowrunner.session import SESSION_POLICIES
from flowrunner.settings.setting import Setting
from flowrunner.settings.values import (
    api_parts,
    boolean,
    choice,
    integer,
    limits_store,
    path,
    rates,
    seconds,
    words,
)
from flowrunner.text.budget import MOST_TEXT

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

SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        "DATA_DIR",
        None,
        "folder for the database, uploads, locks and keys; default: the user's data folder, or the"
        " instance folder in a Flask site",
        path,
    ),
    Setting(
        "FLOWS_DIR", (), "folders of flow files, separated by commas; changes are picked up without a restart", words
    ),
    Setting("PLUGINS_DIR", None, "folder of Python files or packages, each loaded as a plugin", path),
    Setting("PLUGINS_BLOCKED", (), "names of plugins not to load", words),
    Setting(
        "TRACE_PLUGINS",
        False,
        "print every hook call to standard error, with the plugin called and what it returned",
        boolean,
    ),
    Setting("MEMORY", "sqlite", "name of the memory backend"),
    Setting("VECTOR_STORE", "local", "name of the vector store used by all vector store components"),
    Setting(
        "MEMORY_RETENTION",
        (),
        "retention rules for messages, such as session=guest-* age=7d newest=100; age=365d",
        read_rules,
    ),
    Setting("MEMORY_PURGE_EVERY", 0.0, "seconds between automatic purges by the retention rules; 0: off", seconds),
    Setting(
        "DATABASE_URL",
        None,
        "SQLAlchemy URL of the app's own data; default: a SQLite file in the data folder",
        secret=True,
    ),
    Setting(
        "DATABASE_TIMEOUT",
        30.0,
        "seconds to wait for a PostgreSQL statement; 0: no limit",
        seconds,
    ),
    Setting(
        "AUTH",
        "key",
        "key: every request needs an API key; none: no keys, requests from this machine only, all as the local user",
        choice("key", "none"),
    ),
    Setting(
        "API",
        None,
        "optional parts of the API to serve: all, none, or some of flows, variables, files,"
        " keys, monitor, webhook, openapi; default: all, but none when mounted in a site",
        api_parts,
    ),
    Setting("KEY_IN_QUERY", False, "accept the API key as the query parameter x-api-key too", boolean),
    Setting(
        "TRUSTED_HOSTS",
        (),
        "host names accepted in the Host header; default: any, or those of this machine if FLOWRUNNER_AUTH is none",
        words,
    ),
    Setting("CORS_ORIGINS", (), "origins allowed to call the API from a browser (CORS); default: none", words),
    Setting(
        "SESSION_POLICY",
        "flow_id",
        "session id of a run that gives none: flow_id, generate or require",
        choice(*SESSION_POLICIES),
    ),
    Setting(
        "TURNS",
        "queue",
        "what happens to a second run of a session: queue, reject (409) or parallel",
        choice("queue", "reject", "parallel"),
    ),
    Setting("TURN_WAIT", 30.0, "seconds a run waits for its session or for a free place before 409 or 503", seconds),
    Setting("RUN_TIMEOUT", 300.0, "time limit of a run in seconds; 0: none", seconds),
    Setting(
        "COMPONENT_TIMEOUT",
        0.0,
        "time limit in seconds of a component that calls a network or a model; 0: that of the run",
        seconds,
    ),
    Setting("CANCEL_WHEN_LEFT", True, "cancel a run, if it is not streamed, when its client disconnects", boolean),
    Setting("STOP_WAIT", 20.0, "seconds runs get to finish when the server stops, before they are cancelled", seconds),
    Setting(
        "MAX_RUNS",
        128,
        "concurrent runs of one process; more wait up to FLOWRUNNER_TURN_WAIT, callers in turn, then 503",
        integer(1, 10000),
    ),
    Setting(
        "POOL_SIZE", 128, "size of the thread pool for blocking components, streams and webhooks", integer(1, 1000)
    ),
    Setting(
        "ENGINE",
        "pool",
        "name of the engine that executes webhooks and background runs: pool (threads of the"
        " server), celery or procrastinate",
    ),
    Setting(
        "MAX_RUNS_PER_USER",
        None,
        "concurrent runs per user, or of all anonymous visitors from one address, in"
        " one process; beyond it 429; default: half of FLOWRUNNER_MAX_RUNS for users of a site,"
        " FLOWRUNNER_MAX_RUNS for API keys",
        integer(1, 10000),
    ),
    Setting(
        "RATE_PER_KEY",
        (),
        "rate of runs per caller (an API key, a user of the site, or all anonymous visitors"
        " from one address), such as 10/second; 600/hour; over all processes and hosts; beyond it 429 (extra [limits])",
        rates,
    ),
    Setting("RATE_PER_SESSION", (), "rate of runs per session named by requests, such as 60/minute", rates),
    Setting("RATE_PER_FLOW", (), "rate of runs per flow, such as 60/minute", rates),
    Setting(
        "RATE_PER_ADDRESS",
        (),
        "rate of runs per client address, or IPv6 network (/64), such as 60/minute",
        rates,
    ),
    Setting(
        "LIMITS_STORE",
        "database",
        "where rates are counted: database (the app's own), memory (per process), or the URL of a Redis server",
        limits_store,
        secret=True,
    ),
    Setting(
        "RUNS_PER_KEY",
        0,
        "concurrent runs per caller (an API key, a user of the site, or all anonymous visitors"
        " from one address), over all processes and hosts; beyond it 429; 0: no limit",
        integer(0, 1_000_000),
    ),
    Setting(
        "RUNS_PER_SESSION",
        0,
        "concurrent runs per session named by requests, including those that wait; 0: no limit",
        integer(0, 1_000_000),
    ),
    Setting("RUNS_PER_FLOW", 0, "concurrent runs per flow; 0: no limit", integer(0, 1_000_000)),
    Setting("RUNS_PER_ADDRESS", 0, "concurrent runs per client address; 0: no limit", integer(0, 1_000_000)),
    Setting(
        "MAX_WRONG_KEYS",
        30,
        "wrong API keys accepted from one address per minute and process before 429; valid"
        " keys still work; 0: no limit",
        integer(0, 1_000_000),
    ),
    Setting(
        "TRUSTED_PROXIES",
        0,
        "number of proxies in front of a stand-alone server whose X-Forwarded-For, -Proto"
        " and -Prefix headers are trusted; 0: these headers are ignored",
        integer(0, 10),
    ),
    Setting("MAX_BODY", 64 * 1024 * 1024, "maximum size of a request body in bytes", integer(1)),
    Setting(
        "UNKNOWN",
        "leave-out",
        "what to do about components that no plugin offers: leave-out runs the rest of"
        " the flow, where that gives an answer, and reports them; refuse does not run the flow",
        choice("leave-out", "refuse"),
    ),
    Setting("MAX_VERTICES", 5000, "maximum components of a flow", integer(1)),
    Setting("MAX_TEXT", MOST_TEXT, "maximum characters one component may produce in a run", integer(1000)),
    Setting(
        "MAX_INPUT",
        0,
        "maximum characters of a run's input, tweaks and variables together, else 422; 0: limited by"
        " FLOWRUNNER_MAX_BODY only",
        integer(0),
    ),
    Setting("MAX_TWEAKS", 10_000, "maximum fields set by the tweaks of one run", integer(0)),
    Setting("ENVELOPE", "1.13", "format of run answers: 1.13 or 1.0", choice("1.13", "1.0")),
    Setting("RESUME_SECONDS", 30.0, "seconds a run continues after its SSE stream was interrupted", seconds),
    Setting("HEARTBEAT", 10.0, "seconds between heartbeats of an SSE stream", seconds),
    Setting(
        "IDEMPOTENCY_SECONDS",
        24 * 3600.0,
        "seconds to keep the answer to a request with an Idempotency-Key; 0: ignore the header",
        seconds,
    ),
    Setting(
        "RESULT_SECONDS",
        24 * 3600.0,
        "seconds to keep the result of a background run or webhook; 0: not kept",
        seconds,
    ),
    Setting(
        "MAX_ANSWER",
        1024 * 1024,
        "maximum size in bytes of an answer or result to keep; larger ones are not kept",
        integer(1),
    ),
    Setting("RUN_LOG", True, "keep a log of runs, with their builds and transactions", boolean),
    Setting("RUN_LOG_PER_VERTEX", 50, "build records kept per vertex", integer(1)),
    Setting("RUN_LOG_TOTAL", 3000, "build records kept in all", integer(1)),
    Setting("LOG_FORMAT", "text", "format of log lines: text or json", choice("text", "json")),
    Setting("LOG_LEVEL", "INFO", "lowest level to log", choice("DEBUG", "INFO", "WARNING", "ERROR")),
    Setting("ACCESS_LOG", False, "log one line per request, without query, headers or body", boolean),
    Setting("VARIABLES", KEY_VARIABLES, "names of environment variables that flows may read", words),
    Setting(
        "SECRET_KEY",
        None,
        "key that encrypts stored secrets; default: generated once and kept in the data folder",
        secret=True,
    ),
    Setting(
        "ALLOW_PRIVATE_ADDRESSES",
        (),
        "private hosts or networks that components may fetch from; all: any",
        words,
    ),
    Setting("PLAYGROUND", False, "serve the playground at /playground", boolean),
    Setting("MAX_FILE_SIZE", 32 * 1024 * 1024, "maximum size of an uploaded file in bytes", integer(1)),
    Setting(
        "FILES_IN_DATABASE",
        None,
        "uploads of up to this many bytes are stored in the database, where all hosts"
        " find them; default: 8388608 on PostgreSQL, 0 on SQLite",
        integer(0),
    ),
    Setting("FILES_DIR", None, "folder of larger uploads, shared by all hosts; default: in the data folder", path),
    Setting("MAX_FILES", 1000, "maximum uploaded files per owner", integer(1)),
    Setting("MAX_FILES_SIZE", 1024 * 1024 * 1024, "maximum bytes of all uploaded files of one owner", integer(1)),
    Setting(
        "MAX_VISITOR_FILES",
        1000,
        "maximum uploaded files of all anonymous visitors together; one address may add a tenth of that per hour",
        integer(1),
    ),
    Setting(
        "MAX_VISITOR_FILES_SIZE",
        1024 * 1024 * 1024,
        "maximum bytes of these files; one address may add a tenth of that per hour",
        integer(1),
    ),
    Setting("MAX_FLOWS", 1000, "maximum stored flows per owner", integer(1)),
    Setting("MAX_FLOWS_SIZE", 512 * 1024 * 1024, "maximum bytes of all stored flows of one owner", integer(1)),
    Setting("MAX_VARIABLES", 1000, "maximum variables per owner", integer(1)),
    Setting("MAX_KEYS", 1000, "maximum API keys per owner", integer(1)),
    Setting("METRICS", False, "serve /metrics (extra [metrics])", boolean),
    Setting("TRACING", False, "record OpenTelemetry spans (extra [otel])", boolean),
    Setting(
        "BIND",
        "127.0.0.1:7860",
        "address and port that flowrunner serve and gunicorn (with flowrunner.serving) listen on",
    ),
    Setting(
        "WORKERS",
        None,
        "worker processes; default: 1 with flowrunner serve, 2 with gunicorn",
        integer(1, 256),
    ),
    Setting("THREADS", 128, "threads of each worker process", integer(1, 10000)),
)
