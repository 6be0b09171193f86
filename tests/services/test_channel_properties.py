"""Connections: what proves their messages, how they stand, and what is written down of secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import event, select, text

from app.errors import Conflict, Invalid, NotFound, Unavailable
from app.extensions import db
from app.models import AuditEntry, ChannelProperty
from app.services import beds24_connections, channel_invites, channel_properties
from app.services.audit import SYSTEM
from app.services.beds24_connections import Caller, Spot
from app.services.channel_properties import (
    ChannelPropertyChanges,
    NewChannelProperty,
)
from app.transaction import transaction
from tests.beds24_live import Beds24Live, beds24_live, make_connection
from tests.factories import make_property, reload

SECRET = "a webhook secret"
REASON = "Beds24 refused the refresh token"
SAID = {
    (name, word)
    for name in ("invite_code", "refresh_token", "webhook_secret")
    for word in ("replaced", "removed")
}


@pytest.fixture
def beds24(app: Flask, tmp_path: Path) -> Iterator[Beds24Live]:
    with beds24_live(app, tmp_path) as live:
        yield live


def new(**fields: Any) -> NewChannelProperty:
    if "property_id" not in fields:
        fields["property_id"] = make_property().id
    defaults = {"channel_name": "beds24", "channel_property_id": "51001"}
    return NewChannelProperty(**(defaults | fields))


def change(row: ChannelProperty, **fields: Any) -> ChannelProperty:
    return channel_properties.change(row.id, ChannelPropertyChanges(**fields), actor=SYSTEM)


def for_webhook(ref: str = "51001") -> Caller | None:
    """The connection as the door of the webhooks finds it."""
    with transaction() as session:
        return beds24_connections.find(session, {Spot(ref)}).get(Spot(ref))


def counted(table: str) -> int:
    with transaction() as session:
        return int(session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


class TestForWebhook:
    def test_all_it_needs_in_one_statement(self, app: Flask) -> None:
        house = make_property(currency="EUR")
        row = channel_properties.create(
            new(property_id=house.id, webhook_secret=SECRET), actor=SYSTEM
        )
        said: list[str] = []

        def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
            said.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            found = for_webhook()
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        assert found is not None
        assert (found.id, found.status, found.secret) == (row.id, "active", SECRET)
        assert len(said) == 1
        assert SECRET not in repr(found)

    def test_without_a_secret_of_its_own(self, app: Flask) -> None:
        make_connection(status="inactive")
        found = for_webhook()
        assert found is not None
        assert (found.secret, found.status) == (None, "inactive")

    def test_what_is_not_connected(self, app: Flask) -> None:
        make_connection()
        assert for_webhook("51002") is None

    def test_a_secret_that_cannot_be_opened_is_not_replaced_by_the_environments(
        self, app: Flask
    ) -> None:
        make_connection(webhook_secret_encrypted="sealed by none")
        with pytest.raises(Unavailable, match="PIN_ENCRYPTION_KEYS"):
            for_webhook()


class TestWebhookSecret:
    def test_a_new_one_is_told_once_and_stored_sealed(self, app: Flask) -> None:
        row = make_connection()
        secret = channel_properties.new_webhook_secret(row.id, actor=SYSTEM)
        assert len(secret) >= 32
        found = for_webhook()
        assert found is not None
        assert found.secret == secret
        assert secret not in str(reload(row).webhook_secret_encrypted)
        assert channel_properties.new_webhook_secret(row.id, actor=SYSTEM) != secret

    @pytest.mark.parametrize("nothing", [None, ""])
    def test_it_is_taken_away(self, app: Flask, nothing: str | None) -> None:
        row = channel_properties.create(new(webhook_secret=SECRET), actor=SYSTEM)
        assert change(row, status="active").webhook_secret_encrypted is not None
        assert change(row, webhook_secret=nothing).webhook_secret_encrypted is None

    def test_beds24_only(self, app: Flask) -> None:
        stays = make_connection(channel_name="stays")
        with pytest.raises(Invalid, match="Beds24 only"):
            channel_properties.new_webhook_secret(stays.id, actor=SYSTEM)
        with pytest.raises(NotFound):
            channel_properties.new_webhook_secret(uuid4(), actor=SYSTEM)


class TestInvite:
    def test_nothing_is_asked_of_beds24_before_all_else_is_right(self, beds24: Beds24Live) -> None:
        """A code works once: a mistake in another field must not cost it."""
        code, house = beds24.invite(), make_property()
        make_connection(property_id=house.id)
        for refusal, fields in (
            (Conflict, {"property_id": house.id, "channel_property_id": "51002"}),
            (Conflict, {}),
            (Invalid, {"property_id": uuid4(), "channel_property_id": "51003"}),
            (Invalid, {"channel_property_id": "house"}),
            (Invalid, {"channel_property_id": "51004", "refresh_token": "token"}),
            (Invalid, {"channel_property_id": "51005", "channel_name": "stays"}),
        ):
            with pytest.raises(refusal):
                channel_properties.create(new(invite_code=code, **fields), actor=SYSTEM)
        made = channel_properties.create(
            new(invite_code=code, channel_property_id="51006"), actor=SYSTEM
        )
        assert made.account_id is not None

    def test_tokens_are_stored_before_the_connection(
        self, beds24: Beds24Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever goes wrong after the exchange, what the code brought is not lost."""
        code, house = beds24.invite(), make_property()
        exchange = channel_invites.exchange

        def overtaken(given: str) -> Any:
            account_id = exchange(given)
            make_connection(property_id=house.id, channel_property_id="51009")
            return account_id

        monkeypatch.setattr(channel_invites, "exchange", overtaken)
        with pytest.raises(Conflict):
            channel_properties.create(new(property_id=house.id, invite_code=code), actor=SYSTEM)
        assert (counted("channel_accounts"), counted("channel_properties")) == (1, 1)

    def test_never_inside_a_transaction(self, beds24: Beds24Live) -> None:
        code = beds24.invite()
        with pytest.raises(RuntimeError, match="inside a transaction"), transaction():
            channel_properties.create(new(invite_code=code), actor=SYSTEM)
        with beds24.account() as account:
            assert code in account.invites


