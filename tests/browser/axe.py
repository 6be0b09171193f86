"""What axe-core finds on a page (design/UI.md §16)."""

from __future__ import annotations

from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


#: what a theme can violate
COLOURS = ["color-contrast", "link-in-text-block"]

#: milliseconds after which a page that has changed its theme is drawn in it, also on a busy machine
REPAINTED = 1000


def findings(page: Page, within: str | None = None) -> list[str]:
    """Each violated rule with the first element it was found on; `within` one part of the page."""
    return _violations(page, within, {"type": "tag", "values": RULES})


def findings_in(page: Page, theme: Literal["light", "dark"]) -> list[str]:
    """What the colours of the page violate in that theme; the page's own theme is given back."""
    before: Literal["light", "dark"] = "dark" if theme == "light" else "light"
    page.emulate_media(reduced_motion="reduce")  # colours change at once, there and back
    page.emulate_media(color_scheme=theme)
    colours = {"type": "rule", "values": COLOURS}
    found = _violations(page, None, colours)
    if found:  # perhaps of a page that is still changing
        page.wait_for_timeout(REPAINTED)
        found = _violations(page, None, colours)
    page.emulate_media(color_scheme=before)
    page.emulate_media(reduced_motion="null")
    return [f"{theme}, {each}" for each in found]


def _violations(page: Page, within: str | None, only: dict[str, Any]) -> list[str]:
    # Only what is wrong is worked out in full: half the time, and the same findings.
    options = {"runOnly": only, "resultTypes": ["violations"]}
    results = Axe().run(page, context=within, options=options)
    return [
        f"{found['id']}: {found['nodes'][0]['html'][:160]}"
        for found in results.response["violations"]
    ]
