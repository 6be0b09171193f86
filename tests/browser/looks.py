"""What a page is measured by beside axe-core: width, zoom, text spacing, forced colours, motion."""

from __future__ import annotations

from playwright.sync_api import Page, ViewportSize

#: WCAG 1.4.12, as a sheet that the page's content security policy has no say in
SPACING = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important;
        word-spacing: .16em !important } p { margin-block-end: 2em !important }`);
    document.adoptedStyleSheets = [sheet];
}"""
#: text that its own box hides; what is cut with an ellipsis is cut on purpose, and said in full
#: where it leads
CUT = """() => [...document.querySelectorAll("body *")].filter((e) => {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const style = getComputedStyle(e), shown = e.clientWidth > 1 && e.clientHeight > 1;
    if (!own || !shown || style.textOverflow === "ellipsis") return false;
    const hides = (way) => ["hidden", "clip"].includes(way);
    return hides(style.overflowX) && e.scrollWidth > e.clientWidth + 1
        || hides(style.overflowY) && e.scrollHeight > e.clientHeight + 1;
}).map((e) => e.outerHTML.slice(0, 120))"""
#: the innermost elements that reach beyond the right edge
BEYOND = """() => [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.childElementCount)
    .slice(0, 3).map((e) => e.outerHTML.slice(0, 120))"""
#: how whatever has the focus shows it
RING = """() => {
    const e = document.activeElement, style = getComputedStyle(e);
    if (e === document.body) return "";  // past the end
    const drawn = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    return drawn ? "" : `${e.outerHTML.slice(0, 120)}: ${style.outline}`;
}"""
#: what moves although less motion was asked for
MOVING = """() => document.getAnimations()
    .filter((a) => a.effect.getComputedTiming().duration > 20)
    .map((a) => a.effect.target.outerHTML.slice(0, 120))"""


def sideways(page: Page) -> int:
    """How far the page can be scrolled sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def too_wide(page: Page, width: int) -> list[str]:
    """Whether it must be scrolled sideways in a window of that width; the window is given back."""
    before = page.viewport_size or ViewportSize(width=width, height=800)
    page.set_viewport_size({"width": width, "height": 640})
    beyond = sideways(page)
    found = [f"{beyond} px too wide at {width} px: {page.evaluate(BEYOND)}"] if beyond > 0 else []
    page.set_viewport_size(before)
    return found


def with_more_space(page: Page) -> list[str]:
    """What text spacing (WCAG 1.4.12) cuts off or pushes out of the screen."""
    page.evaluate(SPACING)
    cut = [f"spacing cuts {each}" for each in page.evaluate(CUT)]
    beyond = sideways(page)
    page.evaluate("document.adoptedStyleSheets = []")
    return cut + ([f"spacing makes it {beyond} px too wide"] if beyond > 0 else [])


def with_few_colours(page: Page, stops: int = 3) -> list[str]:
    """What is missing in forced colours and reduced motion: a ring where the focus is, and rest."""
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    found = [f"moves: {each}" for each in page.evaluate(MOVING)]
    for _ in range(stops):
        page.keyboard.press("Tab")
        if missing := page.evaluate(RING):
            found.append(f"no ring: {missing}")
    page.emulate_media(forced_colors="null", reduced_motion="null")
    return found
