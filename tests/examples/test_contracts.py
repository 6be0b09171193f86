"""The examples keep every promise that Stays, Beds24 and Tuya keep: the same tests, unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
import stamina

from tests.contracts import test_channel_clients, test_lock_clients
from tests.examples.towns import HarbourTown, KeyringTown


def promises(module: ModuleType, *of: str) -> dict[str, Callable[..., None]]:
    """The tests of a contract suite that ask for one of these fixtures."""
    return {
        name: test
        for name, test in vars(module).items()
        if name.startswith("test_") and set(of) & set(test.__code__.co_varnames)
    }


CHANNEL = promises(test_channel_clients, "world")
LOCKS = promises(test_lock_clients, "client", "bench")
globals().update(CHANNEL | LOCKS)


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def world() -> HarbourTown:
    return HarbourTown()


@pytest.fixture
def bench() -> KeyringTown:
    return KeyringTown()


@pytest.fixture
def client(bench: KeyringTown) -> object:
    return bench.client


def test_no_promise_was_left_out() -> None:
    """But for the two about the map of dialects, which ask for no client."""
    every = {*vars(test_channel_clients), *vars(test_lock_clients)}
    asked = {name for name in every if name.startswith("test_")} - CHANNEL.keys() - LOCKS.keys()
    assert asked == {
        "test_every_dialect_is_held_to_the_contract",
        "test_the_map_leads_to_a_factory",
    }
