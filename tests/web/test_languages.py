"""Every page speaks both languages completely (design/UI.md §14)."""

from __future__ import annotations

from pathlib import Path

from babel.messages import extract
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from flask import Flask, has_app_context
from flask.testing import FlaskClient
from flask_babel import gettext

from app.config import ROOT
from app.web import languages
from tests.web.scenes import busy_house

CATALOG = ROOT / "app/translations/pt_BR/LC_MESSAGES/messages.po"
SOURCES = {
    "app": [("**.py", "python")],
    "templates": [("**.html", "jinja2"), ("**.jinja", "jinja2")],
}


def messages() -> frozenset[str]:
    """Every string that is marked for translation."""
    keywords = dict(extract.DEFAULT_KEYWORDS) | {"_l": None}
    found: set[str] = set()
    for folder, methods in SOURCES.items():
        for _, _, message, *_ in extract.extract_from_dir(
            str(ROOT / folder),
            methods,
            keywords=keywords,
            directory_filter=lambda path: True,  # the default one skips _components and _layout
            options_map={"**.html": {"silent": "false"}, "**.jinja": {"silent": "false"}},
        ):
            found.add(message if isinstance(message, str) else message[0])
    return frozenset(found)


def catalog(path: Path = CATALOG) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale="pt_BR")


def test_the_catalog_says_everything_that_is_said_and_nothing_else() -> None:
    said = messages()
    assert len(said) > 200  # the extraction itself works
    known = catalog()
    missing = [m for m in sorted(said) if known.get(m) is None or not _said(known, m)]
    assert missing == []
    ids = {m.id if isinstance(m.id, str) else m.id[0] for m in known if m.id}
    assert ids - said == set()


def _said(known: Catalog, message: str) -> bool:
    """Whether it is translated, and by somebody who meant it: what is fuzzy is not compiled."""
    found = known.get(message)
    text = found.string  # type: ignore[union-attr]
    whole = all(text) if isinstance(text, (tuple, list)) else bool(text)
    return whole and not found.fuzzy  # type: ignore[union-attr]


def test_placeholders_survive_translation() -> None:
    faulty = [(m.id, [str(e) for e in m.check()]) for m in catalog() if m.id and list(m.check())]
    assert faulty == []


def test_the_compiled_catalog_is_the_current_one() -> None:
    with CATALOG.with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)
    for message in catalog():
        if message.id:
            found = compiled.get(message.id if isinstance(message.id, str) else message.id[0])
            assert found is not None, message.id
            assert list(found.string) == list(message.string)


def test_the_address_chooses_and_the_device_remembers(client: FlaskClient) -> None:
    page = client.get("/login?lang=pt")
    assert '<html lang="pt-BR">' in page.text
    assert "<h1>Entrar</h1>" in page.text
    assert "<h1>Entrar</h1>" in client.get("/login").text
    assert '<html lang="en">' in client.get("/login?lang=en").text


def test_the_browser_asks_before_anyone_chose(client: FlaskClient) -> None:
    for said, lang in (("pt-PT,pt;q=0.9", "pt-BR"), ("de,fr;q=0.8", "en"), ("", "en")):
        page = client.get("/login", headers={"Accept-Language": said})
        assert f'<html lang="{lang}">' in page.text


def test_where_nobody_asks_it_is_english(app: Flask) -> None:
    assert has_app_context()  # as a job has, which babel takes for a request
    assert languages.current() == "en"
    assert gettext("Sign in") == "Sign in"


def test_an_unknown_language_changes_nothing(client: FlaskClient) -> None:
    page = client.get("/login?lang=%3Cscript%3E")
    assert '<html lang="en">' in page.text
    assert "lang=" not in page.headers.get("Set-Cookie", "").replace("turnkey", "")


def test_days_are_said_in_the_language(staff: FlaskClient, clock: object) -> None:
    busy_house()
    assert "Tuesday, 10 March 2026" in staff.get("/").text
    page = staff.get("/?lang=pt").text
    assert "Terça-feira, 10 de março de 2026" in page
    assert "qua 11 mar" in page
    assert "Chegadas" in page
