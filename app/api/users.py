"""People: list, read, invite, change. No password, secret, token or hash of one is ever told; the
link of an invitation is on the answer that makes it, and on no other."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor
from app.models import User
from app.services import second_factor, user_changes, user_link_mail, user_links, user_lists, users
from app.services.user_changes import UserChanges
from app.services.user_links import Invitation

bp = Blueprint("users", __name__, url_prefix="/users")


@bp.get("")
def index() -> ResponseReturnValue:
    """People by `q`, `role` and `is_active`."""
    return serializers.listing("users", user_lists.search(request.args), _user)


@bp.post("")
def invite() -> ResponseReturnValue:
    """Invite somebody; `invitation.url` works once, and goes out by e-mail when there is a mail
    server. 409 when the address is taken."""
    link = user_links.invite(body(Invitation), actor=actor())
    url = user_link_mail.address(link, request.url_root)
    mailed = user_link_mail.send(link, url, "en")
    invitation = {
        "url": url,
        "expires_at": serializers.instant(link.expires_at),
        "sent": mailed is True,
    }
    return jsonify(_user(link.user) | {"invitation": invitation}), 201


@bp.get("/<uuid:user_id>")
def show(user_id: UUID) -> ResponseReturnValue:
    """One person."""
    return jsonify(_user(users.known(user_id)))


@bp.patch("/<uuid:user_id>")
def change(user_id: UUID) -> ResponseReturnValue:
    """Name, role, `is_active`; 409 for the last administrator, and for oneself deactivated."""
    return jsonify(_user(user_changes.change(user_id, body(UserChanges), actor=actor())))


def _user(row: User) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "email": row.email,
        "name": row.name,
        "role": row.role,
        "is_active": row.is_active,
        "invited": row.invited_at is not None,
        "second_factor": second_factor.is_on(row),
        "last_login_at": serializers.instant(row.last_login_at),
        "created_at": serializers.instant(row.created_at),
        "updated_at": serializers.instant(row.updated_at),
    }
