"""What the package is made of: sizes of files and functions, docstrings, comments, and imports between modules.

    python benchmarks/house.py [FOLDER ...]

Each figure is of the Python files below the folders (``flowrunner`` and ``plugins`` unless others are named);
migrations are left out. Imports are those that are executed when a module is loaded: neither those inside functions nor
those for type checkers. The depth is the number of modules in the longest chain of them; modules that import each other
in a circle count as one step, and are listed.
"""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def files_below(folders: Iterable[Path]) -> list[Path]:
    """Return the Python files below some folders."""
    found = {path for folder in folders for path in folder.rglob("*.py") if "migrations" not in path.parts}
    return sorted(path for path in found if ".venv" not in path.parts)


def functions_of(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    """Yield the functions of a module, and whether others may call each: it and all that it stands in are public."""

    def walk(node: ast.AST, public: bool) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield child, public and not child.name.startswith("_")
                yield from walk(child, False)
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, public and not child.name.startswith("_"))
            else:
                yield from walk(child, public)

    return walk(tree, True)


def comment_lines(text: str) -> int:
    """Return how many lines hold nothing but a comment."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(t.type == tokenize.COMMENT and t.line.lstrip().startswith("#") for t in tokens)


def module_name(path: Path, roots: Iterable[Path]) -> str:
    """Return the name by which a file is imported."""
    for root in roots:
        if path.is_relative_to(root):
            parts = path.relative_to(root).with_suffix("").parts
            return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return path.stem


def loaded_imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that are executed when a module is loaded."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


def imports_between(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Return which modules each one imports of those that are given."""
    found: dict[str, set[str]] = {name: set() for name in trees}
    for name, tree in trees.items():
        for node in loaded_imports(tree):
            if isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            else:
                base = node.module or ""
                wanted = [f"{base}.{a.name}" if f"{base}.{a.name}" in trees else base for a in node.names]
            found[name].update(one for one in wanted if one in trees and one != name)
    return found


def depth_of(imports: dict[str, set[str]]) -> tuple[list[str], list[list[str]]]:
    """Return the longest chain of imports, and the circles that were cut to find it."""
    graph, circles = {name: set(others) for name, others in imports.items()}, []
    while True:
        try:
            order = list(TopologicalSorter(graph).static_order())
            break
        except CycleError as error:
            circle = error.args[1]
            circles.append(circle)
            # graphlib tells a circle as predecessors, each of which the next one imports.
            graph[circle[1]].discard(circle[0])
    longest: dict[str, list[str]] = {}
    for name in order:
        below = max((longest[other] for other in graph[name]), key=len, default=[])
        longest[name] = [name, *below]
    return max(longest.values(), key=len), circles


def main(folders: list[Path]) -> None:
    """Measure and print."""
    paths = files_below(folders)
    texts = {path: path.read_text("utf-8") for path in paths}
    parsed = {path: ast.parse(text) for path, text in texts.items()}
    sizes = sorted((len(text.splitlines()), path) for path, text in texts.items())
    functions = [(found, public) for tree in parsed.values() for found, public in functions_of(tree)]
    lengths = sorted(found.end_lineno - found.lineno + 1 for found, _ in functions)
    public = [found for found, is_public in functions if is_public]
    documented = sum(ast.get_docstring(found) is not None for found in public)
    lines = sum(size for size, _ in sizes)
    largest = sizes[-1]
    print(f"files {len(paths)}, lines {lines}")
    print(
        f"file: median {statistics.median(size for size, _ in sizes):.0f},"
        f" largest {largest[0]} ({largest[1].relative_to(ROOT) if largest[1].is_relative_to(ROOT) else largest[1]})"
    )
    ninth = lengths[int(len(lengths) * 0.9)]
    print(f"function: median {statistics.median(lengths):.0f}, p90 {ninth}, longest {lengths[-1]}")
    print(f"public functions with a docstring: {documented / len(public):.0%} of {len(public)}")
    print(f"lines of comment: {sum(map(comment_lines, texts.values())) / lines:.1%}")
    print(f"signatures and lists kept by hand (fmt: skip): {sum(text.count('# fmt: skip') for text in texts.values())}")
    roots = [ROOT / "plugins", ROOT, *(folder.parent for folder in folders)]
    trees = {module_name(path, roots): tree for path, tree in parsed.items()}
    imports = imports_between(trees)
    chain, circles = depth_of(imports)
    hall = [path for path in paths if path.parent == ROOT / "flowrunner" and path.name != "__init__.py"]
    if hall:
        print(f"modules in the hall: {len(hall)}")
    print(
        f"imports between modules: {sum(map(len, imports.values()))}, {len(chain)} levels deep, circles {len(circles)}"
    )
    for circle in circles:
        print("    circle: " + " imports ".join(reversed(circle)))
    print("    " + "\n    ".join(chain))


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]] or [ROOT / "flowrunner", ROOT / "plugins"])
