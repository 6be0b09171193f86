"""Settings, users: invite people, change what they may, end their sessions, help them back in."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app.errors import Conflict, Forbidden, Invalid
from app.models import User
from app.runtime import settings
from app.services import (
    account_letters,
    list_args,
    second_factor,
    user_changes,
    user_link_mail,
    user_links,
    user_lists,
    user_sessions,
    users,
)
from app.services.inputs import parse
from app.services.user_changes import UserChanges
from app.services.user_links import Invitation, Link
from app.web import alert_wording, languages, navigation
from app.web import settings as settings_page
from app.web.dates import gettext as _
from app.web.devices import device
from app.web.forms import Form, attempt, dialog, done, refused, sent, status_of
from app.web.rendering import here, render
from app.web.sessions import current_actor, own_token, require_user, role_required

_settings = settings_page.bp


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before an act, and the button that does it."""

    title: object
    verb: object
    path: str
    kind: str = "danger"


FIELDS = {"email": _l("E-mail"), "name": _l("Name"), "role": _l("Role")}
ROLES = {"staff": _l("Front desk"), "admin": _l("Administrator")}
QUESTIONS = {
    "deactivate": Question(_l("Deactivate %(name)s?"), _l("Deactivate"), "deactivate"),
    "link": Question(_l("New link for %(name)s?"), _l("Make the link"), "link", "primary"),
    "withdraw": Question(
        _l("Withdraw the invitation of %(name)s?"), _l("Withdraw invitation"), "withdraw"
    ),
    "factor": Question(
        _l("Remove the second factor of %(name)s?"), _l("Remove second factor"), "second-factor"
    ),
}
#: what a letter to the person is about
CHANGES = {
    "password": _l("Password changed"),
    "factor_on": _l("Second factor switched on"),
    "factor_off": _l("Second factor switched off"),
    "recovery_codes": _l("New recovery codes"),
    "role": _l("Role changed"),
}
#: what the form of a person changes
_CHANGED = ("name", "role")


@_settings.get("/users")
@role_required("admin")
def people() -> ResponseReturnValue:
    """Who may sign in."""
    page = user_lists.search({**request.args, "sort": "email", "order": "asc"})
    if page.total and page.page > page.total_pages:
        return redirect(here(page=page.total_pages), 303)
    return render(
        "settings/users.html",
        fragments={"results": "results"},
        page=page,
        q=list_args.word(request.args, "q"),
        is_on=second_factor.is_on,
        untold=account_letters.failed(user.id for user in page.items),
        zone=navigation.timezone(),
    )


@_settings.get("/users/new")
@role_required("admin")
def new_user() -> ResponseReturnValue:
    """An empty invitation."""
    return _new(Form({"role": "staff"}))


@_settings.post("/users/new")
@role_required("admin")
def invite_user() -> ResponseReturnValue:
    """Invite; the link is on this answer and on no other."""
    try:
        link = user_links.invite(parse(Invitation, sent(Invitation)), actor=current_actor())
    except (Invalid, Conflict) as error:
        return _new(refused(error), status_of(error))
    return _once(link)


@_settings.get("/users/<uuid:user_id>")
@role_required("admin")
def show_user(user_id: UUID) -> ResponseReturnValue:
    """One person."""
    return _person(_get(user_id))


@_settings.post("/users/<uuid:user_id>")
@role_required("admin")
def save_user(user_id: UUID) -> ResponseReturnValue:
    """Save name and role; the form again when that cannot be."""
    user = _get(user_id)
    try:
        data = {name: request.form[name] for name in _CHANGED if name in request.form}
        user_changes.change(user_id, parse(UserChanges, data), actor=current_actor())
    except (Invalid, Conflict) as error:
        return _person(user, refused(error), status_of(error))
    if user_id == require_user().id and request.form.get("role") == "staff":
        return redirect(url_for("account.index"), 303)  # this page is not theirs any more
    return redirect(url_for(".show_user", user_id=user_id, saved=1), 303)


@_settings.get("/users/<uuid:user_id>/deactivate")
@role_required("admin")
def ask_deactivate_user(user_id: UUID) -> ResponseReturnValue:
    """What deactivating means."""
    return _ask(_get(user_id), "deactivate")


@_settings.post("/users/<uuid:user_id>/deactivate")
@role_required("admin")
def deactivate_user(user_id: UUID) -> ResponseReturnValue:
    """Let the person in no more, from this moment on."""
    changes = UserChanges(is_active=False)
    try:
        user_changes.change(user_id, changes, actor=current_actor())
    except Conflict as error:
        return _ask(_get(user_id), "deactivate", error)
    return _back(user_id, _("Deactivated. All devices are signed out."))


@_settings.post("/users/<uuid:user_id>/reactivate")
@role_required("admin")
def reactivate_user(user_id: UUID) -> ResponseReturnValue:
    """Let the person in again."""
    user_changes.change(user_id, UserChanges(is_active=True), actor=current_actor())
    return _back(user_id, _("May sign in again, with the password of before."))


@_settings.get("/users/<uuid:user_id>/link")
@role_required("admin")
def ask_user_link(user_id: UUID) -> ResponseReturnValue:
    """What a new link means."""
    return _ask(_get(user_id), "link")


