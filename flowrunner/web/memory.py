"""The memory API: where conversations are kept, how many there are, and what the retention rules would remove."""

from __future__ import annotations

import time
from typing import Any, Final

from flowrunner.authority import ADMIN_OR_LOCAL, CONVERSE, Capability, may, sees_graphs
from flowrunner.errors import BadRequest
from flowrunner.identity import is_local
from flowrunner.memory.purging import preview_purge, purge
from flowrunner.memory.retention import RetentionRule, read_rules
from flowrunner.memory.sizes import disk_size, size_of
from flowrunner.runner import Runner
from flowrunner.web.access import messages_to_read
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.fields import Text
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.schemas import Body, answer, member

#: The maximum number of sessions per answer, and its time limit in seconds.
MOST_LOOKED_AT: Final = 500
MOST_SECONDS: Final = 2.0
#: Characters of rules at most.
MOST_OF_RULES: Final = 10_000

routes = RouteGroup("messages")


#: The memory backend; its place and what it takes on disk are for an admin.
Backend: Final = answer(
    "Backend",
    name=str,
    durable=member(bool, "Messages are kept when the process ends."),
    shared=member(bool, "Other processes see the same messages."),
    searches=member(bool, "Text search uses an index."),
    locks=member(bool, "Runs of a session take turns across hosts."),
    place=str | None,
    bytes=int | None,
    bytes_more=bool,
)

#: How long messages are kept, and how many seconds lie between two purges; null where none are made.
Retention: Final = answer("Retention", rules=[str], every=float | None)
#: What the caller may see of the memory. With `more` there are more sessions and messages than were counted.
MemoryFacts: Final = answer(
    "MemoryFacts",
    sessions=int,
    messages=int,
    more=bool,
    every_owner=bool,
    backend=Backend | None,
    retention=Retention | None,
)


class PreviewAsked(Body):
    """Rules to preview, as in FLOWRUNNER_MEMORY_RETENTION (default: those of the server), and where to continue."""

    rules = Text(load_default=None, allow_none=True)
    after_session = Text(load_default=None, allow_none=True)
    after_owner = Text(load_default=None, allow_none=True)


#: What one rule would remove.
RulePreview: Final = answer("RulePreview", rule=str, messages=int, sessions=int)

#: What rules would remove of the sessions that were looked at. ``after_session`` and ``after_owner`` say where the next
#: request goes on, null at the end. With ``more`` it is more than this: a session was too long to be looked at to its
#: end.
PurgePreview: Final = answer(
    "PurgePreview",
    rules=[RulePreview],
    looked_at=int | None,
    more=bool,
    after_session=str | None,
    after_owner=str | None,
)


@routes.get("/api/v1/memory", needs=CONVERSE, answers={200: MemoryFacts})
def describe_memory() -> dict[str, Any]:
    """Show the numbers of the caller's sessions and messages, and how they are stored.

    At most a thousand sessions are counted. Authors also see the backend, and admins its location and the retention
    rules.
    """
    runner, identity = this_runner(), caller()
    memory = messages_to_read()
    size = size_of(memory)
    settings = runner.settings
    rules = [str(rule) for rule in settings.memory_retention or ()]
    operates = is_local(identity) or may(identity, Capability.ADMIN, change=False)
    return {
        "sessions": size.sessions,
        "messages": size.messages,
        "more": size.more,
        "every_owner": not isinstance(memory.owner, str),
        "backend": _backend(runner, operates=operates) if operates or sees_graphs(identity) else None,
        "retention": {"rules": rules, "every": (rules and settings.memory_purge_every) or None} if operates else None,
    }


@routes.post(
    "/api/v1/memory/purge/preview",
    needs=ADMIN_OR_LOCAL.that_reads,
    body=PreviewAsked,
    body_required=False,
    answers={200: PurgePreview},
)
def preview_memory_purge(body: Input) -> dict[str, Any]:
    """Show what retention rules would remove; nothing is removed.

    Each answer covers a part of the sessions, latest activity first, and says where the next request continues. Rules
    with a total are evaluated for all sessions at once, and refused if that takes too long.
    """
    runner = this_runner()
    rules = _rules(runner, body["rules"])
    late, names = time.monotonic() + MOST_SECONDS, runner.flow_names()

    def stopped() -> bool:
        return time.monotonic() > late

    last, looked_at, more = None, None, False
    if any(rule.total is not None for rule in rules):
        purged = purge(runner.memory, rules, dry_run=True, flow_names=names, stopped=stopped)
        if stopped():
            raise BadRequest(
                "A rule with total= covers all sessions, and there are too many to evaluate within one request: run"
                " flowrunner memory purge --dry-run instead."
            )
    else:
        after = None if body["after_session"] is None else (body["after_owner"] or "", body["after_session"])
        found = preview_purge(runner.memory, rules, after=after, most=MOST_LOOKED_AT, flow_names=names, stopped=stopped)
        purged, last, looked_at, more = found.purged, found.last, found.sessions, found.cut
    return {
        "rules": [{"rule": str(one.rule), "messages": one.messages, "sessions": one.sessions} for one in purged],
        "looked_at": looked_at,
        "more": more,
        "after_session": last.session_id if last else None,
        "after_owner": last.owner if last else None,
    }


def _rules(runner: Runner, given: str | None) -> tuple[RetentionRule, ...]:
    """Return the rules to preview.

    :raises BadRequest: if the rules are invalid, or there are none.
    """
    if given is None or not given.strip():
        rules = tuple(runner.settings.memory_retention or ())
    elif len(given) > MOST_OF_RULES:
        raise BadRequest(f"The rules may have at most {MOST_OF_RULES} characters.")
    else:
        try:
            rules = read_rules(given)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"The retention rules are not valid: {error}.") from None
    if not rules:
        raise BadRequest("There are no retention rules: set FLOWRUNNER_MEMORY_RETENTION, or send rules.")
    return rules


def _backend(runner: Runner, *, operates: bool) -> dict[str, Any]:
    memory = runner.memory
    backend = memory.backend
    size = disk_size(backend.place) if operates else None
    return {
        "name": memory.name,
        "durable": backend.durable,
        "shared": backend.shared,
        "searches": backend.searches,
        "locks": memory.session_lock is not None,
        "place": (backend.place or None) if operates else None,
        "bytes": size.bytes if size else None,
        "bytes_more": bool(size and size.more),
    }
