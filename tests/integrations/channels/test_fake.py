"""The in-memory channel keeps the promises that services are tested against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest

from app.integrations.channels import load_channel
from app.integrations.channels.fake import FakeChannel, channel
from app.integrations.channels.stays_payloads import parse_simple
from app.integrations.errors import NotFound, RateLimited, Unreachable
from tests.integrations.channels.worlds import SINCE, TODAY, Booking, SimpleWorld

STAY = parse_simple(SimpleWorld.item(Booking()))


@pytest.fixture
def fake() -> Iterator[FakeChannel]:
    yield channel
    channel.reset()


def test_the_factory_hands_out_the_one_a_test_scripts(fake: FakeChannel) -> None:
    client = load_channel("fake")(None)
    fake.put(STAY)
    assert client.get(STAY.external_id) == STAY
    assert fake.calls == [("get", STAY.external_id)]
    fake.reset()
    with pytest.raises(NotFound):
        client.get(STAY.external_id)


def test_only_what_changed_since_comes(fake: FakeChannel) -> None:
    fake.put(STAY, at=SINCE - timedelta(seconds=1))
    fake.put(replace(STAY, external_id="B"), at=SINCE)
    answer = fake.changes(SINCE, today=TODAY, known={})
    assert [stay.external_id for stay in answer.reservations] == ["B"]
    assert (answer.swept, answer.seen) == (None, frozenset())


def test_a_sweep_sees_what_is_inside_and_reads_what_differs(fake: FakeChannel) -> None:
    fake.swept = (date(2026, 11, 9), date(2026, 12, 9))
    long_ago = SINCE - timedelta(days=30)
    fake.put(replace(STAY, external_id="same", sweep_hash="1"), at=long_ago)
    fake.put(replace(STAY, external_id="other", sweep_hash="2"), at=long_ago)
    later = date(2027, 5, 1)
    fake.put(
        replace(STAY, external_id="far", check_in_on=later, check_out_on=later + timedelta(days=1)),
        at=long_ago,
    )
    answer = fake.changes(SINCE, today=TODAY, known={"same": "1", "other": "1", "gone": "1"})
    assert [stay.external_id for stay in answer.reservations] == ["other"]
    assert answer.seen == {"same", "other"}


def test_faults_come_in_order_and_end(fake: FakeChannel) -> None:
    fake.fail("changes", Unreachable("silent"), RateLimited("busy", retry_after=3))
    for expected in (Unreachable, RateLimited):
        with pytest.raises(expected):
            fake.changes(SINCE, today=TODAY, known={})
    assert fake.changes(SINCE, today=TODAY, known={}).fetched == 0
    with pytest.raises(ValueError, match="no such call"):
        fake.fail("cancel", Unreachable("silent"))
