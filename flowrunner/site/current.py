"""``current_runner``: the runner in a site's views, tasks and commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask, current_app, has_app_context, has_request_context
from flask import request as flask_request
from werkzeug.local import LocalProxy

from flowrunner.components.cancelling import CancelToken
from flowrunner.engine.events import Emit
from flowrunner.engine.request import RunRequest
from flowrunner.engine.result import RunResult
from flowrunner.errors import NotAllowed
from flowrunner.identity import LOCAL_IDENTITY, Identity
from flowrunner.memory import OwnerMemory
from flowrunner.runner import Runner
from flowrunner.runs.idempotency import Claim
from flowrunner.site.callers import as_identity
from flowrunner.site.idempotency import run_once, site_key, stream_once
from flowrunner.site.text_stream import TextStream
from flowrunner.web.call import Call
from flowrunner.web.mounts import pick_name, runners_of
from flowrunner.web.site_hooks import check_neighbours

Who = Identity | str | int | None


class BoundRunner:
    """A runner bound to an identity: by default, to the sender of the current request.

    :param runner: the runner itself, with its settings, plugins and flows.
    :param identity: the identity; None for the sender of the current request.
    """

    __slots__ = ("_identity", "runner")

    def __init__(self, runner: Runner, identity: Who = None) -> None:
        self.runner = runner
        self._identity = as_identity(identity)

    @property
    def identity(self) -> Identity:
        """The identity that runs and memory belong to.

        :raises NotAllowed: if nobody is logged in, or there is no current request.
        """
        if self._identity is not None:
            return self._identity
        identify = self.runner.identify
        if identify is None and self.runner.settings.auth == "none":
            return LOCAL_IDENTITY
        if not has_request_context():
            raise NotAllowed(
                "There is no current request to take the identity from: pass one, as in"
                " current_runner.run(..., identity='user-7')."
            )
        found = identify(flask_request) if identify is not None else None
        if found is None:
            raise NotAllowed(
                "Nobody is logged in: pass the user to run as with identity=..."
                if identify is not None
                else "FlowRunner was made without identity=: pass the user to run as with identity=..."
            )
        return found

    def acting_as(self, identity: Identity | str | int) -> BoundRunner:
        """Return the same runner bound to another identity."""
        return BoundRunner(self.runner, identity)

    @property
    def memory(self) -> OwnerMemory:
        """The messages of the identity.

        :raises NotAllowed: as in :attr:`identity`.
        """
        return self.runner.memory_of(self.identity)

    def run(
        self,
        flow: str,
        input_value: str | None = None,
        *,
        session_id: str = "",
        tweaks: Mapping[str, Any] | None = None,
        identity: Who = None,
        emit: Emit | None = None,
        cancelled: CancelToken | None = None,
        idempotency_key: str | None = None,
        **request: Any,
    ) -> RunResult:
        """Run a flow and return its result, whose ``text`` is the answer.

        :param flow: the id or endpoint name of the flow.
        :param input_value: the input text.
        :param session_id: the session; empty: decided by the flow.
        :param identity: the identity that runs the flow; default: the sender of the current request.
        :param idempotency_key: calls with the same key share one run and its result. Default: the ``Idempotency-Key``
            of the current request, if there is one; an empty text means none.
        :param request: further members of :class:`~flowrunner.engine.request.RunRequest`.
        :raises NotAllowed: as in :attr:`identity`.
        :raises KeyInFlight: if the run with this key is in progress.
        :raises KeyReused: if the key was used for a different run.
        :raises FlowRunnerError: if the run fails.
        """
        who = as_identity(identity) or self.identity
        asked = RunRequest(input_value=input_value, session_id=session_id, tweaks=dict(tweaks or {}), **request)
        found = self.runner.find(flow, who)
        key = site_key(self.runner, found, asked, who, idempotency_key, "run")
        if key is None:
            return self.runner.execute(found, asked, who, emit=emit, cancelled=cancelled)

        def execute(claim: Claim) -> RunResult:
            return self.runner.execute(
                found,
                asked,
                who,
                emit=claim.watching(emit, again=found.idempotent),
                cancelled=cancelled,
                run_id=claim.run_id,
                parcel=claim,
            )

        return run_once(self.runner, key, found, who, execute)

    def stream(
        self,
        flow: str,
        input_value: str | None = None,
        *,
        session_id: str = "",
        tweaks: Mapping[str, Any] | None = None,
        identity: Who = None,
        idempotency_key: str | None = None,
        **request: Any,
    ) -> Iterator[str]:
        """Run a flow and return an iterator over the parts of its answer, as they are generated, for a ``Response``.

        If the reader stops, the run is cancelled. The arguments are those of :meth:`run`.

        :raises NotAllowed: as in :attr:`identity`.
        :raises FlowRunnerError: if the run cannot start; a later failure is raised by the iterator.
        """
        who = as_identity(identity) or self.identity
        asked = RunRequest(
            input_value=input_value, session_id=session_id, tweaks=dict(tweaks or {}), streaming=True, **request
        )
        found = self.runner.find(flow, who)
        key = site_key(self.runner, found, asked, who, idempotency_key, "stream")
        # In a view, a client may disconnect while no text is generated, which must be noticed too.
        environ = flask_request.environ if has_request_context() else {}
        call = Call(self.runner, found, asked, who, environ, "stream")
        return TextStream(call).pieces() if key is None else stream_once(call, key)


def get_runner(name: str | None = None, *, app: Flask | None = None) -> BoundRunner:
    """Return a runner of an app.

    :param name: the name of the runner; None for the one that answers the current request, the only one, or the one
        with the default name.
    :param app: the app; None for the current one.
    :raises RuntimeError: outside an app context, if no app is given.
    :raises SettingsInvalid: if there is no such runner, or several and no name is given; or if the site uses our
        SQLite file as its own.
    """
    if app is None:
        if not has_app_context():
            raise RuntimeError(
                "Working outside of application context: use current_runner in a view, or in 'with app.app_context():'."
            )
        app = current_app._get_current_object()  # type: ignore[attr-defined]
    runner = runners_of(app)[pick_name(app, name)]
    check_neighbours(app, runner)
    return BoundRunner(runner)


#: The runner of the current app, bound to the sender of the current request.
current_runner: BoundRunner = LocalProxy(get_runner)  # type: ignore[assignment]


def memory_of_sender() -> OwnerMemory | None:
    """Return the messages of the sender of the current request, for code that was not passed a memory.

    Returns None outside an app context.

    :raises NotAllowed: as in :attr:`BoundRunner.identity`.
    """
    return get_runner().memory if has_app_context() else None
