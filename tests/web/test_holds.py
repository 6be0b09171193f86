"""What is kept aside until when, kept longer, and given back (design/UI.md §4, HOLD-*)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.models import AuditEntry, ChannelEvent, InventoryHold, Reservation
from app.services import booking_changes, outbound_delivery
from app.services.booking_inputs import BookingChanges
from app.transaction import transaction
from tests.bookings import DESK, book, free, holds_of
from tests.conftest import Clock
from tests.factories import NO_SUCH_ID, make_property, reload
from tests.outbound import Sold, connect, events, make_sold
from tests.outbound_live import Channel, channel, deliver_all
from tests.web.forms import press, said_on

__all__ = ["channel"]

HTMX = {"HX-Request": "true", "HX-Target": "results"}


@pytest.fixture
def sold(clock: Clock) -> Sold:
    return make_sold(make_property(name="Vila Jasmim"), name="Superior")


def hold_of(stay: Reservation) -> InventoryHold:
    return holds_of(stay)[-1]


def test_the_list_says_for_whom_and_until_when(admin: FlaskClient, sold: Sold) -> None:
    stay = book(sold.kind, guest_name="Ingrid Solberg")
    hold = hold_of(stay)
    page = admin.get("/holds")
    said = said_on(page)
    assert "Ingrid Solberg" in said
    assert "1 Superior 12–14 Mar Waiting 09:15 at 09:15" in said
    assert f'data-until="{hold.hold_expires_at.isoformat(timespec="seconds")}"' in page.text
    assert f'href="/reservations/{stay.id}"' in page.text
    assert "Active holds 1 Confirmed holds 0 Released 0 Expired 0" in said


def test_an_empty_list_says_so(admin: FlaskClient, clock: Clock) -> None:
    make_property()
    assert "Nothing is held" in said_on(admin.get("/holds"))
    assert "No hold has ended this way" in said_on(admin.get("/holds?status=expired"))
    assert admin.get("/holds?status=forgotten").status_code == 422


def test_only_administrators_hold_and_release(staff: FlaskClient, sold: Sold) -> None:
    hold = hold_of(book(sold.kind))
    for path in ("/holds", f"/holds/{hold.id}/release"):
        assert staff.get(path).status_code == 403
    for verb in ("extend", "release"):
        assert press(staff, f"/holds/{hold.id}/{verb}").status_code == 403
    assert reload(hold).status == "active"


def test_a_poll_gets_nothing_until_something_changed(
    admin: FlaskClient, sold: Sold, clock: Clock
) -> None:
    book(sold.kind)
    page = admin.get("/holds")
    poll = re.search(r'hx-get="(/holds\?v=\w+)"', page.text)
    assert poll
    assert "every 15s" in page.text
    assert admin.get(poll[1], headers=HTMX).status_code == 204
    clock.move(minutes=11)  # time alone makes it urgent
    news = admin.get(poll[1], headers=HTMX)
    assert news.status_code == 200
    assert "is-warned" in news.text
    assert "<html" not in news.text
    poll = re.search(r'hx-get="(/holds\?v=\w+)"', news.text)
    assert poll
    with transaction() as session:
        (event,) = session.scalars(select(ChannelEvent))
        event.status, event.updated_at = "failed", clock.now
    assert admin.get(poll[1], headers=HTMX).status_code == 200


def test_extending_goes_in_steps_up_to_the_cap(
    admin: FlaskClient, sold: Sold, clock: Clock
) -> None:
    hold = hold_of(book(sold.kind))
    end = hold.hold_expires_at
    path = f"/holds/{hold.id}/extend"
    assert press(admin, path).headers["Location"] == "/holds"
    assert reload(hold).hold_expires_at == end + timedelta(minutes=10)
    shown = press(admin, path, htmx=True)
    assert shown.headers["HX-Trigger"] == "changed"
    assert "Kept until 09:35: Ana Souza" in shown.text
    for _ in range(2):
        press(admin, path)
    assert "Extend 5 min" in said_on(admin.get("/holds"))
    press(admin, path)
    assert reload(hold).hold_expires_at == hold.created_at + timedelta(minutes=60)
    full = said_on(admin.get("/holds"))
    assert "Limit reached" in full
    assert "Extend" not in full
    refused = press(admin, path, htmx=True)
    assert refused.status_code == 409
    assert "lasted as long as one may" in refused.text
    with transaction() as session:
        verbs = session.scalars(select(AuditEntry.action).filter_by(entity="hold")).all()
    assert verbs == ["extend"] * 5


def test_releasing_asks_first_and_fails_the_booking(
    admin: FlaskClient, sold: Sold, clock: Clock
) -> None:
    stay = book(sold.kind)
    hold = hold_of(stay)
    path = f"/holds/{hold.id}/release"
    asked = said_on(admin.get(path))
    assert "Release the hold of Ana Souza?" in asked
    assert "Booking fails: the guest has no room" in asked
    assert reload(hold).status == "active"
    done = press(admin, path, htmx=True)
    assert done.headers["HX-Trigger"] == "changed"
    assert (reload(hold).status, reload(stay).status) == ("released", "failed")
    assert free(sold.kind) == [3, 3]
    assert [event.status for event in events()][:1] == ["failed"]
    again = press(admin, path, htmx=True)
    assert again.status_code == 409
    assert "This hold has ended already" in again.text
    assert "released its hold" in said_on(admin.get(f"/reservations/{stay.id}"))
    assert "Ana Souza" in said_on(admin.get("/holds?status=released"))


def test_releasing_warns_of_what_was_sent_without_an_answer(
    admin: FlaskClient, sold: Sold, clock: Clock
) -> None:
    hold = hold_of(book(sold.kind))
    with transaction() as session:
        (event,) = session.scalars(select(ChannelEvent))
        event.sent_at = clock.now
    said = said_on(admin.get(f"/holds/{hold.id}/release"))
    assert "The booking was sent and nobody has answered yet" in said


def test_a_booking_that_is_being_sent_is_not_released(
    admin: FlaskClient, sold: Sold, clock: Clock
) -> None:
    stay = book(sold.kind)
    with transaction() as session:
        (event,) = session.scalars(select(ChannelEvent))
        event.status, event.lease_until = "processing", clock.now + timedelta(seconds=45)
    refused = press(admin, f"/holds/{hold_of(stay).id}/release", htmx=True)
    assert refused.status_code == 409
    assert "being sent right now" in refused.text
    assert reload(stay).status == "pending_sync"


def test_each_house_has_its_own_holds_and_none_is_not_there(admin: FlaskClient, sold: Sold) -> None:
    house = make_property(name="Casa do Rio")
    other = make_sold(house, connection=connect(house, "51002"), room_ref="610012")
    book(sold.kind, guest_name="Ingrid Solberg")
    book(other.kind, guest_name="Caio Bastos")
    here = said_on(admin.get(f"/holds?property={sold.house.id}"))
    assert "Ingrid Solberg" in here
    assert "Caio Bastos" not in here
    assert "Active holds 1 " in here
    both = said_on(admin.get("/holds?property=all"))
    assert "Active holds 2 " in both
    assert "Casa do Rio" in both
    assert admin.get(f"/holds/{NO_SUCH_ID}/release").status_code == 404
    assert press(admin, f"/holds/{NO_SUCH_ID}/extend").status_code == 404


def test_the_number_of_statements_does_not_grow(
    admin: FlaskClient, sold: Sold, statements: object
) -> None:
    book(sold.kind)
    admin.get("/holds")
    with statements() as few:  # type: ignore[operator]
        admin.get("/holds")
    book(sold.kind)
    book(sold.kind)
    with statements() as many:  # type: ignore[operator]
        page = admin.get("/holds")
    assert "Active holds 3" in said_on(page)
    assert len(many) == len(few)


def test_why_a_booking_failed_stays_said_when_the_rest_is_closed(
    admin: FlaskClient, channel: Channel, sold: Sold
) -> None:
    """A change that waits behind the booking finds nothing to do: that is no good news."""
    channel.fault("500", operation="post_bookings")
    stay = book(sold.kind)
    outbound_delivery.deliver(events()[0].id)
    changes = BookingChanges(version=reload(stay).version, guest_phone="+55 48 99999-0000")
    booking_changes.change(stay.id, changes, actor=DESK)
    press(admin, f"/holds/{hold_of(stay).id}/release")
    channel.mend()
    deliver_all(channel.clock)
    assert channel.bookings == []
    row = reload(stay)
    assert row.status == "failed"
    assert "released its hold" in said_on(admin.get(f"/reservations/{stay.id}")), row.sync_error
