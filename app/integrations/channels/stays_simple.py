"""Stays in the simple dialect: one GET with `updated_since` answers everything (contracts §11)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, cast
from urllib.parse import quote

from app import clock
from app.config import Settings
from app.integrations import http
from app.integrations.channels import ChangeSet, ChannelListing, ChannelReservation, ItemError
from app.integrations.channels.stays_payloads import (
    VENDOR,
    fault,
    first,
    identifier,
    item_hash,
    parse_simple,
    reservation_id,
    text,
)
from app.integrations.errors import NotConfigured, NotFound, Unreadable

RESERVATIONS = "/api/reservations"
ACCOMMODATIONS = "/api/accommodations"
CLOSED = ("inactive", "draft", "archived")
#: reservations of one slice
SLICE = 1000

__all__ = ["StaysSimpleClient", "client_from_settings", "parse_simple", "reservation_id"]


class StaysSimpleClient:
    """The design documents' contract over HTTP, with a bearer key."""

    def __init__(self, vendor_http: http.VendorHttp) -> None:
        self._http = vendor_http

    def changes(
        self, since: datetime, *, today: date, known: Mapping[str, str | None]
    ) -> ChangeSet:
        """Everything changed at or after `since`. This dialect cannot say what vanished, so
        nothing is swept; it reports deletions as cancelled (contracts §11). An item that is to the
        letter what `known` was made from is counted and not read."""
        stamp = _stamp(since)
        found: dict[str, ChannelReservation] = {}
        errors: dict[str, ItemError] = {}
        same: set[str] = set()
        stored = known.get
        for position, item in enumerate(self._read_all(stamp)):
            mark = item_hash(item)
            # The plain spelling only, for speed; whoever spells otherwise is read each time.
            plain_id = item.get("id") if isinstance(item, dict) else None
            if type(plain_id) is str and stored(plain_id) == mark:
                same.add(plain_id)
                if plain_id in found and found[plain_id].modified_at is None:
                    del found[plain_id]  # the later in the answer counts
                continue
            try:
                reservation = parse_simple(item, sweep_hash=mark)
            except Unreadable as exc:
                external_id = reservation_id(item)
                errors[external_id or f"#{position}"] = ItemError(external_id, exc.message)
            else:
                _keep_newest(found, reservation)
        return ChangeSet(
            reservations=list(found.values()),
            errors=list(errors.values()),
            fetched=len(found.keys() | errors.keys() | same),
        )

    def active(self, first: date, last: date, *, since: datetime) -> Iterator[ChangeSet]:
        """Everything changed at or after `since`, whatever its days: the contract can ask for
        nothing else. The answer is let go of as it is read."""
        items = self._read_all(_stamp(since))
        items.reverse()
        times = Counter(reservation_id(item) for item in items)
        again: dict[str, ChannelReservation] = {}
        while items:
            part, found, errors = items[-SLICE:], list[ChannelReservation](), list[ItemError]()
            del items[-SLICE:]
            for item in reversed(part):
                try:
                    reservation = replace(parse_simple(item), raw={})
                except Unreadable as exc:
                    errors.append(ItemError(reservation_id(item), exc.message))
                    continue
                if times[reservation.external_id] > 1:
                    _keep_newest(again, reservation)
                else:
                    found.append(reservation)
            yield ChangeSet(found, errors, fetched=len(part))
        yield ChangeSet(list(again.values()))

    def get(self, external_id: str) -> ChannelReservation:
        """One reservation; a page in place of a 404 counts as one only while the list answers."""
        if external_id in ("", ".", ".."):
            raise NotFound("an empty id names no reservation", vendor=VENDOR)
        try:
            document = self._http.read(f"{RESERVATIONS}/{quote(external_id, safe='')}")
        except Unreadable as exc:
            if exc.code != http.PAGE_404:
                raise
            self._page(RESERVATIONS, _stamp(clock.utcnow()))  # raises if Stays itself is ill
            raise NotFound(
                f"{VENDOR} has no reservation of this id", vendor=VENDOR, code="404"
            ) from None
        item = document
        for key in ("data", "reservation"):
            if reservation_id(item) is None and isinstance(item, dict):
                item = item.get(key, item)
        reservation = parse_simple(item)
        if reservation.external_id != external_id:
            raise fault("id", "the reservation that was asked for")
        return reservation

    def listings(self) -> list[ChannelListing]:
        """The accommodations, from a path the contract does not promise: NotFound without it."""
        try:
            document = self._http.read(ACCOMMODATIONS)
        except Unreadable as exc:
            if exc.code != http.PAGE_404:
                raise
            raise NotFound(f"{VENDOR} lists no accommodations", vendor=VENDOR, code="404") from None
        return [_listing(item) for item in _items(document, ("data", "accommodations"))]

    def _read_all(self, stamp: str) -> list[Any]:
        """The items of every answer. One answers everything; where it names another page, that is
        read too, and an answer without a new id ends the reading (INTERFACES §2)."""
        items, following = self._page(RESERVATIONS, stamp)
        if following is None:
            return items
        seen = {reservation_id(item) for item in items}
        asked: set[str] = set()
        while following is not None and following not in asked:
            asked.add(following)
            page, following = self._page(following, None)
            ids = {reservation_id(item) for item in page}
            if ids <= seen:
                break
            seen |= ids
            items += page
        return items

    def _page(self, path: str, stamp: str | None) -> tuple[list[Any], str | None]:
        params = (("updated_since", stamp),) if stamp else ()
        try:
            document = self._http.read(path, params=params)
        except NotFound:  # about the path, not about a reservation
            raise Unreadable(f"{VENDOR} has no list at {RESERVATIONS}", vendor=VENDOR) from None
        items = _items(document, ("data", "reservations"))
        link = document.get("next") if isinstance(document, dict) else None
        if not isinstance(link, str) or not link:
            return items, None
        following = self._http.same_origin(link)
        if following is None:
            raise fault("next", "a page of the same host")
        return items, following


