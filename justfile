# The daily commands; `just --list` shows them.

# Create the environment.
install:
    python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'

# Run some tests in one process: just test tests/web
test *paths:
    .venv/bin/pytest -n 0 {{paths}}

# Run all tests, as CI does.
suite:
    .venv/bin/pytest

# Lint, format and types.
check:
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/mypy

# Update the tables of docs/api.md and docs/cli.md from the code.
tables:
    .venv/bin/python -m tests.project.tables

# Serve the example flows.
serve:
    .venv/bin/flowrunner serve examples/flows
