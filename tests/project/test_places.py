"""One finds the tests of a module by its name: ``flowrunner/web/traces.py`` has ``tests/web/test_traces.py``.

Where the name differs, or one file tests several modules, a row of :data:`ELSEWHERE` says which.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from tests.project.pages import ROOT

#: Modules with fewer lines in their functions need no test file of their own.
_SMALL = 40

#: The folder of the tests of a plugin.
_FOLDERS = {
    "flowrunner_components": "components",
    "flowrunner_models": "models",
    "flowrunner_retrieval": "retrieval",
}

#: Modules, by path or pattern, that are tested in a file of another name. The first row that fits counts.
ELSEWHERE = {
    "flowrunner/addresses.py": "tests/models/test_fetching.py",
    "flowrunner/outgoing.py": "tests/models/test_server_addresses.py",
    "flowrunner/declarations.py": "tests/authors/test_declarations.py",
    "flowrunner/shares.py": "tests/authority/test_shares.py",
    "flowrunner/registry.py": "tests/authors/test_plugins.py",
    "flowrunner/extension.py": "tests/embedding/test_mounting.py",
    "flowrunner/runner.py": "tests/engine/test_run.py",
    "flowrunner/serving.py": "tests/serve/test_gunicorn.py",
    "flowrunner/settings/*": "tests/serve/test_refusals.py",
    "flowrunner/cli/backup.py": "tests/store/test_backup.py",
    "flowrunner/cli/check.py": "tests/flows/test_cli.py",
    "flowrunner/cli/context.py": "tests/maintenance/test_commands.py",
    "flowrunner/cli/give.py": "tests/maintenance/test_giving.py",
    "flowrunner/cli/gunicorn_app.py": "tests/serve/test_serve.py",
    "flowrunner/cli/importing.py": "tests/langflow/test_import.py",
    "flowrunner/cli/ingest.py": "tests/retrieval/test_ingest.py",
    "flowrunner/cli/keys.py": "tests/store/test_commands.py",
    "flowrunner/cli/memory.py": "tests/maintenance/test_commands.py",
    "flowrunner/cli/owners.py": "tests/cli/test_conversations.py",
    "flowrunner/cli/placeholders.py": "tests/cli/test_run.py",
    "flowrunner/cli/preflight.py": "tests/serve/test_refusals.py",
    "flowrunner/cli/reply.py": "tests/cli/test_chat.py",
    "flowrunner/cli/runs.py": "tests/cli/test_conversations.py",
    "flowrunner/cli/test.py": "tests/embedding/test_conversations.py",
    "flowrunner/doctor/*": "tests/doctor/test_environments.py",
    "flowrunner/engine/cycles.py": "tests/engine/test_branches.py",
    "flowrunner/engine/explain.py": "tests/cli/test_run.py",
    "flowrunner/engine/inputs.py": "tests/engine/test_run.py",
    "flowrunner/engine/outputs.py": "tests/authors/test_answers.py",
    "flowrunner/engine/plan.py": "tests/engine/test_run.py",
    "flowrunner/engine/provenance.py": "tests/engine/test_address_walk.py",
    "flowrunner/engine/result.py": "tests/engine/test_run.py",
    "flowrunner/engine/run_memory.py": "tests/engine/test_run.py",
    "flowrunner/engine/scope.py": "tests/engine/test_branches.py",
    "flowrunner/engine/sessions.py": "tests/engine/test_session_table.py",
    "flowrunner/engine/tokens.py": "tests/streaming/test_lines.py",
    "flowrunner/engine/tools.py": "tests/engine/test_tools_table.py",
    "flowrunner/engine/tweaks.py": "tests/engine/test_run.py",
    "flowrunner/engine/values.py": "tests/engine/test_run.py",
    "flowrunner/engine/vertex.py": "tests/engine/test_run.py",
    "flowrunner/flows/native_edges.py": "tests/flows/test_native.py",
    "flowrunner/flows/parsing.py": "tests/flows/test_hostile.py",
    "flowrunner/flows/ports.py": "tests/flows/test_check.py",
    "flowrunner/integrations/identity.py": "tests/embedding/test_identity.py",
    "flowrunner/integrations/langchain*.py": "tests/conversations/test_langchain.py",
    "flowrunner/langflow/*": "tests/langflow/test_import.py",
    "flowrunner/memory/backend.py": "tests/memory/test_kit_has_teeth.py",
    "flowrunner/memory/conversations.py": "tests/conversations/test_functions.py",
    "flowrunner/memory/ownership.py": "tests/maintenance/test_giving.py",
    "flowrunner/memory/message.py": "tests/conversations/test_functions.py",
    "flowrunner/memory/paging.py": "tests/memory/test_page_sizes.py",
    "flowrunner/memory/purge_timer.py": "tests/maintenance/test_timer.py",
    "flowrunner/memory/purging.py": "tests/maintenance/test_retention.py",
    "flowrunner/memory/query.py": "tests/memory/test_plain.py",
    "flowrunner/memory/records.py": "tests/maintenance/test_transfer.py",
    "flowrunner/memory/retention.py": "tests/maintenance/test_retention.py",
    "flowrunner/memory/transfer.py": "tests/maintenance/test_transfer.py",
    "flowrunner/playground/formulas.py": "tests/playground/test_markdown.py",
    "flowrunner/playground/layout.py": "tests/playground/test_drawing.py",
    "flowrunner/plugins/memory_hooks.py": "tests/hooks/test_memory_hooks.py",
    "flowrunner/plugins/tracing.py": "tests/authors/test_plugins.py",
    "flowrunner/plugins/*": "tests/authors/test_plugins.py",
    "flowrunner/runs/grants.py": "tests/components/test_files_and_flows.py",
    "flowrunner/runs/limits.py": "tests/faults/test_limits.py",
    "flowrunner/runs/rates.py": "tests/web/test_limits.py",
    "flowrunner/runs/idempotency.py": "tests/faults/test_once.py",
    "flowrunner/runs/pool.py": "tests/runs/test_fairness.py",
    "flowrunner/runs/entry.py": "tests/engine/test_run.py",
    "flowrunner/runs/dispatcher.py": "tests/faults/test_engines.py",
    "flowrunner/runs/*": "tests/faults/test_accepted.py",
    "flowrunner/scaffold/*": "tests/scaffold/test_new_component.py",
    "flowrunner/site/backup.py": "tests/store/test_backup.py",
    "flowrunner/site/building.py": "tests/embedding/test_opening.py",
    "flowrunner/site/callers.py": "tests/embedding/test_identity.py",
    "flowrunner/site/current.py": "tests/embedding/test_current.py",
    "flowrunner/site/data_folder.py": "tests/serve/test_data_folder.py",
    "flowrunner/site/older_data.py": "tests/serve/test_data_folder.py",
    "flowrunner/site/idempotency.py": "tests/embedding/test_once.py",
    "flowrunner/site/refusals.py": "tests/embedding/test_misuse.py",
    "flowrunner/store/answers.py": "tests/faults/test_once.py",
    "flowrunner/store/bound.py": "tests/authority/test_stores.py",
    "flowrunner/store/credentials.py": "tests/store/test_masking.py",
    "flowrunner/store/file_identity.py": "tests/store/test_outage.py",
    "flowrunner/store/files.py": "tests/web/test_files.py",
    "flowrunner/store/flowmask.py": "tests/authority/test_masked.py",
    "flowrunner/store/flowrecord.py": "tests/web/test_flow_files.py",
    "flowrunner/store/ownership.py": "tests/maintenance/test_giving.py",
    "flowrunner/store/postgres_timeouts.py": "tests/faults/test_stores.py",
    "flowrunner/store/projects.py": "tests/web/test_projects.py",
    "flowrunner/store/run*.py": "tests/store/test_runlog.py",
    "flowrunner/store/secretbox.py": "tests/store/test_sealing.py",
    "flowrunner/store/stream_files.py": "tests/streaming/test_spool.py",
    "flowrunner/store/steps.py": "tests/web/test_steps.py",
    "flowrunner/store/streams.py": "tests/streaming/test_spool.py",
    "flowrunner/store/titles.py": "tests/web/test_titles.py",
    "flowrunner/store/watch.py": "tests/faults/test_stores.py",
    "flowrunner/telemetry/*": "tests/web/test_figures.py",
    "flowrunner/testing/conversations.py": "tests/embedding/test_conversations.py",
    "flowrunner/testing/pytest_plugin.py": "tests/embedding/test_pytest_plugin.py",
    "flowrunner/testing/model_server.py": "tests/models/test_servers.py",
    "flowrunner/testing/validating.py": "tests/memory/test_kit_as_a_tool.py",
    "flowrunner/testing/memory/*": "tests/memory/test_kit_has_teeth.py",
    "flowrunner/testing/vectors/*": "tests/vectors/test_plain.py",
    "flowrunner/text/plain_values.py": "tests/engine/test_tool_values.py",
    "flowrunner/vectors/handle.py": "tests/retrieval/test_stores.py",
    "flowrunner/web/auth.py": "tests/authority/test_wrong_keys.py",
    "flowrunner/web/blueprint.py": "tests/web/test_route.py",
    "flowrunner/web/chatbox.py": "tests/embedding/test_chatbox.py",
    "flowrunner/web/errors.py": "tests/web/test_hygiene.py",
    "flowrunner/web/fields.py": "tests/web/test_route.py",
    "flowrunner/web/flows.py": "tests/store/test_flows.py",
    "flowrunner/web/headers.py": "tests/web/test_hygiene.py",
    "flowrunner/web/input.py": "tests/web/test_route.py",
    "flowrunner/web/json_io.py": "tests/web/test_run_bad_input.py",
    "flowrunner/web/idempotency.py": "tests/faults/test_once.py",
    "flowrunner/web/openapi/*": "tests/web/test_openapi.py",
    "flowrunner/web/response*.py": "tests/streaming/test_clients.py",
    "flowrunner/web/run.py": "tests/web/test_run_bad_input.py",
    "flowrunner/web/run_body.py": "tests/web/test_run_bad_input.py",
    "flowrunner/web/runs.py": "tests/faults/test_reading.py",
    "flowrunner/web/sse.py": "tests/streaming/test_sse.py",
    "flowrunner/web/streams.py": "tests/streaming/test_lines.py",
    "flowrunner/web/spool.py": "tests/streaming/test_spool.py",
    "plugins/flowrunner_components/arithmetic.py": "tests/components/test_calculator.py",
    "plugins/flowrunner_components/create_data.py": "tests/components/test_data.py",
    "plugins/flowrunner_components/data*_operations.py": "tests/components/test_data.py",
    "plugins/flowrunner_components/save_to_file.py": "tests/components/test_files_and_flows.py",
    "plugins/flowrunner_components/sub_flows.py": "tests/components/test_files_and_flows.py",
    "plugins/flowrunner_components/templates.py": "tests/components/test_prompt.py",
    "plugins/flowrunner_components/values.py": "tests/components/test_convert.py",
    "plugins/flowrunner_file_json/*": "tests/memory/test_file_json.py",
    "plugins/flowrunner_in_memory/*": "tests/memory/test_in_memory.py",
    "plugins/flowrunner_sqlite/writer.py": "tests/memory/test_group_commit.py",
    "plugins/flowrunner_sqlite/*": "tests/memory/test_sqlite.py",
    "plugins/flowrunner_models/agent_tools.py": "tests/models/test_agent.py",
    "plugins/flowrunner_models/api_request.py": "tests/models/test_fetching.py",
    "plugins/flowrunner_models/coercion.py": "tests/models/test_structured.py",
    "plugins/flowrunner_models/completions.py": "tests/models/test_wire.py",
    "plugins/flowrunner_models/connections.py": "tests/models/test_servers.py",
    "plugins/flowrunner_models/factory.py": "tests/models/test_model_choice.py",
    "plugins/flowrunner_models/keys.py": "tests/models/test_server_addresses.py",
    "plugins/flowrunner_models/language_model.py": "tests/models/test_servers.py",
    "plugins/flowrunner_models/llm_reading.py": "tests/models/test_llm_model.py",
    "plugins/flowrunner_models/mcp_servers/*": "tests/models/test_mcp.py",
    "plugins/flowrunner_models/openai_model.py": "tests/models/test_servers.py",
    "plugins/flowrunner_models/pages.py": "tests/models/test_fetching.py",
    "plugins/flowrunner_models/provider_*.py": "tests/models/test_tool_calls.py",
    "plugins/flowrunner_models/searching/*": "tests/models/test_searching.py",
    "plugins/flowrunner_models/smart_router.py": "tests/models/test_many_and_routes.py",
    "plugins/flowrunner_models/strict_messages.py": "tests/models/test_conversation.py",
    "plugins/flowrunner_models/structure*.py": "tests/models/test_structured.py",
    "plugins/flowrunner_models/turns.py": "tests/models/test_conversation.py",
    "plugins/flowrunner_models/url.py": "tests/models/test_fetching.py",
    "plugins/flowrunner_retrieval/databases/*": "tests/retrieval/test_sql.py",
    "plugins/flowrunner_retrieval/documents/*": "tests/retrieval/test_documents.py",
    "plugins/flowrunner_retrieval/embeddings/*": "tests/retrieval/test_embeddings.py",
    "plugins/flowrunner_retrieval/local_store/*": "tests/vectors/test_local.py",
    "plugins/flowrunner_retrieval/splitters/*": "tests/retrieval/test_splitters.py",
    "plugins/flowrunner_retrieval/stores/*": "tests/retrieval/test_stores.py",
}


def logic_of(path: Path) -> int:
    """Return how many lines stand in the functions of a module, docstrings left out."""
    return sum(_lines_in(statement) for statement in ast.parse(path.read_text("utf-8")).body)


def _lines_in(statement: ast.stmt) -> int:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        inner = statement.body[ast.get_docstring(statement, clean=False) is not None :]
        return sum((one.end_lineno or one.lineno) - one.lineno + 1 for one in inner)
    # Only statements are looked at, and none in a function: all processes of a run read every module.
    blocks = (getattr(statement, name, ()) for name in ("body", "orelse", "finalbody"))
    return sum(_lines_in(inner) for block in blocks for inner in block)


@cache
def modules() -> list[str]:
    """Return the modules of the package and its plugins that have some logic."""
    found = (path for folder in ("flowrunner", "plugins") for path in (ROOT / folder).rglob("*.py"))
    return sorted(
        path.relative_to(ROOT).as_posix()
        for path in found
        if path.name != "__init__.py" and "migrations" not in path.parts and logic_of(path) > _SMALL
    )


def usual_place(module: str) -> str:
    """Return where the tests of a module are by its name."""
    parts = Path(module).with_suffix("").parts
    folder = _FOLDERS.get(parts[1], parts[1].removeprefix("flowrunner_")) if len(parts) > 2 else ""
    return Path("tests", folder, f"test_{parts[-1]}.py").as_posix()


def place_of(module: str) -> str:
    """Return the test file of a module: by the table, or else by its name."""
    return next((place for pattern, place in ELSEWHERE.items() if fnmatch(module, pattern)), usual_place(module))


@pytest.mark.parametrize("module", modules())
def test_a_module_has_a_test_file(module):
    place = place_of(module)
    assert (ROOT / place).is_file(), (
        f"{module} has no {place}: write it, or add a row to ELSEWHERE in tests/project/test_places.py"
    )


@pytest.mark.parametrize("pattern", ELSEWHERE)
def test_a_row_of_the_table_is_needed(pattern):
    fitting = [module for module in modules() if fnmatch(module, pattern)]
    assert fitting, f"no module fits {pattern}"
    assert [m for m in fitting if not (ROOT / usual_place(m)).is_file()], f"{pattern} has its test by its name"
    first = [m for m in fitting if next(p for p in ELSEWHERE if fnmatch(m, p)) == pattern]
    assert first, f"{pattern} is hidden by a row above it"


def test_the_name_decides():
    assert place_of("flowrunner/web/traces.py") == "tests/web/test_traces.py"
    assert place_of("plugins/flowrunner_models/curl.py") == "tests/models/test_curl.py"
    assert not (ROOT / usual_place("flowrunner/web/no_such_module.py")).exists()