def client_from_settings(settings: object) -> StaysSimpleClient:
    """The client of the environment's account."""
    config = cast(Settings, settings)
    if config.stays_api_url is None:
        raise NotConfigured("Stays is not configured: STAYS_API_URL is not set", vendor=VENDOR)
    key = config.stays_api_key
    authorization = http.bearer(VENDOR, key) if key else None
    return StaysSimpleClient(http.pooled(VENDOR, config.stays_api_url, authorization))


def _stamp(moment: datetime) -> str:
    """UTC to the whole second, rounded down: the contract is inclusive, so nothing is missed."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _keep_newest(found: dict[str, ChannelReservation], reservation: ChannelReservation) -> None:
    """One copy per id: the later modified one, or the later in the answer."""
    earlier = found.get(reservation.external_id)
    if (
        earlier is not None
        and earlier.modified_at is not None
        and reservation.modified_at is not None
        and earlier.modified_at > reservation.modified_at
    ):
        return
    found[reservation.external_id] = reservation


def _items(document: object, envelopes: tuple[str, ...]) -> list[Any]:
    """The list in an answer, bare or in its envelope; anything else is no answer at all, since an
    error taken for an empty list would look like a quiet, successful run (P2-REC)."""
    found: object = document
    for key in envelopes:
        if isinstance(found, dict) and key in found:
            found = found[key]
    if not isinstance(found, list):
        raise fault("answer", "a list, or an object with " + " or ".join(envelopes))
    if found and not any(isinstance(item, dict) for item in found):
        raise fault("answer", "a list of objects")
    return found


def _listing(item: object) -> ChannelListing:
    if not isinstance(item, Mapping):
        raise fault("accommodation", "an object")
    external_id = identifier(first(item, ("id", "accommodation_id", "accommodationId")))
    if external_id is None:
        raise fault("accommodation id", "text or a whole number")
    status = text(item.get("status")) or ""
    flag = first(item, ("is_active", "isActive", "active"))
    return ChannelListing(
        external_id=external_id,
        name=text(first(item, ("name", "title"))) or external_id,
        code=identifier(first(item, ("code", "number"))),
        property_ref=identifier(first(item, ("property_id", "propertyId"))),
        active=flag is not False and status.lower() not in CLOSED,
    )
