"""What axe-core finds on a page (design/UI.md §16)."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def findings(page: Page, within: str | None = None) -> list[str]:
    """Each violated rule with the first element it was found on; `within` one part of the page."""
    # Only what is wrong is worked out in full: half the time, and the same findings.
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    results = Axe().run(page, context=within, options=options)
    return [
        f"{found['id']}: {found['nodes'][0]['html'][:160]}"
        for found in results.response["violations"]
    ]
