"""What people copy is safe as it stands: no secret that everybody knows, nobody who authors unasked, no open port."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = sorted(
    path
    for place in ("examples", "docs", "README.md")
    for path in ([ROOT / place] if place.endswith(".md") else (ROOT / place).rglob("*"))
    if path.suffix in (".py", ".md") and "tests" not in path.relative_to(ROOT).parts
)
#: A secret in the text itself, a debugger, or a server that asks nobody for a key where others reach it.
_TEXT = r"[\"'][^\"']"
_NAME = r"[\"'][A-Z_]*(?:SECRET|PASSWORD|KEY|TOKEN)[A-Z_]*[\"']"
_ALL = r"0\.0\.0\.0"
UNSAFE = {
    "a secret key": re.compile(rf"secret_key[\"'\]]*\s*[=:]\s*{_TEXT}", re.IGNORECASE),
    "a default for a secret": re.compile(rf"environ\.get\({_NAME},\s*{_TEXT}"),
    "a debugger": re.compile(r"debug\s*=\s*True|--debug"),
    "everybody on every address": re.compile(rf"{_ALL}[^\n]*auth[ =]none|auth[ =]none[^\n]*{_ALL}", re.IGNORECASE),
    "a weak hash": re.compile(r"pbkdf2:sha256:\d{1,5}\b|md5|sha1\b"),
}


def test_there_is_something_to_look_at():
    assert len(COPIED) > 30 and ROOT / "examples" / "site_smallest" / "app.py" in COPIED


@pytest.mark.parametrize("kind", UNSAFE)
def test_no_example_shows(kind):
    found = [path for path in COPIED if UNSAFE[kind].search(path.read_text("utf-8"))]
    assert not found, f"{kind} in {[str(path.relative_to(ROOT)) for path in found]}"


@pytest.mark.parametrize("site", ["site_smallest", "site_two_runners", "site_shop"])
def test_the_sites_let_nobody_author(site):
    for path in (path for path in COPIED if path.is_relative_to(ROOT / "examples" / site) and path.suffix == ".py"):
        text = path.read_text("utf-8")
        assert "author=" not in text and "api=" not in text and "playground" not in text, path
