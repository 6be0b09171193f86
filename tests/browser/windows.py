"""Browser windows that go from test to test: a new one costs a second, a cleaned one nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from playwright.sync_api import Browser, Error, Page, ViewportSize


@dataclass(frozen=True, slots=True)
class Kind:
    """What of a window cannot be changed later."""

    locale: str
    scripts: bool


class Windows:
    """Each window has cookies and a cache of its own, as if it were another person's browser. It
    comes back without cookies; the product keeps nothing else in a browser."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._idle: dict[Kind, list[Page]] = {}
        self._in_use: dict[Page, Kind | None] = {}

    def open(
        self,
        *,
        viewport: ViewportSize,
        color_scheme: Literal["light", "dark"] = "light",
        locale: str = "en-GB",
        java_script_enabled: bool = True,
        once: bool = False,
    ) -> Page:
        """An empty page of that size and theme."""
        kind = Kind(locale, java_script_enabled)
        idle = self._idle.setdefault(kind, [])
        if idle and not once:
            page = idle.pop()
        else:
            context = self.browser.new_context(
                locale=locale, java_script_enabled=java_script_enabled
            )
            page = context.new_page()
        self._in_use[page] = None if once else kind
        page.set_viewport_size(viewport)
        page.emulate_media(
            media="null",
            color_scheme=color_scheme,
            reduced_motion="null",
            forced_colors="null",
            contrast="null",
        )
        return page

    def give_back(self, page: Page) -> None:
        """Clean it for the next test, or close it for good."""
        kind = self._in_use.pop(page)
        context = page.context
        if kind is None or not _cleaned(page):
            context.close()
            return
        self._idle[kind].append(page)

    def close(self) -> None:
        for context in self.browser.contexts:
            context.close()


def _cleaned(page: Page) -> bool:
    """Whether it is as new; not after a test that broke it."""
    context = page.context
    try:
        for other in context.pages:
            if other != page:
                other.close()
        context.set_offline(False)
        page.goto("about:blank", timeout=5_000)
        context.clear_cookies()
    except Error:
        return False
    return True
