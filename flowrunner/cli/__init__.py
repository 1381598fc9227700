"""The command ``flowrunner``."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

from flowrunner.cli.output import end_without_reader, end_without_room, open_missing_streams, say
from flowrunner.cli.progress import INTERRUPTED
from flowrunner.cli.suggestions import SuggestingGroup
from flowrunner.errors import FlowRunnerError, StoreFailed

#: Commands by name, and where each lies; a command is imported when it is used.
COMMANDS: Final = {
    "backup": "flowrunner.cli.backup:backup_command",
    "chat": "flowrunner.cli.chat:chat_command",
    "check": "flowrunner.cli.check:check_command",
    "check-config": "flowrunner.cli.check_config:check_config_command",
    "collections": "flowrunner.cli.collections:collections_commands",
    "convert": "flowrunner.cli.check:convert_command",
    "data": "flowrunner.cli.data:data_commands",
    "db": "flowrunner.cli.db:db_commands",
    "doctor": "flowrunner.cli.doctor:doctor_command",
    "explain": "flowrunner.cli.explain:explain_command",
    "import": "flowrunner.cli.importing:import_commands",
    "ingest": "flowrunner.cli.ingest:ingest_command",
    "keys": "flowrunner.cli.keys:keys_commands",
    "memory": "flowrunner.cli.memory:memory_commands",
    "messages": "flowrunner.cli.messages:messages_commands",
    "new": "flowrunner.cli.new:new_commands",
    "plugins": "flowrunner.cli.plugins:plugins_command",
    "restore": "flowrunner.cli.backup:restore_command",
    "run": "flowrunner.cli.run:run_command",
    "runs": "flowrunner.cli.runs:runs_commands",
    "serve": "flowrunner.cli.serve:serve_command",
    "sessions": "flowrunner.cli.sessions:sessions_commands",
    "test": "flowrunner.cli.test:test_command",
}


class LazyGroup(SuggestingGroup):
    """A group whose commands are imported when they are used, so that each starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None for an unknown name."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="flask-flowrunner", prog_name="flowrunner")
def cli() -> None:
    """Run component graphs inside Flask, with pluggable conversation memory."""


def main() -> None:
    """Run the command line; a known error prints one sentence and exits with status 1.

    Ctrl-C ends it with status 130, and a reader of its output that leaves with 141, as shells have it.
    """
    open_missing_streams()
    try:
        status = cli.main(standalone_mode=False)
        _flush()
    except FlowRunnerError as error:
        say(f"flowrunner: {_told(error)}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        end_without_reader()
    sys.exit(status if isinstance(status, int) else 0)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        end_without_room(error)


def _told(error: FlowRunnerError) -> str:
    """Return what went wrong, for the operator: of a database that fails, also where it is and what to do."""
    from flowrunner.store.outage import outage_of, told_by

    outage = outage_of(error) if error.status == StoreFailed.status else None
    return error.sentence if outage is None else f"{error.message} ({told_by(error)}) {outage.remedy}"