@_settings.post("/users/<uuid:user_id>/link")
@role_required("admin")
def make_user_link(user_id: UUID) -> ResponseReturnValue:
    """A new link to choose a password with: the invitation again, or a reset."""
    try:
        return _once(user_links.renew(user_id, actor=current_actor()))
    except Conflict as error:
        return _ask(_get(user_id), "link", error)


@_settings.get("/users/<uuid:user_id>/withdraw")
@role_required("admin")
def ask_withdraw_user(user_id: UUID) -> ResponseReturnValue:
    """What withdrawing an invitation means."""
    return _ask(_get(user_id), "withdraw")


@_settings.post("/users/<uuid:user_id>/withdraw")
@role_required("admin")
def withdraw_user(user_id: UUID) -> ResponseReturnValue:
    """Take the invitation back."""
    user = _get(user_id)
    if isinstance(
        error := attempt(lambda: user_links.withdraw(user_id, actor=current_actor())), Conflict
    ):
        return _ask(user, "withdraw", error)
    flash(_("The invitation of %(email)s is withdrawn", email=user.email), "ok")
    return done(url_for(".people"), leave=True)


@_settings.get("/users/<uuid:user_id>/second-factor")
@role_required("admin")
def ask_remove_factor(user_id: UUID) -> ResponseReturnValue:
    """What taking the second factor away means."""
    return _ask(_get(user_id), "factor")


@_settings.post("/users/<uuid:user_id>/second-factor")
@role_required("admin")
def remove_factor(user_id: UUID) -> ResponseReturnValue:
    """Take it from somebody who has lost it; one's own needs password and code."""
    if user_id == require_user().id:
        raise Forbidden("one's own is switched off with password and code")
    try:
        second_factor.remove(user_id, actor=current_actor())
    except Conflict as error:
        return _ask(_get(user_id), "factor", error)
    return _back(user_id, _("The second factor is removed. All devices are signed out."))


@_settings.post("/users/<uuid:user_id>/sessions/<uuid:session_id>/end")
@role_required("admin")
def end_user_session(user_id: UUID, session_id: UUID) -> ResponseReturnValue:
    """Sign one browser out."""
    user_sessions.end_one(user_id, session_id, actor=current_actor())
    return _back(user_id, _("Signed out"))


@_settings.post("/users/<uuid:user_id>/sessions/end")
@role_required("admin")
def end_user_sessions(user_id: UUID) -> ResponseReturnValue:
    """Sign out everywhere; bearer tokens end as well. The browser that asks stays."""
    user_sessions.end_all(user_id, actor=current_actor(), keep=own_token())
    return _back(user_id, _("Signed out everywhere"))


@_settings.post("/users/<uuid:user_id>/letters/send-again")
@role_required("admin")
def send_letters_again(user_id: UUID) -> ResponseReturnValue:
    """Try once more to tell the person what was changed."""
    try:
        account_letters.send_again(user_id, actor=current_actor())
    except Conflict:
        # Sent meanwhile, in another tab or by itself: the page says how it is.
        return done(url_for(".show_user", user_id=user_id), leave=True)
    return _back(user_id, _("Being sent. What does not arrive stands here again."))


def _get(user_id: UUID) -> User:
    return users.known(user_id)


def _new(form: Form, status: int = 200) -> ResponseReturnValue:
    return render(
        "settings/user_new.html", status, form=form, fields=FIELDS, roles=list(ROLES.items())
    )


def _person(user: User, form: Form | None = None, status: int = 200) -> ResponseReturnValue:
    token = own_token()
    rows = user_sessions.of_user(user.id)
    return render(
        "settings/user.html",
        status,
        person=user,
        form=form or Form({"name": user.name, "role": user.role}),
        fields=FIELDS,
        roles=list(ROLES.items()),
        link=user_links.pending(user.id),
        browsers=[(row, user_sessions.is_of(row, token)) for row in rows],
        device=device,
        is_on=second_factor.is_on(user),
        letters=account_letters.undelivered(user.id),
        changed=CHANGES,
        trouble=alert_wording.trouble,
        can_mail=settings().smtp_url is not None,
        is_me=user.id == require_user().id,
        saved="saved" in request.args,
        zone=navigation.timezone(),
    )


def _ask(user: User, what: str, error: Conflict | None = None) -> ResponseReturnValue:
    refusal = refused(error, {}).error("") if error else ""
    return dialog(
        "settings/user_ask.html",
        409 if error else 200,
        person=user,
        what=what,
        question=QUESTIONS[what],
        refusal=refusal,
    )


def _once(link: Link) -> ResponseReturnValue:
    """The link, told this once; by e-mail as well when there is a mail server."""
    url = user_link_mail.address(link, request.url_root)
    mailed = user_link_mail.send(link, url, languages.current())
    return render(
        "settings/user_link.html", link=link, url=url, mailed=mailed, zone=navigation.timezone()
    )


def _back(user_id: UUID, said: str) -> ResponseReturnValue:
    flash(said, "ok")
    return done(url_for(".show_user", user_id=user_id), leave=True)
