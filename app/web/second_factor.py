"""My account, second factor: set it up with an app, renew its recovery codes, switch it off."""

from __future__ import annotations

import re

import segno
from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from markupsafe import Markup

from app.errors import Conflict, Invalid, ServiceError
from app.extensions import code_limit, count_wrong_code, own_password_limit
from app.services import second_factor, sign_in
from app.web import account
from app.web.dates import gettext as _
from app.web.forms import Form, refused, status_of
from app.web.rendering import render
from app.web.sessions import current_actor, login_required, own_token, require_user, role_required

_account = account.bp

FIELDS = {"password": _l("Password"), "code": _l("Code")}


@_account.get("/second-factor")
@login_required
def show_second_factor() -> ResponseReturnValue:
    """What holds, or the code to scan while one waits to be confirmed."""
    return _page()


@_account.post("/second-factor/begin")
@role_required("admin")
def begin_second_factor() -> ResponseReturnValue:
    """Make a new secret; nothing is asked for before it is confirmed."""
    second_factor.begin(require_user().id, actor=current_actor())
    return redirect(url_for(".show_second_factor"), 303)


@_account.post("/second-factor")
@own_password_limit
@code_limit
@role_required("admin")
def confirm_second_factor() -> ResponseReturnValue:
    """Switch it on; the recovery codes are on this answer and on no other."""
    user = require_user()
    try:
        codes = second_factor.confirm(
            user, _sent("password"), _sent("code"), keep=own_token(), actor=current_actor()
        )
    except (Invalid, Conflict) as error:
        return _refused(error)
    return render("account/recovery_codes.html", codes=codes, new=True)


@_account.post("/second-factor/codes")
@own_password_limit
@code_limit
@login_required
def renew_codes() -> ResponseReturnValue:
    """Ten new recovery codes, shown once."""
    try:
        codes = second_factor.renew_codes(
            require_user(), _sent("password"), _sent("code"), actor=current_actor()
        )
    except (Invalid, Conflict) as error:
        return _refused(error)
    return render("account/recovery_codes.html", codes=codes, new=False)


@_account.post("/second-factor/off")
@own_password_limit
@code_limit
@login_required
def disable_second_factor() -> ResponseReturnValue:
    """Switch it off; needs the password and a code."""
    try:
        second_factor.disable(
            require_user(), _sent("password"), _sent("code"), actor=current_actor()
        )
    except (Invalid, Conflict) as error:
        return _refused(error)
    flash(_("The second factor is off. The password alone signs you in."), "ok")
    return redirect(url_for(".index"), 303)


def qr(uri: str) -> Markup:
    """The address as an inline SVG that takes its colours from the style sheet."""
    drawn = segno.make(uri, error="m", micro=False).svg_inline(
        border=0, omitsize=True, svgclass="qr__code", lineclass="qr__dark", title=None
    )
    # Presentation attributes would win over nothing, but a stray colour is one in another theme.
    return Markup(re.sub(r' stroke="[^"]*"', "", drawn))  # noqa: S704 - digits and path letters


def _sent(name: str) -> str:
    return request.form.get(name, "")


def _refused(error: ServiceError) -> ResponseReturnValue:
    if any(each.field == "code" for each in error.errors):
        count_wrong_code()
    return _page(refused(error, {}), status_of(error))


def _page(form: Form | None = None, status: int = 200) -> ResponseReturnValue:
    user = require_user()
    is_on = second_factor.is_on(user)
    if not is_on and not user.is_admin:
        abort(403)  # it is for administrators; who had one before may still switch it off
    waiting = second_factor.waiting(user)
    return render(
        "account/second_factor.html",
        status,
        form=form or Form({}),
        fields=FIELDS,
        is_on=is_on,
        since=user.totp_confirmed_at,
        secret=" ".join(re.findall(".{1,4}", waiting.secret)) if waiting else "",
        drawn=qr(waiting.uri) if waiting else None,
        codes_left=second_factor.codes_left(user.id),
        required=sign_in.must_enrol(user),
    )
