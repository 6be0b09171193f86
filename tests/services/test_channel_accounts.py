"""Accounts at Beds24: whose token speaks for a property, and one renewal for all processes."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from app import config
from app.crypto import SecretVault
from app.errors import NotFound, Unavailable
from app.extensions import db
from app.factory import create_app
from app.integrations.channels.beds24_tokens import Tokens
from app.integrations.errors import (
    IntegrationError,
    NotConfigured,
    Unauthorized,
    Unreachable,
)
from app.models import Alert, ChannelAccount, ChannelProperty
from app.runtime import secret_vault
from app.services import (
    beds24_connections,
    channel_accounts,
    channel_properties,
    channel_tokens,
    channel_upkeep,
    seals,
    vendors,
)
from app.services.audit import SYSTEM
from app.services.beds24_connections import Spot
from app.services.channel_properties import ChannelPropertyChanges
from app.services.channel_tokens import AccountTokens
from app.services.seals import Renewal
from app.transaction import transaction
from tests import forked
from tests.beds24_live import Beds24Live, beds24_live, make_connection
from tests.factories import reload

DAY = date(2026, 12, 1)
REFUSED = "Beds24 refused the refresh token: connect the property again with a new invite code"


@pytest.fixture
def beds24(app: Flask, tmp_path: Path) -> Iterator[Beds24Live]:
    with beds24_live(app, tmp_path) as live:
        yield live


def accounts() -> list[ChannelAccount]:
    with transaction() as session:
        return list(session.scalars(select(ChannelAccount).order_by(ChannelAccount.created_at)))


def adopt(token: str, origin: str = "token") -> UUID:
    with transaction() as session:
        return channel_accounts.adopt(session, Tokens(token), origin)


def own(token: str, **fields: Any) -> ChannelProperty:
    """A connection with an account of its own."""
    return make_connection(account_id=adopt(token), **fields)


def read(row: ChannelProperty) -> Any:
    return vendors.beds24_client(row.id).calendar(["610011"], DAY, DAY)


def age(account_id: UUID, **ago: float) -> None:
    """Let an account have been used that long ago for the last time."""
    moment = datetime.now(UTC) - timedelta(**ago)
    with transaction() as session:
        session.execute(
            update(ChannelAccount)
            .where(ChannelAccount.id == account_id)
            .values(created_at=moment, refreshed_at=moment, access_expires_at=moment)
        )


class TestWhoseAccount:
    def test_the_environments_is_made_once_and_shared(self, beds24: Beds24Live) -> None:
        first, second = make_connection(), make_connection(channel_property_id="51002")
        assert vendors.beds24_client(first.id) is vendors.beds24_client(second.id)
        assert read(first)
        assert read(second)
        (account,) = accounts()
        assert (account.origin, beds24.mints) == ("environment", 1)

    def test_ones_own_comes_first(self, beds24: Beds24Live) -> None:
        shared, single = make_connection(), own(beds24.another_token(), channel_property_id="51002")
        beds24.refuse(beds24.token)
        assert read(single)
        with pytest.raises(Unauthorized):
            read(shared)
        assert vendors.beds24_client(shared.id) is not vendors.beds24_client(single.id)

    def test_the_same_token_twice_is_the_same_account(self, beds24: Beds24Live) -> None:
        """DECISIONS 13, also when Beds24 has replaced the token in between."""
        beds24.rotates()
        token = beds24.another_token()
        first = own(token)
        assert read(first)
        second = own(token, channel_property_id="51002")
        assert first.account_id == second.account_id
        assert read(second)
        assert beds24.mints == 1

    def test_the_environments_token_given_by_hand_is_no_second_account(
        self, beds24: Beds24Live
    ) -> None:
        assert read(make_connection())
        assert read(own(beds24.token, channel_property_id="51002"))
        assert [row.origin for row in accounts()] == ["environment"]

    def test_a_new_value_in_the_environment_wins(self, beds24: Beds24Live) -> None:
        row = make_connection()
        assert read(row)
        beds24.refuse(beds24.token)
        beds24.configure(beds24_refresh_token=beds24.another_token())
        assert read(row)
        assert len(accounts()) == 2

    def test_without_any_token_there_is_no_client(self, app: Flask) -> None:
        row = make_connection()
        with pytest.raises(Unavailable, match="BEDS24_REFRESH_TOKEN"):
            vendors.beds24_client(row.id)
        with pytest.raises(Unavailable):
            vendors.listings_clients("beds24")
        with pytest.raises(NotFound):
            vendors.beds24_client(uuid4())
        stays = make_connection(channel_name="stays")
        with pytest.raises(NotFound):
            vendors.beds24_client(stays.id)

    def test_units_are_listed_by_every_account_in_use(self, beds24: Beds24Live) -> None:
        make_connection()
        own(beds24.another_token(), channel_property_id="51002")
        clients = vendors.listings_clients("beds24")
        assert len(clients) == 2
        assert all(len(client.listings()) == 8 for client in clients)

    def test_nothing_is_stored_in_the_clear(self, beds24: Beds24Live) -> None:
        read(make_connection())
        with transaction() as session:
            stored = session.execute(text("SELECT channel_accounts::text FROM channel_accounts"))
            (line,) = stored.scalars().all()
        with beds24.account() as account:
            secrets = [beds24.token, *account.access_tokens]
        assert len(secrets) == 2
        assert not any(secret in line for secret in secrets)


def call(settings: config.Settings, row_id: UUID, line: Connection, *, threads: int = 2) -> None:
    """One process: ready, wait for the shot, read from two threads, and tell what came of it."""
    app = create_app(settings, testing=True)
    with app.app_context(), transaction() as session:
        session.execute(select(1))
    outcomes: list[str] = []

    def ask() -> None:
        with app.app_context():
            try:
                vendors.beds24_client(row_id).calendar(["610011"], DAY, DAY)
                outcomes.append("read")
            except Exception as error:
                outcomes.append(repr(error))

    callers = [threading.Thread(target=ask) for _ in range(threads)]
    line.send("ready")
    line.recv()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    line.send(outcomes)
    with app.app_context():
        db.engine.dispose()


def die_renewing(settings: config.Settings, account_id: UUID, line: Connection) -> None:
    """Take the account's lock, tell so, and wait to be killed."""
    app = create_app(settings, testing=True)
    with app.app_context(), AccountTokens(account_id).refreshing():
        line.send("renewing")
        time.sleep(60)


