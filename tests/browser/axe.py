"""What axe-core finds on a page (design/UI.md §16)."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def findings(page: Page) -> list[str]:
    """Each violated rule with the first element it was found on."""
    # Only what is wrong is worked out in full: half the time, and the same findings.
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    results = Axe().run(page, options=options)
    return [
        f"{found['id']}: {found['nodes'][0]['html'][:160]}"
        for found in results.response["violations"]
    ]
