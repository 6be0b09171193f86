"""Pictures of what somebody saw on the way: `var/pictures/<story>-<size>-<number>-<what>.png`."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page

from app.config import ROOT
from tests.browser.conftest import PHONE, Desk

#: each size in the theme that it is mostly seen in
LOOKS: dict[str, dict[str, object]] = {
    "wide": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": PHONE, "color_scheme": "dark"},
}


def folder() -> Path:
    """Where pictures are kept until the next run: TURNKEY_PICTURES, or `var/pictures`."""
    kept = Path(os.environ.get("TURNKEY_PICTURES") or ROOT / "var" / "pictures")
    kept.mkdir(parents=True, exist_ok=True)
    return kept


class Album:
    """The pictures of one story at one size, in the order in which they were taken."""

    def __init__(self, window: Desk, story: str, size: str) -> None:
        self.window = window
        self.name = f"{story}-{size}"
        self.folder = folder()
        self.taken: list[Path] = []
        for old in self.folder.glob(f"{self.name}-*.png"):
            old.unlink()

    def keep(self, what: str) -> None:
        """Take a picture of the whole page, of the screen while something stands over it; a page
        that hangs over the edge fails the story."""
        page = self.window.page
        beyond = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert beyond <= 0, f"{what}: {page.url} hangs over the edge by {beyond}px"
        path = self.folder / f"{self.name}-{len(self.taken) + 1:02}-{what}.png"
        if page.locator("dialog[open], details.menu[open]").count():
            page.screenshot(path=path)
        else:
            whole(page, path)
        self.taken.append(path)


def whole(page: Page, path: Path) -> None:
    """A picture of the page in a window as high as the page, so that its bars stand at its ends."""
    size = page.viewport_size
    assert size is not None
    page.evaluate("window.scrollTo(0, 0)")
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
    page.screenshot(path=path)
    page.set_viewport_size(size)
