"""Command groups that suggest the nearest name for an unknown command."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click


class SuggestingGroup(click.Group):
    """A group that answers an unknown command with the nearest ones."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with.

        :raises click.UsageError: for an unknown one, with those that are near.
        """
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = did_you_mean(args[0], self.list_commands(ctx)) if args and not ctx.resilient_parsing else ""
            if hint:
                raise click.UsageError(f"{error.message.rstrip('.')}; {hint}", ctx) from None
            raise


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean a or b?`` for the names that are near a word; empty where none is."""
    near = difflib.get_close_matches(word, list(known), n=3)
    return f"did you mean {' or '.join(near)}?" if near else ""


def with_hint(what: str, name: str, known: Iterable[str]) -> str:
    """Return a sentence about a name that nothing has, with the names that are near it."""
    hint = did_you_mean(name, known)
    return f"{what}; {hint}" if hint else f"{what}."