def die_before_saving(settings: config.Settings, row_id: UUID, line: Connection) -> None:
    """End without a word between Beds24's answer and the database."""
    with create_app(settings, testing=True).app_context():
        AccountTokens.save = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
        vendors.beds24_client(row_id).calendar(["610011"], DAY, DAY)


@contextlib.contextmanager
def child(target: Callable[..., None], *args: Any) -> Iterator[tuple[Any, Connection]]:
    context = forked.context()
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(*args, theirs))
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        process.kill()
        process.join(10)
        process.close()
        ours.close()


class TestRenewal:
    @pytest.fixture
    def settings(
        self,
        beds24: Beds24Live,
        make_settings: Callable[..., config.Settings],
        test_database: str,
        redis_url: str,
    ) -> config.Settings:
        """The app's settings for other processes."""
        return make_settings(
            DATABASE_URL=test_database,
            REDIS_URL=redis_url,
            BEDS24_API_URL=beds24.url,
            BEDS24_REFRESH_TOKEN=beds24.token,
        )

    @pytest.mark.timeout(120)
    def test_eight_callers_in_four_processes_mint_once(
        self, beds24: Beds24Live, settings: config.Settings
    ) -> None:
        """Beds24 kills the old token with every mint: a second one would be refused."""
        beds24.rotates()
        row = make_connection()
        with contextlib.ExitStack() as stack:
            lines = [stack.enter_context(child(call, settings, row.id))[1] for _ in range(4)]
            assert [line.recv() for line in lines] == ["ready"] * 4
            for line in lines:
                line.send("go")
            outcomes = [outcome for line in lines for outcome in line.recv()]
        assert outcomes == ["read"] * 8
        assert beds24.mints == 1
        (account,) = accounts()
        assert account.last_error is None
        with beds24.account() as theirs:
            assert secret_vault().open(account.refresh_token_encrypted) in theirs.refresh_tokens

    def test_a_killed_process_leaves_no_lock(
        self, beds24: Beds24Live, settings: config.Settings
    ) -> None:
        row = make_connection()
        account_id = channel_accounts.of_property(row.id)
        with child(die_renewing, settings, account_id) as (process, line):
            assert line.recv() == "renewing"
            process.kill()
            process.join(10)
            started = time.monotonic()
            assert read(row)
            assert time.monotonic() - started < 5

    def test_a_process_killed_before_it_saved_is_told_about(
        self, beds24: Beds24Live, settings: config.Settings
    ) -> None:
        """The new token is lost and the old one dead: no program can mend that, a person can."""
        beds24.rotates()
        row = make_connection()
        with child(die_before_saving, settings, row.id) as (process, _):
            process.join(20)
            assert process.exitcode == -signal.SIGKILL
        with pytest.raises(Unauthorized):
            read(row)
        found = reload(row)
        assert (found.status, found.status_reason) == ("error", REFUSED)
        changes = ChannelPropertyChanges(invite_code=beds24.invite())
        mended = channel_properties.change(row.id, changes, actor=SYSTEM)
        assert (mended.status, mended.status_reason) == ("active", None)
        assert read(row)

    def test_what_another_process_did_is_used_at_the_next_call(self, beds24: Beds24Live) -> None:
        row = make_connection()
        assert read(row)
        client = vendors.beds24_client(row.id)
        other = AccountTokens(channel_accounts.of_property(row.id))
        beds24.refuse(beds24.token)
        other.save(Tokens(beds24.another_token()))
        assert client.calendar(["610011"], DAY, DAY)

    def test_who_waits_too_long_may_try_again(
        self, beds24: Beds24Live, monkeypatch: pytest.MonkeyPatch, test_database: str
    ) -> None:
        monkeypatch.setattr(channel_tokens, "LOCK_SECONDS", 0.1)
        row = make_connection()
        key = channel_tokens._key(channel_accounts.of_property(row.id))
        with psycopg.connect(test_database, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [key])
            with pytest.raises(Unreachable, match="another process"):
                read(row)
        assert (reload(row).status, beds24.mints) == ("active", 0)
        assert read(row)

    def test_a_lock_lost_on_the_way_spoils_nothing(
        self, beds24: Beds24Live, test_database: str
    ) -> None:
        tokens = AccountTokens(adopt(beds24.another_token()))
        with tokens.refreshing():
            with psycopg.connect(test_database, autocommit=True) as connection:
                ended = connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'turnkey-tokens' AND datname = current_database()"
                ).fetchall()
            tokens.save(Tokens("replaced"))
        assert ended == [(True,)]
        assert tokens.load().refresh_token == "replaced"

    def test_new_tokens_outlive_a_database_that_is_away(
        self, beds24: Beds24Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beds24.rotates()
        row = make_connection()
        keep, tries = channel_accounts.keep, iter((1, 2))

        def away_twice(*args: Any) -> None:
            if next(tries, None) is not None:
                raise OperationalError("", None, Exception("away"))
            keep(*args)

        monkeypatch.setattr(channel_accounts, "keep", away_twice)
        assert read(row)
        assert next(tries, None) is None
        monkeypatch.undo()
        vendors.beds24_client(row.id).account.refresh()

    def test_never_inside_a_transaction(self, beds24: Beds24Live) -> None:
        tokens = AccountTokens(adopt("t" * 20))
        with transaction(), pytest.raises(RuntimeError, match="inside a transaction"):
            tokens.load()
        with transaction(), pytest.raises(RuntimeError, match="inside a transaction"):
            tokens.save(Tokens("x"))

    def test_an_account_that_was_taken_away(self, app: Flask) -> None:
        with pytest.raises(NotConfigured):
            AccountTokens(uuid4()).load()

    def test_tokens_no_key_opens_are_an_error_with_its_reason(self, beds24: Beds24Live) -> None:
        row = own(beds24.another_token())
        with transaction() as session:
            session.execute(update(ChannelAccount).values(refresh_token_encrypted="sealed by none"))
        with pytest.raises(Unauthorized, match="PIN_ENCRYPTION_KEYS"):
            read(row)
        reason = reload(row).status_reason
        assert reason is not None
        assert "PIN_ENCRYPTION_KEYS" in reason


class TestStanding:
    def test_a_refusal_hits_every_property_of_the_account(self, beds24: Beds24Live) -> None:
        token = beds24.another_token()
        hit = [own(token, channel_property_id=str(51_002 + n)) for n in range(2)]
        off = own(token, channel_property_id="51009", status="inactive")
        spared = make_connection()
        beds24.refuse(token)
        with pytest.raises(Unauthorized):
            read(hit[0])
        assert [(reload(r).status, reload(r).status_reason) for r in hit] == [
            ("error", REFUSED)
        ] * 2
        assert (reload(off).status, reload(spared).status) == ("inactive", "active")
        with transaction() as session:
            (alert,) = session.scalars(select(Alert)).all()
        assert (alert.kind, alert.status) == ("channel_unreachable", "open")
        assert "invite code" in alert.what_to_do

    def test_the_environments_refusal_hits_those_without_an_account(
        self, beds24: Beds24Live
    ) -> None:
        shared = make_connection()
        single = own(beds24.another_token(), channel_property_id="51002")
        other = make_connection(channel_name="stays")
        beds24.refuse(beds24.token)
        with pytest.raises(Unauthorized):
            read(shared)
        assert [reload(r).status for r in (shared, single, other)] == ["error", "active", "active"]

    def test_a_refusal_that_is_known_writes_nothing(self, beds24: Beds24Live) -> None:
        row = make_connection()
        beds24.refuse(beds24.token)
        seen = []
        for _ in range(2):
            with pytest.raises(Unauthorized):
                read(row)
            (account,) = accounts()
            seen.append((account.updated_at, account.last_error_at, reload(row).updated_at))
        assert seen[0] == seen[1]

    def test_a_mint_that_works_again_ends_it(self, beds24: Beds24Live) -> None:
        row = make_connection()
        beds24.refuse(beds24.token)
        with pytest.raises(Unauthorized):
            read(row)
        with beds24.account() as account:
            account.revoked.clear()
        assert read(row)
        assert (reload(row).status, reload(row).status_reason) == ("active", None)
        with transaction() as session:
            assert session.scalars(select(Alert.status)).all() == ["resolved"]
        assert accounts()[0].last_error is None

    def test_a_missing_scope_is_no_flicker(self, beds24: Beds24Live) -> None:
        """Reading goes on working; only the call that was refused can end it."""
        row = make_connection()
        client = vendors.beds24_client(row.id)
        beds24.fails("no_scope", operation="post_calendar")
        item = {"roomId": 610_011, "calendar": [{"from": "2026-12-01", "to": "2026-12-01"}]}
        with pytest.raises(Unauthorized, match="POST /inventory/rooms/calendar"):
            client.push_calendar([item])
        assert read(row)
        vendors.beds24_client(row.id).account.refresh()
        channel_properties.note_success(row.id)
        assert reload(row).status == "error"
        beds24.heals()
        client.push_calendar([item])
        assert reload(row).status == "active"

    @pytest.mark.parametrize("kind", ["500", "429", "html"])
    def test_an_outage_is_no_refusal(self, beds24: Beds24Live, kind: str) -> None:
        row = make_connection()
        beds24.fails(kind)
        with pytest.raises(IntegrationError):
            read(row)
        assert (reload(row).status, accounts()[0].last_error) == ("active", None)

    def test_a_note_that_cannot_be_written_does_not_spoil_an_answer(
        self, beds24: Beds24Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = make_connection()
        beds24.refuse(beds24.token)

        def away(*args: Any) -> None:
            raise OperationalError("", None, Exception("away"))

        monkeypatch.setattr(channel_accounts, "note_refused", away)
        with pytest.raises(Unauthorized):
            read(row)

    def test_a_token_given_again_after_a_refusal_is_believed(self, beds24: Beds24Live) -> None:
        """A restored backup: we hold one that was replaced long ago."""
        token = beds24.another_token()
        row = own(token)
        AccountTokens(channel_accounts.of_property(row.id)).save(Tokens("long dead"))
        with pytest.raises(Unauthorized):
            read(row)
        channel_properties.change(row.id, ChannelPropertyChanges(refresh_token=token), actor=SYSTEM)
        assert reload(row).status == "active"
        assert read(row)


class TestUpkeep:
    def test_who_was_idle_is_renewed(self, beds24: Beds24Live) -> None:
        """A refresh token dies after 30 days unused (contracts/beds24.md §2)."""
        idle = own(beds24.another_token())
        busy = own(beds24.another_token(), channel_property_id="51002")
        assert idle.account_id is not None
        assert busy.account_id is not None
        age(idle.account_id, days=5, minutes=1)
        age(busy.account_id, days=4)
        channel_upkeep.keep_alive()
        assert beds24.mints == 1
        renewed = reload(next(a for a in accounts() if a.id == idle.account_id)).refreshed_at
        assert renewed is not None
        assert datetime.now(UTC) - renewed < timedelta(minutes=1)

    def test_a_refusal_shows_before_anybody_needs_the_token(self, beds24: Beds24Live) -> None:
        row, other = own(beds24.another_token()), make_connection(channel_property_id="51002")
        assert row.account_id is not None
        age(row.account_id, days=6)
        age(channel_accounts.of_property(other.id), days=7)
        beds24.refuse(beds24.token)
        channel_upkeep.keep_alive()
        assert (reload(row).status, reload(other).status) == ("active", "error")

    def test_an_outage_is_waited_for(self, beds24: Beds24Live) -> None:
        row = own(beds24.another_token())
        assert row.account_id is not None
        age(row.account_id, days=6)
        beds24.fails("500")
        channel_upkeep.keep_alive()
        assert reload(row).status == "active"
        beds24.heals()
        before = beds24.mints
        channel_upkeep.keep_alive()
        assert beds24.mints == before + 1

    def test_an_invited_account_nobody_uses_is_ended_at_beds24(self, beds24: Beds24Live) -> None:
        token = beds24.another_token()
        account_id = adopt(token, "invite")
        age(account_id, days=1)
        channel_upkeep.keep_alive()  # calls with its access token may still be under way
        assert len(accounts()) == 1
        age(account_id, days=3)
        beds24.fails("500")
        channel_upkeep.keep_alive()  # nothing is forgotten that was not ended
        assert len(accounts()) == 1
        beds24.heals()
        channel_upkeep.keep_alive()
        assert accounts() == []
        with beds24.account() as account:
            assert token not in account.refresh_tokens

    def test_a_pasted_token_is_never_ended(self, beds24: Beds24Live) -> None:
        """It may serve somebody else as well; here it is forgotten once it cannot live."""
        token = beds24.another_token()
        account_id = adopt(token)
        age(account_id, days=29)
        channel_upkeep.keep_alive()
        assert len(accounts()) == 1
        age(account_id, days=31)
        channel_upkeep.keep_alive()
        assert accounts() == []
        with beds24.account() as account:
            assert token in account.refresh_tokens

    def test_seals_of_an_old_key_are_renewed(
        self, beds24: Beds24Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = own(beds24.another_token())
        read(row)
        channel_properties.new_webhook_secret(row.id, actor=SYSTEM)
        keys, key = beds24.app.extensions["settings"].pin_encryption_keys, Fernet.generate_key()

        def rekeyed(*given: str) -> None:
            monkeypatch.setitem(beds24.app.extensions, "secret_vault", SecretVault(given, "key"))

        rekeyed(key.decode(), *keys)
        assert seals.reseal() == Renewal(2, 0)
        assert seals.reseal() == Renewal(0, 0)
        rekeyed(key.decode())
        assert read(row)
        with transaction() as session:
            assert beds24_connections.find(session, {Spot("51001")})

    def test_what_is_used_stays(self, beds24: Beds24Live) -> None:
        row = make_connection(account_id=adopt(beds24.another_token(), "invite"))
        assert row.account_id is not None
        age(row.account_id, days=40)
        channel_upkeep.keep_alive()
        assert row.account_id in [account.id for account in accounts()]
        assert read(row)
