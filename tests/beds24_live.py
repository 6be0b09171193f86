"""The pretended Beds24 on a real socket, with the app pointed at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import stamina
from flask import Flask

from app.models import ChannelProperty
from app.sandbox import beds24_account, faults
from app.sandbox.app import create_sandbox
from app.sandbox.beds24_records import Beds24Account
from app.sandbox.credentials import credentials, load_keys
from app.sandbox.records import World
from app.sandbox.server import running
from app.services import vendors
from app.transaction import transaction
from tests.factories import make_property


@dataclass
class Beds24Live:
    """A running Beds24 whose account can be looked into and changed."""

    app: Flask
    sandbox: Flask
    url: str
    token: str  # the seed in the app's environment

    @contextmanager
    def _world(self) -> Iterator[World]:
        with self.sandbox.extensions["sandbox"].store.open() as world:
            yield world

    @contextmanager
    def account(self) -> Iterator[Beds24Account]:
        with self._world() as world:
            yield world.beds24

    def rotates(self) -> None:
        """From now on each mint kills the refresh token it was made with."""
        with self.account() as account:
            account.settings.rotate = True

    def invite(self) -> str:
        with self.account() as account:
            return beds24_account.make_invite(account, datetime.now(UTC).timestamp())

    def another_token(self) -> str:
        """A refresh token besides the environment's."""
        with self.account() as account:
            account.refresh_tokens.append(beds24_account.make_token())
            return account.refresh_tokens[-1]

    def refuse(self, token: str) -> None:
        """A refresh token is dead from now on, and every access token with it."""
        with self.account() as account:
            beds24_account.revoke(account, token)
            account.access_tokens.clear()

    @property
    def mints(self) -> int:
        """How many times an access token was asked for."""
        with self._world() as world:
            return int(world.calls.get("beds24.token", 0))

    def fails(self, kind: str, **options: Any) -> None:
        """Switch a fault of the sandbox on."""
        with self._world() as world:
            faults.switch_on(world, "beds24", kind, **options)

    def heals(self) -> None:
        with self._world() as world:
            faults.switch_off(world)

    def configure(self, **changes: Any) -> None:
        """Other settings for the app, as after a restart."""
        self.app.extensions["settings"] = replace(self.app.extensions["settings"], **changes)
        vendors.forget_clients()


@contextmanager
def beds24_live(app: Flask, tmp_path: Path) -> Iterator[Beds24Live]:
    """Run it for the length of a block; the app's environment names its first refresh token."""
    sandbox = create_sandbox(tmp_path / "state", keys=load_keys(tmp_path))
    configured = app.extensions["settings"]
    token = credentials(tmp_path)["BEDS24_REFRESH_TOKEN"]
    with running(sandbox) as base, stamina.set_testing(True, attempts=2):
        live = Beds24Live(app, sandbox, f"{base}/beds24", token)
        live.configure(beds24_api_url=live.url, beds24_refresh_token=token)
        try:
            yield live
        finally:
            app.extensions["settings"] = configured
            vendors.forget_clients()


def make_connection(**fields: Any) -> ChannelProperty:
    """A property of its own, connected to Beds24 without an account or secret of its own."""
    defaults = {
        "channel_name": "beds24",
        "channel_property_id": "51001",
    }
    if "property_id" not in fields:
        fields["property_id"] = make_property().id
    with transaction() as session:
        row = ChannelProperty(**(defaults | fields))
        session.add(row)
        session.flush()
        session.refresh(row)
    return row
