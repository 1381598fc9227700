"""``flowrunner memory validate``: the kit for memory backends, as a command."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from flowrunner.cli.output import say
from flowrunner.errors import BadRequest


@click.command("validate")
@click.argument("target", metavar="FILE|MODULE:FUNCTION")
@click.option("--only", multiple=True, metavar="GROUP", help="Only this group of tests; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def validate_command(target: str, only: tuple[str, ...], as_json: bool) -> None:
    """Test a memory backend against the contract, in temporary folders; exit with status 1 if it fails.

    FILE has classes of tests (FILE::CLASS means one of them), with their fixtures.
    MODULE:FUNCTION, or FILE:FUNCTION, is a function that opens the backend on a folder.
    """
    try:
        import pytest  # noqa: F401

        from flowrunner.testing.validating import validate, validate_file
    except ImportError as error:
        raise BadRequest(
            f"The kit needs the extra [testing]: pip install 'flask-flowrunner[testing]' ({error})."
        ) from None
    place, colon, name = target.rpartition(":")
    if colon and not place.endswith(":"):
        report = _refuse_mistakes(lambda: validate(_function(place, name), only=only))
    else:
        file = Path(target.partition("::")[0])
        if not file.is_file():
            raise BadRequest(f"There is no file {file}; give a file with tests, or MODULE:FUNCTION.")
        if only:
            raise BadRequest("--only works with MODULE:FUNCTION; for a file, name the class: FILE::CLASS.")
        report = validate_file(target)
    say(json.dumps(report.to_record(), indent=2, ensure_ascii=False) if as_json else report.text(), nl=as_json)
    if not report.passed:
        raise SystemExit(1)


def _function(place: str, name: str) -> Callable[[Path], Any]:
    """Return the function that opens the backend."""
    file = Path(place)
    if file.suffix == ".py":
        sys.path.insert(0, str(file.resolve().parent))
        place = file.stem
    else:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(place), name, None)
    except ImportError as error:
        raise BadRequest(f"{place} cannot be imported: {error}.") from error
    if not callable(found):
        raise BadRequest(f"{place} has no function {name}.")
    function: Callable[[Path], Any] = found
    return function


def _refuse_mistakes(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except ValueError as error:
        raise BadRequest(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
