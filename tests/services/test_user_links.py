"""app/services/user_links.py: a link works once, for a while, and only its hash is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from app.crypto import hash_token
from app.errors import Conflict, Invalid, NotFound
from app.models import AuditEntry, User, UserToken
from app.services import user_changes, user_links, users
from app.services.audit import Actor
from app.services.user_changes import UserChanges
from app.services.user_links import Invitation, Link
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import PASSWORD, make_user, reload

pytestmark = pytest.mark.usefixtures("cheap_passwords")

BOSS = Actor("boss@example.org", role="admin", ip="10.0.0.9")
GOOD = "caneca azul janela"


def invited(email: str = "ana@example.org", role: str = "staff") -> Link:
    return user_links.invite(Invitation(email=email, role=role), actor=BOSS)  # type: ignore[arg-type]


def gone(token: str) -> bool:
    """Whether the link is refused, at a look and at a use."""
    with pytest.raises(NotFound, match=user_links.GONE):
        user_links.redeem(token, GOOD, ip=None)
    return user_links.of(token) is None


def test_an_invitation_leads_to_a_password(app: Flask) -> None:
    link = invited(" Ana@Example.org ")
    assert (link.purpose, link.user.email, len(link.token)) == ("invite", "ana@example.org", 43)
    assert users.authenticate("ana@example.org", "") is None
    found = user_links.of(link.token)
    assert found is not None
    assert found.user.id == link.user.id
    user_links.redeem(link.token, GOOD, ip="10.0.0.1")
    user = users.authenticate("ana@example.org", GOOD)
    assert user is not None
    assert user.invited_at is None
    assert user.password_changed_at is not None
    assert gone(link.token)


def test_only_the_hash_is_stored_and_told_to_nobody(app: Flask) -> None:
    link = invited()
    with transaction() as session:
        row = session.scalars(select(UserToken)).one()
        written = session.scalars(select(AuditEntry)).all()
    assert row.token_hash == hash_token(link.token)
    assert row.created_by == BOSS.label
    assert [each.action for each in written] == ["invite"]
    assert all(link.token not in str((each.before, each.after)) for each in written)
    assert link.token not in repr(link)


@pytest.mark.parametrize("purpose", ["invite", "reset"])
def test_a_link_runs_out(app: Flask, clock: Clock, purpose: str) -> None:
    link = invited()
    hours = 72
    if purpose == "reset":
        user_links.redeem(link.token, GOOD, ip=None)
        link, hours = user_links.renew(link.user.id, actor=BOSS), 24
    clock.move(hours=hours, seconds=-1)
    assert user_links.of(link.token) is not None
    clock.move(seconds=1)
    assert gone(link.token)


def test_a_new_link_ends_the_one_before(app: Flask) -> None:
    first = invited()
    second = user_links.renew(first.user.id, actor=BOSS)
    assert second.purpose == "invite"
    assert gone(first.token)
    pending = user_links.pending(first.user.id)
    assert pending is not None
    assert pending.token_hash == hash_token(second.token)


def test_a_reset_leaves_the_old_password_until_it_is_used_and_then_ends_everything(
    app: Flask,
) -> None:
    user = make_user("admin")
    token = users.start_session(user.id, None, None)
    stamp = users.credential_stamp(user)
    link = user_links.renew(user.id, actor=BOSS)
    assert link.purpose == "reset"
    assert users.authenticate(user.email, PASSWORD) is not None
    assert users.session_user(token) is not None
    user_links.redeem(link.token, GOOD, ip=None)
    assert users.authenticate(user.email, PASSWORD) is None
    assert users.session_user(token) is None
    assert users.credential_stamp(reload(user)) != stamp


def test_a_refused_password_leaves_the_link(app: Flask) -> None:
    link = invited()
    for bad in ("short", "password1234", "ana@example.org!", "x" * 2000):
        with pytest.raises(Invalid) as refused:
            user_links.redeem(link.token, bad, ip=None)
        assert [each.field for each in refused.value.errors] == ["password"]
    user_links.redeem(link.token, GOOD, ip=None)


def test_opened_twice_at_the_same_time_it_works_once(app: Flask) -> None:
    link = invited()
    outcomes: list[str] = []
    at_once = threading.Barrier(6)

    def open_it(number: int) -> None:
        with app.app_context():
            at_once.wait()
            try:
                user_links.redeem(link.token, f"{GOOD} {number}", ip=None)
                outcomes.append(f"{GOOD} {number}")
            except NotFound:
                outcomes.append("")

    threads = [threading.Thread(target=open_it, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [each for each in outcomes if each]
    assert len(outcomes) == 6
    assert len(won) == 1
    assert users.authenticate("ana@example.org", won[0]) is not None


def test_withdrawing_and_using_at_the_same_time_ends_one_way(app: Flask) -> None:
    for number in range(4):
        link = invited(f"ana{number}@example.org")
        done: list[str] = []
        at_once = threading.Barrier(2)

        def run(name: str, act: Callable[[], object], start: threading.Barrier = at_once,
                kept: list[str] = done) -> None:  # fmt: skip
            with app.app_context():
                start.wait()
                try:
                    act()
                    kept.append(name)
                except (NotFound, Conflict):
                    pass

        threads = [
            threading.Thread(target=run, args=("used", lambda: user_links.redeem(link.token, GOOD, ip=None))),  # noqa: B023, E501
            threading.Thread(target=run, args=("withdrawn", lambda: user_links.withdraw(link.user.id, actor=BOSS))),  # noqa: B023, E501
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(done) == 1
        assert (users.find(link.user.email) is not None) == (done == ["used"])


def test_withdrawn_deactivated_and_unknown_are_the_same(app: Flask) -> None:
    withdrawn, deactivated = invited(), invited("bea@example.org")
    user_links.withdraw(withdrawn.user.id, actor=BOSS)
    user_changes.change(deactivated.user.id, UserChanges(is_active=False), actor=BOSS)
    for token in (withdrawn.token, deactivated.token, "x" * 43, "", "\0", "\u00e9"):
        assert gone(token)
    user_changes.change(deactivated.user.id, UserChanges(is_active=True), actor=BOSS)
    assert gone(deactivated.token)
    assert users.find("ana@example.org") is None
    assert invited().user.email == "ana@example.org"


def test_what_cannot_be(app: Flask) -> None:
    user = make_user("staff", email="ana@example.org")
    with pytest.raises(Conflict):
        invited()
    with pytest.raises(Invalid):
        invited("nonsense")
    with pytest.raises(Conflict):
        user_links.withdraw(user.id, actor=BOSS)
    with transaction() as session:
        session.get_one(User, user.id).is_active = False
    with pytest.raises(Conflict):
        user_links.renew(user.id, actor=BOSS)
