"""A person with a keyboard and no mouse: every stop is seen, and nothing lies over it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

#: where the focus is: whether it is what was looked for, and what is wrong with how it shows
STOP = """(wanted) => {
    const e = document.activeElement;
    if (!e || e === document.body) return {there: false, name: "", wrong: ""};
    const style = getComputedStyle(e), box = e.getBoundingClientRect();
    const plain = e.matches("#main, h1, h2, h3");
    const near = [e, e.parentElement, e.closest("label, .find, .field")].filter(Boolean);
    const ring = near.some((n) => {
        const s = getComputedStyle(n);
        return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
    });
    const x = box.left + Math.min(box.width, innerWidth) / 2, y = box.top + box.height / 2;
    const on = document.elementFromPoint(x, y);
    const inside = x >= 0 && x <= innerWidth && y >= 0 && y <= innerHeight;
    const labels = [...(e.labels || [])];
    const top = on && (e.contains(on) || on.contains(e) || labels.some((l) => l.contains(on)));
    const hidden = !inside ? "outside the window" : !top ? `under ${on?.outerHTML}` : "";
    const wrong = plain ? "" : !ring ? "no ring" : hidden;
    const name = (e.id ? `#${e.id}` : e.outerHTML.slice(0, 90));
    return {there: e.matches(wanted), name, wrong};
}"""


class Keys:
    """Tab, Enter, Escape and letters; `faults` is every stop that could not be seen."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        self.page.keyboard.type(text)

    def stop(self, wanted: str = "*") -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate(STOP, wanted)
        if found["wrong"]:
            where = self.page.url.split("/", 3)[3]
            self.faults.append(f"{where} {found['name']}: {found['wrong']}")
        return found

    def to(self, wanted: str, key: str = "Tab", most: int = 140) -> None:
        """On to the next stop that is `wanted` (a CSS selector), looking at each on the way."""
        for _ in range(most):
            self.press(key)
            if self.stop(wanted)["there"]:
                return
        raise AssertionError(f"{wanted} is not reached by {key} on {self.page.url}")

    def enter(self, wanted: str, key: str = "Tab") -> None:
        self.to(wanted, key)
        self.press("Enter")

    def on(self, wanted: str) -> None:
        """The focus gets there by itself."""
        expect(self.page.locator(f":is({wanted}):focus").first).to_be_attached()
        assert self.stop(wanted)["there"], wanted

    def send(self) -> None:
        """Press what the open dialog asks about."""
        expect(self.page.locator("dialog[open]")).to_be_visible()
        if not self.stop("dialog [type=submit]")["there"]:
            self.to("dialog [type=submit]", most=12)
        self.press("Enter")
        expect(self.page.locator("dialog")).to_have_count(0)

    def day(self, wanted: str, iso: str) -> None:
        """Into a field for a date, whose parts stand in the order of the browser's own language."""
        self.to(wanted)
        year, month, day = iso.split("-")
        for typed in (month + day + year, day + month + year):
            self.press("ArrowLeft", "ArrowLeft")
            self.write(typed)
            if self.page.evaluate("document.activeElement.value") == iso:
                return
        raise AssertionError(f"{wanted} does not take {iso}")
