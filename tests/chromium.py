"""Debian's Chromium as the browser of the tests: the headless shell, or the whole browser where only that is there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: The shell is the same engine without windows, address bar and profile: a page costs a third.
_PROGRAM = shutil.which("chromium-headless-shell") or shutil.which("chromium")

# With each window the whole browser loads two hidden pages of its own, of two hundred modules each, for suggestions at
# its address bar. The rest of the list is what Playwright would have named: the last list counts.
_WITHOUT = (
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(_WITHOUT)}",
]


@contextmanager
def start_browser(*, seconds: float) -> Iterator[Browser]:
    """Start the browser; what is expected of a page may take that long.

    A test that needs it is skipped where Playwright or Chromium is not there.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    if _PROGRAM is None:
        pytest.skip("Chromium is not there (Debian: apt install chromium-headless-shell)")
    playwright.expect.set_options(timeout=seconds * 1000)
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=_PROGRAM, args=_ARGUMENTS)
        yield started
        started.close()
