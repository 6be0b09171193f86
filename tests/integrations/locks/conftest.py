"""A stand-in cloud and a client of it, for every test of the adapter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.integrations.locks import LockTarget
from app.integrations.locks.tuya import Limits, TuyaCloud, TuyaLocks
from tests.integrations.locks.tuya_standin import ACCESS_ID, ACCESS_SECRET, StandIn

#: generous enough for a busy machine; a test that waits for an end of patience takes IMPATIENT
QUICK = Limits(connect=3.0, read=4.0, token=5.0, wait=15.0, total=20.0, least=0.05)
IMPATIENT = Limits(connect=0.3, read=0.4, token=0.4, wait=5.0, total=5.0, least=0.05)


@pytest.fixture
def cloud() -> Iterator[StandIn]:
    stand_in = StandIn()
    stand_in.add_door("lock1")
    yield stand_in
    stand_in.stop()


@pytest.fixture
def line(cloud: StandIn) -> Iterator[TuyaCloud]:
    made = TuyaCloud(
        region="eu",
        access_id=ACCESS_ID,
        access_secret=ACCESS_SECRET,
        base_url=cloud.url,
        limits=QUICK,
    )
    yield made
    made.close()


@pytest.fixture
def locks(line: TuyaCloud) -> TuyaLocks:
    return TuyaLocks(line)


@pytest.fixture
def target() -> LockTarget:
    return LockTarget("lock1", "wifi")
