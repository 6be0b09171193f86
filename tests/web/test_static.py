"""The style sheet keeps its promises (design/UI.md §2, §6)."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

from app.config import ROOT

STATIC = ROOT / "static"
TOKENS = (STATIC / "tokens.css").read_text()
APP = (STATIC / "app.css").read_text()


def block(start: str) -> dict[str, str]:
    """The custom properties of the rule that begins with `start`."""
    body = TOKENS.split(start, 1)[1].split("}", 1)[0]
    return dict(re.findall(r"(--[\w-]+):\s*([^;]+);", body))


def test_dark_by_choice_and_dark_by_system_are_the_same() -> None:
    first, second = block(':root[data-theme="dark"] {'), block(":root:not([data-theme]) {")
    assert first == second
    assert len(first) > 30


def test_colours_are_written_in_one_place() -> None:
    plain = re.sub(r"/\*.*?\*/", "", APP, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", plain) == []
    assert re.findall(r"\b(?:rgb|hsl|oklch)a?\(", plain) == []
    assert re.findall(r"var\((--[\w-]+)\)", plain)
    known = set(re.findall(r"(--[\w-]+):", TOKENS + APP))
    assert set(re.findall(r"var\((--[\w-]+)[),]", plain)) - known == set()


def test_nothing_comes_from_elsewhere() -> None:
    for sheet in (TOKENS, APP):
        for url in re.findall(r"url\(\"?([^\")]+)", sheet):
            assert (STATIC / url).is_file(), url
        assert "@import" not in sheet
    assert (STATIC / "fonts/LICENSE.txt").read_text().startswith("Copyright")


def test_every_icon_that_is_named_exists() -> None:
    drawn = set(re.findall(r'<symbol id="i-([\w]+)"', (STATIC / "icons.svg").read_text()))
    sources = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "templates").rglob("*.jinja")]
    named = {
        name
        for path in sources
        for name in re.findall(r"(?:\bi|icons\.i)\('([\w]+)'", path.read_text())
    }
    assert len(named) > 20
    assert named - drawn == set()


def test_static_files_may_be_kept_and_change_their_address(client: FlaskClient) -> None:
    page = client.get("/login").text
    address = re.search(r'href="(/static/app\.css\?v=[0-9a-f]{10})"', page)
    assert address
    with client.get(address[1]) as answer:
        assert answer.status_code == 200
        assert "max-age=3600" in answer.headers["Cache-Control"]
        assert answer.mimetype == "text/css"
