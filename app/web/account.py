"""My account: the language and the appearance a person sees on this device."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from app.errors import FieldError, Invalid
from app.web import languages
from app.web.rendering import render
from app.web.sessions import login_required

bp = Blueprint("account", __name__, url_prefix="/settings/me")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """The form, with what holds now."""
    return render("account/index.html", saved="saved" in request.args)


@bp.post("")
@login_required
def save() -> ResponseReturnValue:
    """Remember both on this device. Raises Invalid for a word that is not on the list."""
    language, theme = request.form.get("language", ""), request.form.get("theme", "")
    if language not in languages.LANGUAGES or theme not in ("", *languages.THEMES):
        raise Invalid("not a choice", [FieldError("language", "choose one of the list")])
    response = redirect(url_for("account.index", saved=1), 303)
    languages.remember(response, "lang", language)
    if theme:
        languages.remember(response, "theme", theme)
    else:
        response.delete_cookie("theme")
    return response