class TestStanding:
    def test_a_noted_failure_and_its_end(self, beds24: Beds24Live) -> None:
        first, second = make_connection(), make_connection(channel_property_id="51002")
        channel_properties.note_failure(first.id, REASON)
        assert [(reload(r).status, reload(r).status_reason) for r in (first, second)] == [
            ("error", REASON)
        ] * 2
        before = reload(first).updated_at
        channel_properties.note_failure(second.id, REASON)
        assert reload(first).updated_at == before
        channel_properties.note_success(second.id)
        assert [(reload(r).status, reload(r).status_reason) for r in (first, second)] == [
            ("active", None)
        ] * 2

    def test_stays_has_no_account(self, app: Flask) -> None:
        row = make_connection(channel_name="stays")
        channel_properties.note_failure(row.id, REASON)
        assert (reload(row).status, reload(row).status_reason) == ("error", REASON)
        channel_properties.note_success(row.id)
        assert (reload(row).status, reload(row).status_reason) == ("active", None)

    def test_what_a_person_switched_off_stays_off(self, beds24: Beds24Live) -> None:
        row = make_connection(status="inactive")
        channel_properties.note_failure(row.id, REASON)
        assert reload(row).status == "inactive"
        channel_properties.note_success(row.id)
        assert reload(row).status == "inactive"

    def test_a_person_may_have_it_tried_again(self, beds24: Beds24Live) -> None:
        row = make_connection()
        channel_properties.note_failure(row.id, REASON)
        again = change(row, status="active")
        assert (again.status, again.status_reason) == ("active", None)
        channel_properties.note_failure(row.id, REASON)
        assert reload(row).status == "error"

    def test_an_unknown_connection_is_nobodys(self, app: Flask) -> None:
        channel_properties.note_failure(uuid4(), REASON)
        channel_properties.note_success(uuid4())


def test_the_audit_log_tells_which_secret_changed_and_not_what_it_is(beds24: Beds24Live) -> None:
    code, token = beds24.invite(), beds24.another_token()
    row = channel_properties.create(new(invite_code=code, webhook_secret=SECRET), actor=SYSTEM)
    change(row, refresh_token=token)
    change(row, webhook_secret=None)
    change(row, status="inactive", refresh_token="", invite_code=None)
    with transaction() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.at)).all()
        lines = session.execute(text("SELECT audit_log::text FROM audit_log")).scalars().all()
    assert [entry.action for entry in entries] == ["connect", "update", "update", "update"]
    told = [(e.after or {}).items() & SAID for e in entries]
    assert told == [
        {("invite_code", "replaced"), ("webhook_secret", "replaced")},
        {("refresh_token", "replaced")},
        {("webhook_secret", "removed")},
        set(),
    ]
    with beds24.account() as account:
        secrets = [code, token, SECRET, beds24.token, *account.refresh_tokens]
    assert not any(secret in line for secret in secrets for line in lines)
