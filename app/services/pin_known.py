"""What stands already for some stays: open orders and live credentials, locked for a plan."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.states import OPEN_JOBS, CredentialState, PinJobKind, RevokeReason
from app.models import Credential, PinJob
from app.models.columns import among
from app.services import alerts


@dataclass(slots=True)
class Known:
    """Open orders and live credentials of the stays at hand."""

    generate: dict[UUID, PinJob]
    planned_revoke: dict[UUID, PinJob]
    revoke: dict[UUID, PinJob]  # by credential
    live: dict[UUID, list[Credential]]
    stopped: set[UUID]  # a person took the PIN off: only a reprocess brings one back
    alarmed: set[str]  # subjects of open "PIN late" alerts

    @classmethod
    def load(cls, session: Session, ids: list[UUID]) -> Known:
        known = cls({}, {}, {}, defaultdict(list), set(), alerts.subjects(session, "pin_late"))
        # Orders before credentials, each by id: the order in which workers lock them too.
        for job in session.scalars(
            select(PinJob)
            .where(among(PinJob.reservation_id, ids), PinJob.status.in_(OPEN_JOBS))
            .order_by(PinJob.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ):
            if job.reservation_id is None:
                continue
            if job.kind == PinJobKind.GENERATE:
                known.generate[job.reservation_id] = job
            elif job.credential_id is None:
                known.planned_revoke[job.reservation_id] = job
            else:
                known.revoke[job.credential_id] = job
        newest: dict[UUID, Credential] = {}
        for credential in session.scalars(
            select(Credential)
            .where(among(Credential.reservation_id, ids))
            .order_by(Credential.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ):
            owner = credential.reservation_id
            if owner is None:
                continue
            if credential.state != CredentialState.REVOKED:
                known.live[owner].append(credential)
            last = newest.get(owner)
            if last is None or credential.created_at > last.created_at:
                newest[owner] = credential
        known.stopped = {
            owner for owner, last in newest.items() if last.revoke_reason == RevokeReason.MANUAL
        }
        return known
