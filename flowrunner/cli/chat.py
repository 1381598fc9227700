"""``flowrunner chat``: a conversation with a flow in the terminal."""

from __future__ import annotations

import contextlib
import sys
import uuid
from typing import TYPE_CHECKING, Any, Final

import click

from flowrunner.cli.local_flow import open_flow, running_options
from flowrunner.cli.output import say
from flowrunner.errors import FlowRunnerError, RunCancelled
from flowrunner.text.printable import printable

if TYPE_CHECKING:
    from flowrunner.flows.model import Flow
    from flowrunner.runner import Runner

_SHOWN_BEFORE: Final = 6
_HELP: Final = """\
/new             start a new session
/session ID      switch to another session; without ID, show the current one
/history [N]     show the last N messages of this session (20)
/help            show this
/quit            leave; so does Ctrl-D. Ctrl-C stops a reply."""


@click.command("chat")
@click.argument("flow")
@click.option("--session-id", default="", help="Session to continue; default: a new one.")
@running_options
def chat_command(flow: str, session_id: str, **places: Any) -> None:
    """Talk with FLOW (a flow file, an id or an endpoint name) in the terminal.

    The replies appear as they come. /help lists what else can be typed.
    """
    with open_flow(flow, **places) as (runner, found):
        Chat(runner, found, session_id).talk()


class Chat:
    """One person at a terminal, one flow, one session at a time."""

    def __init__(self, runner: Runner, flow: Flow, session_id: str) -> None:
        self._runner = runner
        self._flow = flow
        self._session = session_id or _new_session()
        self._asks = sys.stdin.isatty()

    def talk(self) -> None:
        """Answer line after line, until the input ends."""
        if self._asks:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401 - line editing and the history of what was typed
        say(printable(f"{self._flow.name}, session {self._session}. Type /help for the commands."), err=True)
        self._show_history(_SHOWN_BEFORE)
        while (line := self._read()) is not None:
            text = line.strip()
            if text == "/quit":
                return
            if text.startswith("/"):
                self._obey(text)
            elif text:
                self._answer(line)

    def _read(self) -> str | None:
        """Return the next line, or None at the end; Ctrl-C at the prompt throws away what was typed."""
        while True:
            try:
                if self._asks:
                    return input("> ")
                line = sys.stdin.readline()
                return line.removesuffix("\n") if line else None
            except EOFError:
                say(err=True)
                return None
            except KeyboardInterrupt:
                say("\nCtrl-D leaves.", err=True)

    def _answer(self, text: str) -> None:
        from flowrunner.cli.reply import reply
        from flowrunner.engine.request import RunRequest

        try:
            reply(self._runner, self._flow, RunRequest(input_value=text, session_id=self._session))
        except RunCancelled:
            say("Reply stopped.", err=True)
        except FlowRunnerError as error:
            say(printable(f"flowrunner: {error.sentence}"), err=True)

    def _obey(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        if word == "/new":
            self._session = _new_session()
            say(f"Session {self._session}.", err=True)
        elif word == "/session":
            self._session = rest or self._session
            say(printable(f"Session {self._session}."), err=True)
            if rest:
                self._show_history(_SHOWN_BEFORE)
        elif word == "/history" and (not rest or (rest.isdecimal() and len(rest) < 6)):
            self._show_history(min(int(rest or 20), 1000))
        else:
            say(_HELP, err=True)

    def _show_history(self, count: int) -> None:
        from flowrunner.identity import LOCAL_IDENTITY

        memory = self._runner.memory_of(LOCAL_IDENTITY)
        for message in memory.fetch(session_id=self._session, flow_id=self._flow.id, limit=count):
            say(f"{message.sender_name or message.sender}: {message.text}")


def _new_session() -> str:
    return f"chat-{uuid.uuid4().hex[:8]}"
