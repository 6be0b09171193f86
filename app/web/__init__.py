"""The HTML door: every module here that has a `bp` is a set of pages."""

from __future__ import annotations

import importlib
import pkgutil

from flask import Blueprint, Flask

from app.web import (
    csrf,
    error_pages,
    headers,
    languages,
    navigation,
    rendering,
    request_log,
    sessions,
)


def register(app: Flask) -> None:
    """Add the pages, and what stands around each of them: language, sign-in, CSRF, headers."""
    request_log.init(app)
    headers.init(app)
    languages.init(app)
    rendering.init(app)
    navigation.init(app)
    pages = tuple(_page_blueprints())
    names = app.extensions["pages"] = frozenset(bp.name for bp in pages)
    sessions.init(app, pages=names)
    csrf.init(app, pages=names)
    for bp in pages:
        app.register_blueprint(bp)
    error_pages.init(app)


def _page_blueprints() -> list[Blueprint]:
    """The blueprints of this package, by module name."""
    found: list[Blueprint] = []
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{__name__}.{info.name}")
        bp = getattr(module, "bp", None)
        if isinstance(bp, Blueprint):
            found.append(bp)
    return found
