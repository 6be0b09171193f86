"""Stays in the dialect of its External API v1, which cannot say what changed (contracts §1-§10).

A run therefore combines two sweeps (§10): the export of all stays from yesterday to the horizon,
whose rows are compared by hash with what is stored, and the list of recently created bookings. What
is new or different is read with its times; what is gone from a complete sweep the service confirms
by id. The export comes first, so that no reservation is older than the hash it is stored with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from urllib.parse import quote

from app.config import Settings
from app.integrations import http
from app.integrations.channels import ChangeSet, ChannelListing, ChannelReservation, ItemError
from app.integrations.channels.stays_external_payloads import (
    compose,
    parse_listing,
    parse_row,
    payload_id,
    row_hash,
)
from app.integrations.channels.stays_external_wire import (
    Client,
    Contact,
    ExportRow,
    Reservation,
    read,
)
from app.integrations.channels.stays_payloads import BLOCKS, VENDOR, fault, text
from app.integrations.errors import NotConfigured, NotFound, Rejected, Unauthorized, Unreadable

RESERVATIONS = "/booking/reservations"
EXPORT = "/booking/reservations-export"
CLIENTS = "/booking/clients"
LISTINGS = "/content/listings"

#: default and maximum of the vendor; asking for more skips rows (§2)
PAGE = 20
#: always sent: what is left out differs between accounts (§2, §6)
STAY_TYPES = ("reserved", "booked", "contract", "canceled")
#: creation dates are whole days in the account's local time (§10.2)
CREATION_OVERLAP = timedelta(days=2)
EXPORT_WINDOW = timedelta(days=30)
EXPORT_READ_SECONDS, EXPORT_BUDGET_SECONDS = 60.0, 75.0
MAX_PAGES = 2000

Item = Mapping[str, Any]


@dataclass(slots=True)
class _Run:
    """What one run has read so far."""

    known: Mapping[str, str | None]
    rows: dict[str, Item] = field(default_factory=dict)  # export rows by _id
    hashes: dict[str, str] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)  # list or detail objects by _id
    found: dict[str, ChannelReservation] = field(default_factory=dict)
    errors: list[ItemError] = field(default_factory=list)
    contacts: dict[str, Contact] = field(default_factory=dict)  # by _idclient
    gone: set[str] = field(default_factory=set)
    listings: dict[str, str] | None = None  # short code to _id
    whole: bool = True


class StaysExternalClient:
    """The vendor's API over HTTP Basic; one instance serves one account."""

    def __init__(self, vendor_http: http.VendorHttp, *, horizon_days: int = 120) -> None:
        self._http = vendor_http
        self._horizon = timedelta(days=horizon_days)
        self._type_key: str | None = None  # `type` or `type[]`, once an answer has shown which

    def changes(
        self, since: datetime, *, today: date, known: Mapping[str, str | None]
    ) -> ChangeSet:
        """The creation sweep and the horizon export; raises if either could not be read whole."""
        run = _Run(known)
        start, end = today - timedelta(days=1), today + self._horizon
        self._take_export(run, start, end)
        created_from = min(since.astimezone(UTC).date(), today) - CREATION_OVERLAP
        self._collect(run, self._list("creation", created_from, today + timedelta(days=1)))
        self._read_changed(run, start, end)
        for external_id, item in run.items.items():
            self._parse(run, external_id, item)
        return ChangeSet(
            reservations=list(run.found.values()),
            errors=run.errors,
            fetched=len(run.rows.keys() | run.items.keys()),
            swept=(start, end) if run.whole else None,
            seen=frozenset((run.rows.keys() | run.items.keys()) - run.gone),
        )

    def get(self, external_id: str) -> ChannelReservation:
        """One reservation by long id or short code, with its guest."""
        item = self._detail(external_id)
        wire = read(Reservation, item)
        return compose(wire, item, contact=self._contact(wire, Contact(), {}))

    def listings(self) -> list[ChannelListing]:
        """Every listing of the account."""
        found: dict[str, ChannelListing] = {}
        for item in self._pages(LISTINGS, ()):
            listing = parse_listing(item)
            found[listing.external_id] = listing
        return list(found.values())

    def active(self, first: date, last: date, *, since: datetime) -> Iterator[ChangeSet]:
        """The export's rows, a window at a time: days, unit, status, guest and total, which is all
        that is compared. However old its last change, a stay is among them."""
        run = _Run({})
        for rows in self._export(first, last):
            found, errors = list[ChannelReservation](), list[ItemError]()
            for item in rows:
                try:
                    row = read(ExportRow, item)
                    code = row.listing.id if row.listing else None
                    listing = self._listing_id(run, code) or code or ""
                    copy = parse_row(row, listing=listing, raw=item, sweep_hash="")
                except Unreadable as exc:
                    errors.append(ItemError(payload_id(item), exc.message))
                else:
                    found.append(replace(copy, raw={}, sweep_hash=None))
            yield ChangeSet(found, errors, fetched=len(rows))

    def _take_export(self, run: _Run, start: date, end: date) -> None:
        """The rows of all stays that touch the range."""
        for rows in self._export(start, end):
            for row in rows:
                external_id = payload_id(row)
                if external_id is None:
                    run.errors.append(ItemError(None, "_id: expected an id"))
                    run.whole = False  # one stay of the range is unknown to us
                else:
                    run.rows[external_id] = row
                    run.hashes[external_id] = row_hash(row)

    def _export(self, start: date, end: date) -> Iterator[list[Item]]:
        """The export's rows in windows that share their border day."""
        window_start = start
        while window_start < end:
            window_end = min(window_start + EXPORT_WINDOW, end)
            body = {
                "from": window_start.isoformat(),
                "to": window_end.isoformat(),
                "dateType": "included",
                "type": list(STAY_TYPES),
            }
            document = self._read(
                EXPORT,
                method="POST",
                body=body,
                read_seconds=EXPORT_READ_SECONDS,
                budget_seconds=EXPORT_BUDGET_SECONDS,
            )
            yield _objects(document)
            window_start = window_end

    def _collect(self, run: _Run, items: Iterable[Item]) -> None:
        for item in items:
            external_id = payload_id(item)
            if external_id is None:
                run.errors.append(ItemError(None, "_id: expected an id"))
            else:
                run.items[external_id] = item

    def _read_changed(self, run: _Run, start: date, end: date) -> None:
        """Read the rows that differ from what is stored: cancelled strangers and blocks from the
        row itself, the others with their times, by pages of the list where that is cheaper."""
        wanted = []
        for external_id, row in run.rows.items():
            if external_id in run.items or run.known.get(external_id) == run.hashes[external_id]:
                continue
            if not (external_id not in run.known and self._take_row(run, external_id, row)):
                wanted.append(external_id)
        if len(wanted) > 2 + len(run.rows) // PAGE:
            missing = set(wanted)
            listed = self._list("included", start, end)
            self._collect(run, (item for item in listed if payload_id(item) in missing))
        for external_id in wanted:
            if external_id not in run.items:
                try:
                    run.items[external_id] = self._detail(external_id)
                except NotFound:  # gone since the export; the service confirms it
                    run.gone.add(external_id)

    def _take_row(self, run: _Run, external_id: str, raw: Item) -> bool:
        """Accept a row whose times do not matter; False if it must be read by id after all."""
        kind = (text(raw.get("type")) or "").lower()
        if kind not in ("canceled", "cancelled", *BLOCKS):
            return False
        try:
            row = read(ExportRow, raw)
            listing = self._listing_id(run, row.listing.id if row.listing else None)
            if listing is None:
                return False
            run.found[external_id] = parse_row(
                row, listing=listing, raw=raw, sweep_hash=run.hashes[external_id]
            )
        except Unreadable as exc:
            run.errors.append(ItemError(external_id, exc.message))
        return True

    def _listing_id(self, run: _Run, code: str | None) -> str | None:
        """The long id of a listing's short code; rows carry nothing else (§6)."""
        if run.listings is None:
            run.listings = {unit.code: unit.external_id for unit in self.listings() if unit.code}
        return run.listings.get(code) if code is not None else None

    def _parse(self, run: _Run, external_id: str, item: Item) -> None:
        sweep_hash = run.hashes.get(external_id)
        contact = _inline_contact(run.rows.get(external_id))
        try:
            wire = read(Reservation, item)
            reservation = compose(wire, item, contact=contact, sweep_hash=sweep_hash)
        except Unreadable as exc:
            run.errors.append(ItemError(external_id, exc.message))
            return
        is_new = external_id not in run.known
        if reservation.status != "cancelled" and (
            is_new or (sweep_hash is not None and run.known[external_id] != sweep_hash)
        ):
            contact = self._contact(wire, contact, run.contacts)
            reservation = compose(wire, item, contact=contact, sweep_hash=sweep_hash)
        run.found[external_id] = reservation

    def _contact(self, wire: Reservation, inline: Contact, cache: dict[str, Contact]) -> Contact:
        """Who the guest is: said inline, else read once per client and run (§5). An account that
        may not read clients still gets its reservations."""
        if inline.enough or wire.client is None:
            return inline
        if wire.client not in cache:
            try:
                document = self._http.read(f"{CLIENTS}/{quote(wire.client, safe='')}")
                if payload_id(document) is None:
                    raise fault("client", "an object with an _id")
                cache[wire.client] = read(Client, document).contact()
            except (NotFound, Unauthorized, Rejected):
                cache[wire.client] = Contact()
            except Unreadable as exc:
                if exc.code != http.PAGE_404:
                    raise
                cache[wire.client] = Contact()
        return inline.over(cache[wire.client])

    def _detail(self, external_id: str) -> Item:
        """One reservation; a page in place of a 404 counts as one only while the list answers."""
        if external_id in ("", ".", ".."):
            raise NotFound("an empty id names no reservation", vendor=VENDOR)
        try:
            document = self._http.read(f"{RESERVATIONS}/{quote(external_id, safe='')}")
        except Unreadable as exc:
            if exc.code != http.PAGE_404:
                raise
            self._page(LISTINGS, (), 0)
            raise NotFound(
                f"{VENDOR} has no reservation of this id", vendor=VENDOR, code="404"
            ) from None
        if not isinstance(document, dict):
            raise fault("reservation", "an object")
        if external_id not in (document.get("_id"), document.get("id")):
            raise fault("_id", "the reservation that was asked for")
        return document

    def _list(self, date_type: str, start: date, end: date) -> list[Item]:
        """The reservations of a range. Some accounts answer `type=a&type=b` with an empty list and
        want `type[]=…` (§2), so an empty first page is asked for again in the other style until an
        answer with rows has shown which one this account reads."""
        dates = (("from", start.isoformat()), ("to", end.isoformat()), ("dateType", date_type))
        for key in (self._type_key,) if self._type_key else ("type", "type[]"):
            items = self._pages(RESERVATIONS, (*dates, *((key, kind) for kind in STAY_TYPES)))
            if items:
                self._type_key = key
                return items
        return []

    def _pages(self, path: str, params: http.Params) -> list[Item]:
        """All pages, stepping by the number received; a page without a new id ends the reading."""
        found: dict[str, Item] = {}
        anonymous: list[Item] = []
        skip = 0
        for _ in range(MAX_PAGES):
            page = self._page(path, params, skip)
            skip += len(page)
            before = len(found)
            for item in page:
                external_id = payload_id(item)
                if external_id is None:
                    anonymous.append(item)
                else:
                    found[external_id] = item
            if len(page) < PAGE or len(found) == before:
                return [*found.values(), *anonymous]
        raise Unreadable(f"{VENDOR} never ends the list at {path}", vendor=VENDOR)

    def _page(self, path: str, params: http.Params, skip: int) -> list[Item]:
        paging = (("skip", str(skip)), ("limit", str(PAGE)))
        return _objects(self._read(path, params=(*params, *paging)))

    def _read(self, path: str, **options: Any) -> Any:
        try:
            return self._http.read(path, **options)
        except NotFound:  # about the path, not about a reservation
            raise Unreadable(f"{VENDOR} has nothing at {path}", vendor=VENDOR) from None


def client_from_settings(settings: object) -> StaysExternalClient:
    """The client of the environment's account."""
    config = cast(Settings, settings)
    user, password = config.stays_client_id, config.stays_client_secret
    if config.stays_api_url is None or user is None or password is None:
        raise NotConfigured(
            "Stays is not configured: STAYS_API_URL, STAYS_CLIENT_ID and STAYS_CLIENT_SECRET"
            " are needed",
            vendor=VENDOR,
        )
    return StaysExternalClient(
        http.pooled(VENDOR, config.stays_api_url, http.basic(user, password)),
        horizon_days=config.stays_horizon_days,
    )


def _inline_contact(row: Item | None) -> Contact:
    """The guest as the export wrote it, or nothing."""
    client = row.get("client") if row is not None else None
    return read(Client, client).contact() if isinstance(client, Mapping) else Contact()


def _objects(document: object) -> list[Item]:
    """A bare array of objects; anything else is a failure, never an empty list (§9)."""
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise fault("answer", "an array of objects")
    return document
