"""How every kind of run stands, side by side, and where the one looked at is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.domain.states import RunStatus
from app.models import ReconciliationLog
from app.services import reconciliation_turns, reconciliation_views, vendors
from app.services.reconciliation_turns import Connection
from app.services.reconciliation_views import Stand
from app.web import navigation
from app.web.dates import gettext as _
from app.web.reconciliation_wording import KINDS, is_beds24


@dataclass(frozen=True, slots=True)
class Tab:
    """A kind at a glance: tone, icon and word of its state, and when its last run ended."""

    kind: str
    label: str
    rhythm: str
    tone: str
    icon: str
    word: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class House:
    """One connected property, and how the kind looked at stands there."""

    id: UUID
    name: str
    stand: Stand


@dataclass(frozen=True, slots=True)
class Board:
    """What the page shows of its kinds. `property_id` is where the kind looked at is run, None for
    the account as a whole and for all properties; `houses` are those to choose from."""

    kind: str
    tabs: Sequence[Tab]
    property_id: UUID | None
    connected: bool
    running: ReconciliationLog | None
    last: ReconciliationLog | None
    houses: Sequence[House]


def board(kind: str, *, stays: bool) -> Board:
    """How the kinds stand at the property chosen, or everywhere; in two statements. `stays` tells
    whether Stays is set up; other channels say so themselves."""
    chosen = navigation.current_property()
    there = [
        each
        for each in reconciliation_turns.connections()
        if chosen is None or each.property_id == chosen.id
    ]
    found = reconciliation_views.stands([each.property_id for each in there])
    by_kind = {name: [one for one in found if one.kind == name] for name in KINDS}
    mine = by_kind[kind]
    own: UUID | None = None
    if is_beds24(kind):
        alone = there[0].property_id if len(there) == 1 else None
        own = chosen.id if chosen is not None else alone
    ended = [one.last for one in mine if one.last is not None]
    return Board(
        kind=kind,
        tabs=[_tab(name, by_kind[name], _connected(name, there, stays=stays)) for name in KINDS],
        property_id=own,
        connected=_connected(kind, there, stays=stays),
        running=next((one.running for one in mine if one.running is not None), None),
        last=max(ended, key=lambda run: run.started_at, default=None),
        houses=_houses(kind, there, mine) if is_beds24(kind) and len(there) > 1 else (),
    )


def _connected(kind: str, there: Sequence[Connection], *, stays: bool) -> bool:
    if is_beds24(kind):
        return bool(there)
    return stays if kind == "stays" else vendors.channel_ready(kind)


def zone_of(property_id: UUID | None) -> str:
    """The zone of a property; of the clock in the bar when there is none or it is gone."""
    found = next((one for one in navigation.properties() if one.id == property_id), None)
    return navigation.timezone() if found is None else found.timezone


def property_names() -> Mapping[UUID, str]:
    """The name of every property."""
    return {one.id: one.name for one in navigation.properties()}


def _tab(kind: str, stands: Sequence[Stand], connected: bool) -> Tab:
    label, rhythm = (str(word) for word in KINDS[kind])
    runs = [one.last for one in stands if one.last is not None]
    failed = [run for run in runs if run.status == RunStatus.FAILED]
    ended_at = max((run.completed_at for run in runs if run.completed_at), default=None)
    if not connected:
        said = ("", "off", _("Not connected"))
    elif not runs:
        said = ("", "clock", _("No run yet"))
    elif failed and len(runs) > 1:
        said = ("bad", "alert", _("%(n)s of %(total)s failed", n=len(failed), total=len(runs)))
    elif failed:
        said = ("bad", "alert", _("Failed"))
    elif any(run.errors for run in runs):
        said = ("warn", "alert", _("With errors"))
    else:
        said = ("ok", "okc", _("Success"))
    return Tab(kind, label, rhythm, *said, ended_at if connected else None)


def _houses(kind: str, there: Sequence[Connection], stands: Sequence[Stand]) -> list[House]:
    known = {one.property_id: one for one in stands}
    found = [
        House(each.property_id, each.name, known.get(each.property_id, Stand(kind, None)))
        for each in there
    ]
    return sorted(found, key=lambda house: house.name)
