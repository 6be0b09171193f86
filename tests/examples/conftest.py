"""A house that sells through Harbour and opens its doors with Keyring: the edits of
docs/extending.md, made for the length of a test."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from app import config
from app.integrations import channels, locks
from app.models import reconciliation
from app.queue import registry
from app.queue.registry import JobSpec
from app.services import vendors
from app.web import reconciliation_wording
from tests.examples import harbour, keyring
from tests.examples.towns import HarbourTown, KeyringTown, served


@dataclass(frozen=True, slots=True)
class Settings(config.Settings):
    """Step 2: two fields for each, which `load` reads from the environment."""

    harbour_api_url: str | None = None
    harbour_api_key: str | None = dataclasses.field(default=None, repr=False)
    keyring_api_url: str | None = None
    keyring_api_key: str | None = dataclasses.field(default=None, repr=False)


def edit(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, value: object) -> None:
    """Change a line of `module`: whoever has imported the name has the new value."""
    old = getattr(module, name)
    for each in [found for key, found in sys.modules.items() if key.startswith("app.")]:
        if getattr(each, name, None) is old:
            monkeypatch.setattr(each, name, value)


def follow_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line that docs/extending.md has a third party add, but for its modules."""
    path = "tests.examples"
    monkeypatch.setitem(channels.CHANNELS, "harbour", f"{path}.harbour:client_from_settings")
    monkeypatch.setitem(channels.KNOWN, "harbour", harbour.CHANNEL)
    edit(monkeypatch, reconciliation, "RUN_KINDS", (*reconciliation.RUN_KINDS, "harbour"))
    tick = JobSpec(
        "reconciliation.tick_harbour",
        f"{path}.harbour_jobs.tick_harbour",
        registry.MAINTENANCE,
        60,
        cron="3,18,33,48 * * * *",
    )
    monkeypatch.setitem(registry.JOBS, tick.name, tick)
    monkeypatch.setitem(reconciliation_wording.KINDS, "harbour", ("Harbour", "every 15 min"))
    monkeypatch.setitem(locks.LOCK_VENDORS, "keyring", f"{path}.keyring:client_from_settings")
    monkeypatch.setitem(locks.KNOWN, "keyring", keyring.ENTRY)


@pytest.fixture
def harbour_town() -> HarbourTown:
    return HarbourTown()


@pytest.fixture
def keyring_town() -> KeyringTown:
    return KeyringTown("lock1")


@pytest.fixture
def quay(
    app: Flask,
    harbour_town: HarbourTown,
    keyring_town: KeyringTown,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Flask]:
    """The app with both added and set up, their clouds behind real ports."""
    follow_the_document(monkeypatch)
    before: config.Settings = app.extensions["settings"]
    values = {each.name: getattr(before, each.name) for each in dataclasses.fields(before)}
    with served(harbour_town.handle) as bookings, served(keyring_town.handle) as doors:
        now = Settings(
            **values,
            harbour_api_url=bookings,
            harbour_api_key="harbour-key",
            keyring_api_url=doors,
            keyring_api_key="keyring-key",
        )
        monkeypatch.setitem(app.extensions, "settings", now)
        vendors.forget_clients()
        yield app
    vendors.forget_clients()
