"""Which language and which theme a person sees (design/UI.md §14)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, has_request_context, request
from flask_babel import Babel, get_translations, refresh
from werkzeug.wrappers import Response as BaseResponse

#: the word in `?lang=` and the cookie, and the locale it stands for
LANGUAGES = {"en": "en", "pt": "pt_BR"}
NAMES = {"en": "English", "pt": "Português"}
THEMES = ("light", "dark")
_YEAR = 365 * 24 * 3600


def current() -> str:
    """The language of this request: asked for, remembered on this device, the person's, the
    browser's, English. Outside a request English."""
    if not has_request_context():
        return "en"
    if request.args.get("lang") in LANGUAGES:
        return str(request.args["lang"])
    if request.cookies.get("lang") in LANGUAGES:
        return str(request.cookies["lang"])
    user = g.get("user")
    if user is not None and user.language in LANGUAGES:
        return str(user.language)
    return request.accept_languages.best_match(LANGUAGES) or "en"


def html_lang() -> str:
    """The value of `<html lang>`."""
    return LANGUAGES[current()].replace("_", "-")


def theme() -> str | None:
    """The theme chosen on this device; None leaves it to the system."""
    value = request.cookies.get("theme")
    return value if value in THEMES else None


def remember(response: BaseResponse, name: str, value: str) -> None:
    """A choice of this device that scripts may read and the server trusts only from a list."""
    secure = request.is_secure
    response.set_cookie(name, value, max_age=_YEAR, secure=secure, samesite="Lax", path="/")


def _translations() -> Any:
    """The catalog of this request. A page asks for hundreds of texts: it is looked up once."""
    if not has_request_context():
        return get_translations()
    found = g.get("translations")
    if found is None:
        found = g.translations = get_translations()
    return found


def init(app: Flask) -> None:
    """Choose the locale by request, and remember `?lang=`."""
    Babel(
        app,
        locale_selector=lambda: LANGUAGES[current()],
        default_translation_directories="translations",
    )
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: _translations().ugettext(text),
        lambda one, many, n: _translations().ungettext(one, many, n),
        newstyle=True,
    )
    app.jinja_env.globals.update(
        language=current, html_lang=html_lang, theme=theme, language_names=NAMES
    )

    @app.before_request
    def choose_again() -> None:
        g.pop("translations", None)
        g.pop("locale_name", None)
        refresh()  # who keeps a context open over several requests may get several languages

    @app.after_request
    def remember_language(response: Response) -> Response:
        lang = request.args.get("lang")
        if lang in LANGUAGES and request.cookies.get("lang") != lang:
            remember(response, "lang", str(lang))
        return response
