"""app/services/user_changes.py: roles and deactivation, and that somebody always remains."""

from __future__ import annotations

import threading

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.errors import Conflict, Forbidden, NotFound
from app.models import AuditEntry, User
from app.services import user_changes, user_links, users
from app.services.audit import Actor
from app.services.user_changes import UserChanges
from app.services.user_links import Invitation
from app.transaction import transaction
from tests.factories import NO_SUCH_ID, PASSWORD, make_user, reload

DESK = Actor("command line", role="admin")


def acting(user: User) -> Actor:
    return Actor(user.email, user.id, user.role, "10.0.0.1")


def admins() -> int:
    with transaction() as session:
        return (
            session.scalar(
                select(func.count()).select_from(User).where(User.role == "admin", User.is_active)
            )
            or 0
        )


def test_deactivation_ends_everything_and_reactivation_brings_nothing_back(app: Flask) -> None:
    make_user("admin")
    ana = make_user("admin")
    token, stamp = users.start_session(ana.id, None, None), users.credential_stamp(ana)
    user_changes.change(ana.id, UserChanges(is_active=False), actor=DESK)
    assert users.session_user(token) is None
    assert users.authenticate(ana.email, PASSWORD) is None
    user_changes.change(ana.id, UserChanges(is_active=True), actor=DESK)
    assert users.session_user(token) is None
    assert users.credential_stamp(reload(ana)) != stamp
    assert users.authenticate(ana.email, PASSWORD) is not None


def test_a_new_role_ends_bearer_tokens_and_a_new_name_does_not(app: Flask) -> None:
    make_user("admin")
    ana = make_user("admin")
    renamed = user_changes.change(ana.id, UserChanges(name="Ana"), actor=DESK)
    assert users.credential_stamp(renamed) == users.credential_stamp(ana)
    demoted = user_changes.change(ana.id, UserChanges(role="staff"), actor=DESK)
    assert users.credential_stamp(demoted) != users.credential_stamp(ana)
    same = user_changes.change(ana.id, UserChanges(role="staff"), actor=DESK)
    assert users.credential_stamp(same) == users.credential_stamp(demoted)
    with transaction() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.at, AuditEntry.id)).all()
    assert sorted((str(row.before), str(row.after)) for row in rows) == [
        ("{'name': ''}", "{'name': 'Ana'}"),
        ("{'role': 'admin'}", "{'role': 'staff'}"),
    ]


@pytest.mark.parametrize("changes", [{"role": "staff"}, {"is_active": False}])
def test_the_last_administrator_stays(app: Flask, changes: dict[str, object]) -> None:
    boss = make_user("admin")
    gone = make_user("admin", is_active=False)
    user_links.invite(Invitation(email="new@example.org", role="admin"), actor=DESK)
    with pytest.raises(Conflict, match="nobody else"):
        user_changes.change(boss.id, UserChanges.model_validate(changes), actor=DESK)
    user_changes.change(gone.id, UserChanges(is_active=True), actor=acting(boss))
    user_changes.change(boss.id, UserChanges.model_validate(changes), actor=acting(gone))
    assert admins() == 2  # the one that is left, and the invited one


def test_nobody_deactivates_oneself(app: Flask) -> None:
    boss = make_user("admin")
    make_user("admin")
    with pytest.raises(Conflict, match="oneself"):
        user_changes.change(boss.id, UserChanges(is_active=False), actor=acting(boss))
    assert reload(boss).is_active


def test_who_was_demoted_a_moment_ago_demotes_nobody(app: Flask) -> None:
    boss, other, third = (make_user("admin") for _ in range(3))
    before = acting(other)
    user_changes.change(other.id, UserChanges(role="staff"), actor=acting(boss))
    with pytest.raises(Forbidden):
        user_changes.change(third.id, UserChanges(role="staff"), actor=before)
    with pytest.raises(NotFound):
        user_changes.change(NO_SUCH_ID, UserChanges(name="x"), actor=DESK)


@pytest.mark.parametrize("changes", [{"role": "staff"}, {"is_active": False}])
def test_administrators_who_end_each_other_at_the_same_time_leave_one(
    app: Flask, changes: dict[str, object]
) -> None:
    for _ in range(3):
        with transaction() as session:
            for row in session.scalars(select(User)):
                row.role = "staff"
        people = [make_user("admin") for _ in range(4)]
        at_once = threading.Barrier(4)
        ended: list[bool] = []

        def end(number: int, start: threading.Barrier = at_once, who: list[User] = people,
                kept: list[bool] = ended) -> None:  # fmt: skip
            with app.app_context():
                start.wait()
                try:
                    user_changes.change(
                        who[(number + 1) % 4].id,
                        UserChanges.model_validate(changes),
                        actor=Actor("command line"),
                    )
                    kept.append(True)
                except Conflict:
                    kept.append(False)

        threads = [threading.Thread(target=end, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ended) == [False, True, True, True]
        assert admins() == 1
