"""``flowrunner check`` and ``flowrunner convert``: check and convert flow files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import click

from flowrunner.cli.flowfiles import files_near, files_of, is_something_else
from flowrunner.cli.output import say
from flowrunner.cli.progress import progress
from flowrunner.cli.suggestions import with_hint
from flowrunner.errors import FlowInvalid, FlowRunnerError, is_interrupt, reason_of
from flowrunner.flows import findings as codes
from flowrunner.flows.check import check_flow
from flowrunner.flows.convert import Conversion, convert_flow
from flowrunner.flows.model import Finding
from flowrunner.flows.naming import endpoint_name_from
from flowrunner.flows.parsing import Limits
from flowrunner.flows.reading import Part, read_parts
from flowrunner.registry import Registry
from flowrunner.settings.setting import Settings
from flowrunner.text.printable import printable

#: Names that one line lists.
_MOST_FIELDS: Final = 12

_plugins_dir = click.option(
    "--plugins-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="FLOWRUNNER_PLUGINS_DIR",
    help="Folder of plugins.",
)


@click.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list with one report per flow.")
@_plugins_dir
def check_command(files: tuple[Path, ...], as_json: bool, plugins_dir: Path | None) -> None:
    """Check flow FILES, or all flow files in folders and the folders in them.

    Exit status 1 if a flow cannot be read or cannot be run, or if there is none. JSON files of
    another kind in folders are passed over.
    """
    registry, settings = _load_components(plugins_dir)
    reports: list[dict[str, Any]] = []
    passed: list[Path] = []
    found = list(files_of(files))
    with progress("files", len(found)) as shown:
        for path, in_folder in found:
            if in_folder and is_something_else(path):
                passed.append(path)
            else:
                one = report_file(path, registry, settings)
                reports += one
                if not as_json:
                    shown.clear()
                    for report in one:
                        _print_report(report)
            shown.add()
    if as_json:
        say(json.dumps(reports, indent=2))
    if not reports:
        raise FlowInvalid(f"No flow found in {', '.join(map(str, files))}{_more(passed)}.")
    if not as_json:
        _print_summary(reports, passed)
    if any(not report["loads"] or _has_errors(report) for report in reports):
        raise SystemExit(1)


@click.command("convert")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write, or a folder for several flows.")
@click.option("--exact", is_flag=True, help="Keep everything, so that the content hash does not change.")
@click.option("--positions", is_flag=True, help="Keep the positions of components on the canvas.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@_plugins_dir
def convert_command(
    file: Path, output: Path | None, exact: bool, positions: bool, force: bool, plugins_dir: Path | None
) -> None:
    """Convert the flow in FILE to the native form. What cannot be expressed is reported on standard error."""
    registry, _ = _load_components(plugins_dir)
    done: list[tuple[str, Conversion]] = []
    for part in _read(file):
        if part.flow is None:
            raise part.error or FlowInvalid(f"{file} does not contain a flow.")
        made = convert_flow(part.flow, registry, exact=exact, positions=positions)
        done.append((part.flow.endpoint_name or endpoint_name_from(part.flow.name) or part.flow.id, made))
        for note in made.notes:
            say(printable(f"{part.flow.name}: {note}"), err=True)
    if output is not None:
        _write(_targets(done, output), file, force)
    elif len(done) == 1:
        say(done[0][1].text, nl=False)
    else:
        raise FlowInvalid(f"The file contains {len(done)} flows; choose an output folder with -o.")


def report_file(path: Path, registry: Registry, settings: Settings | None = None) -> list[dict[str, Any]]:
    """Return a report for each flow of a file; whatever is wrong with it is a finding."""
    return [_report(path, part, registry, settings) for part in _read(path)]


def _read(path: Path) -> list[Part]:
    limits = Limits()
    try:
        if not path.is_file():
            raise FlowInvalid(with_hint(f"{path} is no file", str(path), files_near(path)))
        with path.open("rb") as opened:
            data = opened.read(limits.max_bytes + 1)
    except OSError as error:
        return [Part(path.stem, {}, error=FlowInvalid(f"The file cannot be read: {error.strerror or error}."))]
    except (ValueError, FlowRunnerError) as error:
        return [Part(path.stem, {}, error=FlowInvalid(str(error)))]
    parts = read_parts(data, name_hint=path.stem, endpoint_hint=path.stem, limits=limits)
    return parts or [Part(path.stem, {}, error=FlowInvalid("The file does not contain a flow."))]


def _report(path: Path, part: Part, registry: Registry, settings: Settings | None) -> dict[str, Any]:
    flow = part.flow
    if flow is None:
        message = part.error.message if part.error is not None else "The file does not contain a flow."
        found = [Finding(codes.UNREADABLE, message, level="error")]
        name = part.raw.get("name")
        shown = name if isinstance(name, str) and name else part.label
        return {"file": str(path), "name": shown, "loads": False, "findings": [f.to_json() for f in found]}
    try:
        found = check_flow(flow, registry, settings)
    except BaseException as error:
        if is_interrupt(error):
            raise
        # A plugin's component may stumble over settings that it never expected; the report goes on.
        message = f"The flow could not be checked: {type(error).__name__}: {reason_of(error)}."
        found = [*flow.findings, Finding(codes.REFUSED, message, level="error")]
    return {
        "file": str(path),
        "name": flow.name,
        "id": flow.id,
        "endpoint_name": flow.endpoint_name,
        "loads": True,
        "findings": [finding.to_json() for finding in found],
    }


def _load_components(plugins_dir: Path | None) -> tuple[Registry, Settings]:
    """Return what the plugins offer, loaded as for a run, and the settings.

    Plugins that fail are told, and the rest is used.

    :raises FlowRunnerError: for what would keep a run from starting, such as a setting that a plugin may not declare.
    """
    from flowrunner.site.building import load_plugins

    plugins, settings = load_plugins({}, overrides={"PLUGINS_DIR": plugins_dir}, keep_going=True)
    for record in plugins.records:
        if record.state == "failed":
            say(printable(f"The plugin {record.name} cannot be loaded: {record.why()}."), err=True)
    return plugins.registry, settings


def _has_errors(report: dict[str, Any]) -> bool:
    return any(finding["level"] == "error" for finding in report["findings"])


def _print_report(report: dict[str, Any]) -> None:
    state = "cannot be read" if not report["loads"] else "cannot run" if _has_errors(report) else "can run"
    say(printable(f"{report['file']}: {report['name']} {state}."))
    for finding in report["findings"]:
        say(printable(f"  {finding['level']} {finding['code']}: {finding['message']}"))
        if "needs" in finding:
            say(printable(f"    {_shown_needs(finding['type'], finding['needs'])}"))


def _shown_needs(name: str, needs: dict[str, Any]) -> str:
    """Return what a component of a plugin would have to offer, so that this flow can use it."""
    fed = [one["name"] for one in needs["inputs"]]
    told = [one["name"] for one in needs["fields"] if one["name"] not in fed]
    parts = [("inputs", fed), ("settings", told[:_MOST_FIELDS]), ("outputs", [one["name"] for one in needs["outputs"]])]
    shown = "; ".join(f"{word} {', '.join(names)}" for word, names in parts if any(names))
    more = f" and {len(told) - _MOST_FIELDS} settings more (--json)" if len(told) > _MOST_FIELDS else ""
    return f"needs a plugin with a component {name}: {shown or 'no inputs'}{more}; flowrunner new component {name}"


def _print_summary(reports: list[dict[str, Any]], passed: list[Path]) -> None:
    files = {report["file"] for report in reports}
    wrong = sum(not report["loads"] for report in reports)
    cannot = sum(report["loads"] and _has_errors(report) for report in reports)
    warned = sum(any(f["level"] == "warning" for f in report["findings"]) for report in reports)
    counts = [(len(reports) - wrong - cannot, "can run"), (cannot, "cannot run"), (wrong, "cannot be read")]
    told = ", ".join(f"{count} {what}" for count, what in counts if count)
    with_warnings = f"; {warned} with warnings" if warned else ""
    say(f"{_count(len(reports), 'flow')} in {_count(len(files), 'file')}: {told}{with_warnings}{_more(passed)}.")
    lacking = Counter(f["type"] for report in reports for f in report["findings"] if "needs" in f)
    if lacking:
        names = ", ".join(f"{name} ({count})" for name, count in lacking.most_common(_MOST_FIELDS))
        more = f" and {len(lacking) - _MOST_FIELDS} more" if len(lacking) > _MOST_FIELDS else ""
        say(printable(f"No plugin offers {names}{more}."))


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _more(passed: list[Path]) -> str:
    return f" ({_count(len(passed), 'JSON file')} of another kind)" if passed else ""


def _targets(done: list[tuple[str, Conversion]], output: Path) -> dict[Path, str]:
    """Return the texts by the files to write."""
    if len(done) == 1 and not output.is_dir():
        return {output: done[0][1].text}
    targets: dict[Path, str] = {}
    taken: set[str] = set()
    for name, made in done:
        stem, number = name, 2
        while stem.lower() in taken:
            stem, number = f"{name}-{number}", number + 1
        taken.add(stem.lower())
        targets[output / f"{stem}.json"] = made.text
    return targets


def _write(targets: dict[Path, str], source: Path, force: bool) -> None:
    """Write texts to their files; where one must not be replaced, none is written.

    :raises FlowInvalid: naming the file that is in the way or cannot be written.
    """
    path = source
    try:
        for path in filter(Path.is_file, targets):
            if path.samefile(source):
                raise FlowInvalid(f"{path} is the input file; choose another output file with -o.")
            if not force:
                raise FlowInvalid(f"{path} already exists; use --force to overwrite it.")
        for path, text in targets.items():
            if len(targets) > 1:
                path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FlowInvalid(f"{path} cannot be written: {error.strerror or error}.") from error
