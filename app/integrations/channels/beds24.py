"""Beds24's API V2: bookings by change, by stay or by id, units, calendars, and writes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from app.config import Settings
from app.integrations import http
from app.integrations.channels import (
    ChangeSet,
    ChannelListing,
    ChannelReservation,
    ItemError,
    beds24_items,
)
from app.integrations.channels.beds24_calendar import Nights, read_room
from app.integrations.channels.beds24_tokens import (
    VENDOR,
    Account,
    Credits,
    MemoryTokens,
    Standing,
    Tokens,
    TokenStore,
)
from app.integrations.channels.beds24_units import read_property
from app.integrations.channels.beds24_wire import (
    STATUSES,
    booking_id,
    fault,
    parse_booking,
    property_of,
)
from app.integrations.channels.beds24_writes import Written, read_results
from app.integrations.channels.stays_payloads import currency, identifier, item_hash
from app.integrations.errors import (
    NotConfigured,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unreadable,
)

BOOKINGS, PROPERTIES, CALENDAR = "/bookings", "/properties", "/inventory/rooms/calendar"
#: whether `modifiedFrom` includes its own second is not said, and pages move under a reader (§4.1)
OVERLAP = timedelta(minutes=10)
PAGE_ROWS = 100
#: more is a reading that does not end
MAX_PAGES = 1000
#: what one POST may carry, well below the 10,000 items and the megabyte Beds24 allows (§1)
MAX_WRITTEN = 500
#: ids in one question: a page's worth, and a URL that every proxy takes
IDS_AT_ONCE = 100
ALL_STATUSES = tuple(("status", status) for status in STATUSES)


class Beds24Client:
    """One account of Beds24. `currencies` says what each of its properties sells in, by the
    property's id there: a booking does not (§4.3)."""

    def __init__(self, account: Account, currencies: Mapping[str, str] | None = None) -> None:
        self.account = account
        self._currencies = currencies or {}

    @property
    def credits(self) -> Credits | None:
        """What the latest answer said of the account's credits; None before any."""
        return self.account.credits

    def changes(
        self, since: datetime, *, today: date, known: Mapping[str, str | None]
    ) -> ChangeSet:
        """Every booking changed at or after `since` in any status, and a while before it. Deleted
        ones never show: `sweep` finds them. An item that is to the letter what `known` was made
        from is counted and not read."""
        stamp = (since.astimezone(UTC) - OVERLAP).strftime("%Y-%m-%dT%H:%M:%S")
        return self._sort_out(self._bookings([("modifiedFrom", stamp)]), known)

    def sweep(
        self,
        first: date,
        last: date,
        *,
        known: Mapping[str, str | None],
        rooms: Sequence[str] = (),
    ) -> ChangeSet:
        """Every booking that touches the days from `first` to `last`, whenever it was changed: what
        is ours inside and not in `seen` may be gone, and is asked for by id (§11). With `rooms`,
        only theirs."""
        window = [("departureFrom", first.isoformat()), ("arrivalTo", last.isoformat())]
        window += [("roomId", room) for room in rooms]
        return self._sort_out(self._bookings(window), known, swept=(first, last))

    def sweep_pages(
        self, first: date, last: date, property_ref: str, *, known: Mapping[str, str | None]
    ) -> Iterator[ChangeSet]:
        """What `sweep` reads of one property, page by page: however many bookings there are, no
        more than a page of them is held. A booking can be on two pages; those of another property
        are dropped. Only who has taken the last page has read it whole."""
        window = [
            ("propertyId", property_ref),
            ("departureFrom", first.isoformat()),
            ("arrivalTo", last.isoformat()),
        ]
        for rows in self._pages(BOOKINGS, [*window, *ALL_STATUSES]):
            own = [row for row in rows if _is_of(row, property_ref)]
            yield self._sort_out(own, known, swept=(first, last))

    def get(self, external_id: str) -> ChannelReservation:
        """One booking, whatever its status; NotFound when Beds24 answers that there is none."""
        if not external_id.strip():
            raise NotFound("an empty id names no booking", vendor=VENDOR)
        items, _ = self._page(BOOKINGS, [("id", external_id), *ALL_STATUSES], 1)
        if not items:
            raise NotFound(f"{VENDOR} has no booking of this id", vendor=VENDOR, code="404")
        found = [item for item in items if booking_id(item) == external_id]
        if not found:
            raise fault("id", "the booking that was asked for")
        return self._parse(found[0])

    def get_many(self, external_ids: Collection[str]) -> ChangeSet:
        """These bookings in as few calls as can be, since each costs credits (§3); one that is not
        in `seen` does not exist."""
        wanted = sorted(set(external_ids))
        found: list[ChannelReservation] = []
        errors: list[ItemError] = []
        for start in range(0, len(wanted), IDS_AT_ONCE):
            part = wanted[start : start + IDS_AT_ONCE]
            rows = list(self._bookings([("id", each) for each in part]))
            if any(booking_id(row) not in part for row in rows):
                raise fault("id", "the bookings that were asked for")
            read = self._sort_out(rows, {})
            found += read.reservations
            errors += read.errors
        seen = {r.external_id for r in found} | {e.external_id for e in errors if e.external_id}
        return ChangeSet(found, errors, fetched=len(seen), seen=frozenset(seen))

    def find_by_reference(self, reference: str) -> list[ChannelReservation]:
        """The bookings with this `apiReference`: how a create whose answer was lost is looked for,
        as Beds24 knows no idempotency key (§9)."""
        items = self._bookings([("apiReference", reference)])
        return [
            self._parse(item)
            for item in items
            if isinstance(item, Mapping) and item.get("apiReference") == reference
        ]

    def find_by_stay(
        self, room_ref: str, arrival: date, departure: date, reference: str
    ) -> list[ChannelReservation]:
        """The bookings of these very days that carry our reference anywhere: for an account that
        does not keep `apiReference`, as some are said not to (§5)."""
        items = self._bookings(
            [
                ("roomId", room_ref),
                ("arrival", arrival.isoformat()),
                ("departure", departure.isoformat()),
            ]
        )
        found = [self._parse(item) for item in items if isinstance(item, Mapping)]
        return beds24_items.references(found, reference)

    def listings(self) -> list[ChannelListing]:
        """Every unit of every room type: `roomId:unitId`."""
        found: list[ChannelListing] = []
        for house in self._rows(PROPERTIES, [("includeAllRooms", "true")]):
            found += read_property(house)
        return found

    def calendar(self, room_ids: Sequence[str], first: date, last: date) -> list[Nights]:
        """Units left, shortest stay and prices of these rooms, night by night ranges."""
        found = self.calendars(room_ids, first, last)
        return [nights for ranges in found.values() for nights in ranges]

    def calendars(
        self, room_ids: Sequence[str], first: date, last: date
    ) -> dict[str, list[Nights]]:
        """The same by room, in as few calls as can be. A room of which nothing is set has an empty
        list; one that Beds24 does not speak of is not there."""
        found: dict[str, list[Nights]] = {}
        for start in range(0, len(room_ids), IDS_AT_ONCE):
            params = [
                *(("roomId", room) for room in room_ids[start : start + IDS_AT_ONCE]),
                ("startDate", first.isoformat()),
                ("endDate", last.isoformat()),
                # Without a flag nothing comes (§6).
                ("includeNumAvail", "true"),
                ("includeMinStay", "true"),
                ("includePrices", "true"),
            ]
            for row in self._rows(CALENDAR, params):
                room_ref, ranges = read_room(row)
                found.setdefault(room_ref, []).extend(ranges)
        return found

    def currency(self, property_ref: str) -> str | None:
        """What a property sells in: its calendar does not say (§6). None when Beds24 does not."""
        for house in self._rows(PROPERTIES, [("id", property_ref)]):
            if isinstance(house, Mapping) and identifier(house.get("id")) == property_ref:
                return currency(house.get("currency"))
        return None

    def write_bookings(
        self, items: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[Written]:
        """Create (no `id`) or change (`id`) bookings; one result per item, in its order.

        Raises Unconfirmed when no readable answer came: look for the `apiReference`, or read by
        id, before sending again. A result that is not `ok` may have been written in part.
        """
        return self._write(BOOKINGS, items, idempotency_key)

    def cancel_booking(
        self, external_id: str, comment: str = "", *, idempotency_key: str | None = None
    ) -> Written:
        """Cancel rather than delete: a deleted booking cannot be told from one that never was."""
        item: dict[str, Any] = {"id": _number(external_id), "status": "cancelled"}
        if comment:
            item["comments"] = comment
        return self.write_bookings([item], idempotency_key=idempotency_key)[0]

    def push_calendar(
        self, items: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[Written]:
        """Set calendar values: `{roomId, calendar: [{from, to, …}]}` each, one result per item."""
        return self._write(CALENDAR, items, idempotency_key)

    def _write(
        self, path: str, items: Sequence[Mapping[str, Any]], key: str | None
    ) -> list[Written]:
        if not 0 < len(items) <= MAX_WRITTEN:
            raise ValueError(f"1 to {MAX_WRITTEN} items at once, not {len(items)}")
        document = self.account.write(path, list(items), idempotency_key=key)
        return read_results(document, len(items))

    def _bookings(self, params: list[tuple[str, str]]) -> Iterator[Any]:
        return self._rows(BOOKINGS, [*params, *ALL_STATUSES])

    def _sort_out(
        self,
        rows: Iterable[Any],
        known: Mapping[str, str | None],
        swept: tuple[date, date] | None = None,
    ) -> ChangeSet:
        found: dict[str, ChannelReservation] = {}
        errors: dict[str, ItemError] = {}
        same: set[str] = set()
        for position, item in enumerate(rows):
            external_id = booking_id(item)
            mark = item_hash(item)
            if external_id is not None and known.get(external_id) == mark:
                same.add(external_id)
                continue
            try:
                reservation = self._parse(item, mark)
            except Unreadable as exc:
                errors[external_id or f"#{position}"] = ItemError(external_id, exc.message)
            else:
                _keep_newest(found, reservation)
        seen = found.keys() | errors.keys() | same
        return ChangeSet(
            reservations=list(found.values()),
            errors=[error for key, error in errors.items() if key not in found],
            fetched=len(seen),
            swept=swept,
            seen=frozenset(seen) if swept else frozenset(),
        )

    def _parse(self, item: object, mark: str | None = None) -> ChannelReservation:
        house = property_of(item) if isinstance(item, Mapping) else None
        return parse_booking(item, home_currency=self._currencies.get(house or ""), sweep_hash=mark)

    def _rows(self, path: str, params: list[tuple[str, str]]) -> Iterator[Any]:
        for rows in self._pages(path, params):
            yield from rows

    def _pages(self, path: str, params: list[tuple[str, str]]) -> Iterator[list[Any]]:
        """The rows of every page. The pages are counted by us: their links could lead elsewhere,
        and `count` may be a page's or everything's (§4.2)."""
        seen: set[str] = set()
        for number in range(1, MAX_PAGES + 1):
            rows, more = self._page(path, params, number)
            yield rows
            marks = {booking_id(row) or item_hash(row) for row in rows}
            if not more:
                return
            if marks <= seen:
                break
            seen |= marks
        raise Unreadable(f"{VENDOR} announces page after page of {path}", vendor=VENDOR)

    def _page(
        self, path: str, params: list[tuple[str, str]], number: int
    ) -> tuple[list[Any], bool]:
        paged = [*params, ("page", str(number))] if number > 1 else params
        try:
            document = self.account.read(path, paged)
        except NotFound:  # about the path: an unknown booking is an empty list
            document = None
        if not isinstance(document, Mapping):
            raise fault("answer", "an object with data")
        if document.get("success") is False:
            raise self._refusal(document, path)
        rows, pages = document.get("data"), document.get("pages")
        if not isinstance(rows, list):
            raise fault("data", "a list")
        if rows and not any(isinstance(row, Mapping) for row in rows):
            raise fault("data", "a list of objects")
        more = pages.get("nextPageExists") if isinstance(pages, Mapping) else None
        if pages is None and len(rows) < PAGE_ROWS:
            more = False
        if not isinstance(more, bool):
            raise fault("pages.nextPageExists", "true or false")
        return rows, more

    def _refusal(self, document: Mapping[str, Any], path: str) -> Exception:
        """An error that came as 200 (§4.2), by its code; its text may repeat what we sent."""
        code = document.get("code")
        message = f"{VENDOR} answered {path} with an error"
        if code == 429:
            return self.account.pausing(RateLimited(message, vendor=VENDOR, code="429"))
        if code in (401, 403):
            return Unauthorized(message, vendor=VENDOR, code=str(code))
        if code == 400:
            return Rejected(message, vendor=VENDOR, code="400")
        return Unreadable(message, vendor=VENDOR, code=str(code) if isinstance(code, int) else None)


def connect(
    base_url: str,
    store: TokenStore,
    *,
    currencies: Mapping[str, str] | None = None,
    before_call: Callable[[], None] | None = None,
    on_credits: Callable[[Credits], None] | None = None,
    on_limited: Callable[[float | None], None] | None = None,
    standing: Standing | None = None,
) -> Beds24Client:
    """A client of the account whose tokens are in `store`; sockets are shared by the process."""
    account = Account(
        lambda observer: http.pooled(VENDOR, base_url, observer=observer),
        store,
        before_call=before_call,
        on_credits=on_credits,
        on_limited=on_limited,
        standing=standing,
    )
    return Beds24Client(account, currencies)


def client_from_settings(settings: object) -> Beds24Client:
    """The client of the environment's account, whose access token this process keeps."""
    config = cast(Settings, settings)
    if config.beds24_refresh_token is None:
        raise NotConfigured(
            "Beds24 is not configured: BEDS24_REFRESH_TOKEN is not set", vendor=VENDOR
        )
    return connect(config.beds24_api_url, MemoryTokens(Tokens(config.beds24_refresh_token)))


def _keep_newest(found: dict[str, ChannelReservation], reservation: ChannelReservation) -> None:
    """One copy per id, the later modified one: a page walk over a moving set repeats rows."""
    earlier = found.get(reservation.external_id)
    if (
        earlier is not None
        and earlier.modified_at is not None
        and reservation.modified_at is not None
        and earlier.modified_at > reservation.modified_at
    ):
        return
    found[reservation.external_id] = reservation


def _is_of(item: object, property_ref: str) -> bool:
    """Whether a booking is of the property, as far as it says."""
    house = property_of(item) if isinstance(item, Mapping) else None
    return house is None or house == property_ref


def _number(external_id: str) -> int:
    if not external_id.isdecimal():
        raise Rejected("Beds24's booking ids are numbers", vendor=VENDOR)
    return int(external_id)
