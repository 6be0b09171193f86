"""My account: how pages look here, the password, and where else one is signed in."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app.errors import Conflict, FieldError, Invalid
from app.extensions import own_password_limit
from app.services import second_factor, user_sessions, users
from app.web import languages, navigation
from app.web.dates import gettext as _
from app.web.devices import device
from app.web.forms import Form, refused, status_of
from app.web.rendering import render
from app.web.sessions import current_actor, login_required, own_token, require_user

bp = Blueprint("account", __name__, url_prefix="/settings/me")

PASSWORD_FIELDS = {
    "old_password": _l("Current password"),
    "password": _l("New password"),
}


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """Everything about oneself, with what holds now."""
    return _page()


@bp.post("")
@login_required
def save() -> ResponseReturnValue:
    """Remember language and appearance on this device, and the language for the next one. Raises
    Invalid for a word that is not on the list."""
    language, theme = request.form.get("language", ""), request.form.get("theme", "")
    if language not in languages.LANGUAGES or theme not in ("", *languages.THEMES):
        raise Invalid("not a choice", [FieldError("language", "choose one of the list")])
    users.set_language(require_user().id, language)
    response = redirect(url_for("account.index", saved=1), 303)
    languages.remember(response, "lang", language)
    if theme:
        languages.remember(response, "theme", theme)
    else:
        response.delete_cookie("theme")
    return response


@bp.post("/password")
@own_password_limit
@login_required
def change_password() -> ResponseReturnValue:
    """Another password; every other browser and every token has to sign in again."""
    try:
        users.change_password(
            require_user(),
            request.form.get("old_password", ""),
            request.form.get("password", ""),
            keep=own_token(),
            actor=current_actor(),
        )
    except (Invalid, Conflict) as error:
        return _page(refused(error, {}), status_of(error))
    flash(_("The password is changed. Other devices have to sign in again."), "ok")
    return redirect(url_for(".index"), 303)


@bp.post("/sessions/<uuid:session_id>/end")
@login_required
def end_session(session_id: UUID) -> ResponseReturnValue:
    """Sign one browser out. Raises NotFound for somebody else's."""
    user_sessions.end_one(require_user().id, session_id, actor=current_actor())
    return redirect(url_for(".index"), 303)


@bp.post("/sessions/end")
@login_required
def end_others() -> ResponseReturnValue:
    """Sign out everywhere but here; bearer tokens end as well."""
    user_sessions.end_all(require_user().id, actor=current_actor(), keep=own_token())
    flash(_("You are signed in here only."), "ok")
    return redirect(url_for(".index"), 303)


def _page(form: Form | None = None, status: int = 200) -> ResponseReturnValue:
    user = require_user()
    token = own_token()
    rows = user_sessions.of_user(user.id)
    return render(
        "account/index.html",
        status,
        saved="saved" in request.args,
        form=form or Form({}),
        fields=PASSWORD_FIELDS,
        browsers=[(row, user_sessions.is_of(row, token)) for row in rows],
        device=device,
        factor_is_on=second_factor.is_on(user),
        codes_left=second_factor.codes_left(user.id),
        zone=navigation.timezone(),
    )
