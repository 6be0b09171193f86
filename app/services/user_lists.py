"""The list of people, searched and in pages."""

from __future__ import annotations

from collections.abc import Mapping

from app.models import User
from app.models.users import ROLES
from app.services import list_args, listing
from app.services.paging import Page

SORTS = {"created_at": User.created_at, "email": User.email, "name": User.name}


def search(args: Mapping[str, str]) -> Page[User]:
    """People by `q` (address or name), `role` and `is_active`; newest first unless `sort` and
    `order` say otherwise. Raises Invalid."""
    role = list_args.choice(args, "role", ROLES)
    active = list_args.flag(args, "is_active")
    where = [User.role == role] if role else []
    if active is not None:
        where.append(User.is_active.is_(active))
    return listing.fetch(User, args, sorts=SORTS, search=(User.email, User.name), where=where)
