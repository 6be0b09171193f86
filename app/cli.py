"""Commands for operators; each prints what it did and exits non-zero on failure (INTERFACES §3)."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, TypeVar
from uuid import UUID

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.errors import NotFound, ServiceError
from app.models import ReconciliationLog, User
from app.models.reconciliation import RUN_KINDS
from app.models.users import ROLES
from app.queue import schedule as timetable
from app.services import (
    consistency,
    event_desk,
    pin_audit,
    reconciliation,
    retention,
    room_status,
    seals,
    second_factor,
    user_changes,
)
from app.services import users as people
from app.services.audit import Actor
from app.services.user_changes import UserChanges

P = ParamSpec("P")
R = TypeVar("R")

#: whom the audit log names for what is done at a terminal
OPERATOR = Actor("command line", role="admin")
#: commands of parts that only some installations have
OPTIONAL = "app.sandbox.cli"

users = AppGroup("users", help="People who may sign in.")
schedule = AppGroup("schedule", help="When periodic jobs run.")
pins = AppGroup("pins", help="PINs on the locks.")
events = AppGroup("events", help="What channels sent us.")
rooms = AppGroup("rooms", help="The status of the rooms.")
privacy = AppGroup("privacy", help="What is kept about guests, and for how long.")


def register(app: Flask) -> None:
    """Add the commands to `flask --app wsgi`."""
    for command in (
        users,
        schedule,
        pins,
        events,
        rooms,
        privacy,
        reconcile,
        consistency_check,
        reseal,
    ):
        app.cli.add_command(command)
    if app.extensions["settings"].sandbox:
        app.cli.add_command(importlib.import_module(OPTIONAL).group)


def told(command: Callable[P, R]) -> Callable[P, R]:
    """What goes wrong is one line and exit code 1, not a traceback."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ServiceError as error:
            raise click.ClickException(error.message) from None
        except SQLAlchemyError as error:
            raise click.ClickException(
                f"the database refused: {type(error).__name__}; is DATABASE_URL right and "
                "`db upgrade` done?"
            ) from None
        except RedisError as error:
            raise click.ClickException(f"Redis does not answer: {type(error).__name__}") from None

    return guarded


@users.command("create")
@click.option("--email", required=True)
@click.option("--role", required=True, type=click.Choice(ROLES))
@click.option("--name", default="", help="As others see it.")
@click.option("--password-stdin", is_flag=True, required=True, help="Read it from standard input.")
@told
def users_create(email: str, role: str, name: str, password_stdin: bool) -> None:
    """Create a user."""
    people.ensure_configured_admin()  # who is created first must not keep the admin out
    user = people.create(email, _password(), role, name, actor=OPERATOR)
    click.echo(f"Created {user.role} {user.email}.")


@users.command("set-password")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, required=True, help="Read it from standard input.")
@told
def users_set_password(email: str, password_stdin: bool) -> None:
    """Replace a password; every session and token of the user ends."""
    people.ensure_configured_admin()
    people.set_password(email, _password(), actor=OPERATOR)
    click.echo(f"Changed the password of {email.strip().lower()} and ended all sessions.")


@users.command("list")
@told
def users_list() -> None:
    """List all users."""
    people.ensure_configured_admin()
    found = people.list_users()
    for user in found:
        seen = f"{user.last_login_at:%Y-%m-%d %H:%M} UTC" if user.last_login_at else "never"
        state = "" if user.is_active else "  inactive"
        state += "  invited" if user.invited_at else ""
        state += "  second factor" if second_factor.is_on(user) else ""
        click.echo(f"{user.email}  {user.role}  last sign-in {seen}{state}")
    if not found:
        click.echo("No users yet: `users create` makes the first.")


@users.command("deactivate")
@click.argument("email")
@told
def users_deactivate(email: str) -> None:
    """Let somebody in no more; every session and token ends at once."""
    user = user_changes.change(_user(email).id, UserChanges(is_active=False), actor=OPERATOR)
    click.echo(f"Deactivated {user.email} and ended all sessions.")


@users.command("reactivate")
@click.argument("email")
@told
def users_reactivate(email: str) -> None:
    """Let somebody in again, with the password of before."""
    user = user_changes.change(_user(email).id, UserChanges(is_active=True), actor=OPERATOR)
    click.echo(f"Reactivated {user.email}.")


@users.command("reset-second-factor")
@click.argument("email")
@told
def users_reset_second_factor(email: str) -> None:
    """Take the second factor from somebody who has lost it; all sessions end."""
    user = _user(email)
    second_factor.remove(user.id, actor=OPERATOR)
    click.echo(f"Removed the second factor of {user.email} and ended all sessions.")


@click.command("reconcile")
@click.argument("kind", type=click.Choice(RUN_KINDS))
@click.option("--since", help="Read from this moment on (ISO 8601; UTC unless it says otherwise).")
@click.option("--property", "property_id", type=click.UUID, help="Only this property.")
@click.option("--dry-run", is_flag=True, help="Plan, and change nothing.")
@with_appcontext
@told
def reconcile(kind: str, since: str | None, property_id: UUID | None, dry_run: bool) -> None:
    """Compare our reservations with a channel's now, and wait for the outcome."""
    opened = reconciliation.start_all(
        kind, trigger="command", since=_moment(since), property_id=property_id, dry_run=dry_run
    )
    well = True
    for run_id in opened:
        reconciliation.run(run_id)
        row = _ended(run_id)
        well = well and row.status == "success"
        click.echo(
            f"Run {row.id} {row.status}: fetched {row.fetched}, created {row.created}, updated "
            f"{row.updated}, deleted {row.deleted}, orphaned {row.orphaned}, flagged "
            f"{row.flagged}, errors {row.errors}."
        )
        if row.message:
            click.echo(row.message)
        if row.plan_hash:
            click.echo(f"Plan {row.plan_hash}")
    if not well:
        raise SystemExit(1)


@click.command("reseal")
@with_appcontext
@told
def reseal() -> None:
    """Seal PINs, tokens and secrets with the first of PIN_ENCRYPTION_KEYS, so that old ones go."""
    done = seals.reseal()
    click.echo(f"{done.renewed} sealed anew.")
    if done.unreadable:
        click.echo(f"No configured key opens {done.unreadable}: is one missing?", err=True)
        raise SystemExit(1)


@click.command("consistency")
@with_appcontext
@told
def consistency_check() -> None:
    """Check that the rows hold together, after a restore or an upgrade; changes nothing."""
    found = consistency.check()
    for each in found:
        named = ", ".join(each.ids) + (", …" if each.count > len(each.ids) else "")
        click.echo(f"BROKEN  {each.check}: {each.count} ({named})")
    click.echo(f"{len(consistency.names())} checks, {len(found)} broken.")
    if found:
        raise SystemExit(1)


@schedule.command("show")
@told
def schedule_show() -> None:
    """Show every periodic job, when it runs next, and whether Redis agrees."""
    lines = timetable.describe()
    for line in lines:
        following = f"{line.next_run:%Y-%m-%d %H:%M:%S} UTC" if line.next_run else "never"
        click.echo(f"{line.name}  {line.when}  {line.queue}  next {following}  {line.state}")
    if any(line.state != "ok" for line in lines):
        click.echo("`schedule apply` puts right what is not ok.", err=True)
        raise SystemExit(1)


@schedule.command("apply")
@told
def schedule_apply() -> None:
    """Make the schedule in Redis match the registry."""
    changed = timetable.apply()
    for each in changed:
        click.echo(each)
    click.echo(f"{len(changed)} changed." if changed else "Nothing to change.")


@pins.command("audit")
@click.option("--lock", "lock_id", type=click.UUID, help="Only this lock.")
@told
def pins_audit(lock_id: UUID | None) -> None:
    """Read the locks and name every code that should not be there, or is not."""
    read, findings = pin_audit.audit(lock_id)
    for each in findings:
        click.echo(f"{each.lock}: {each.kind}: {each.what}")
    click.echo(f"{read} locks read, {len(findings)} differences.")
    if findings:
        raise SystemExit(1)


EVENT_IDS = click.argument("event_ids", metavar="ID...", nargs=-1, required=True, type=click.UUID)


@events.command("retry")
@EVENT_IDS
@told
def events_retry(event_ids: tuple[UUID, ...]) -> None:
    """Try failed events again."""
    _each("Retried", event_ids, lambda id_: event_desk.retry(id_, actor=OPERATOR))


@events.command("replay")
@EVENT_IDS
@told
def events_replay(event_ids: tuple[UUID, ...]) -> None:
    """Process finished events again, on purpose."""
    _each("Replayed", event_ids, lambda id_: event_desk.replay(id_, actor=OPERATOR))


@events.command("ignore")
@EVENT_IDS
@click.option(
    "--reason",
    default="closed from the command line",
    show_default=True,
    help="Why nobody has to repair them; for the audit log.",
)
@told
def events_ignore(event_ids: tuple[UUID, ...], reason: str) -> None:
    """Close failed events."""
    _each("Ignored", event_ids, lambda id_: event_desk.ignore(id_, reason, actor=OPERATOR))


@privacy.command("retain")
@click.option("--dry-run", is_flag=True, help="Count, and remove nothing.")
@told
def privacy_retain(dry_run: bool) -> None:
    """Remove what is older than its limit, as each night does."""
    found = retention.preview() if dry_run else retention.run(actor=OPERATOR)
    for step, rows in found.items():
        if rows:
            click.echo(f"{step}: {rows}")
    total = sum(found.values())
    click.echo(f"{total} {'would go' if dry_run else 'removed or emptied'}.")


@rooms.command("sync")
@told
def rooms_sync() -> None:
    """Compare every room with its bookings and repair what differs."""
    found = room_status.sync(actor=OPERATOR.label)
    for move in found.details:
        click.echo(move.said)
    click.echo(f"{found.fixed} repaired." if found.fixed else "All rooms in sync.")
    if found.failed:
        click.echo(f"{found.failed} rooms could not be repaired; see the log.", err=True)
        raise SystemExit(1)


def _each(done: str, ids: tuple[UUID, ...], act: Callable[[UUID], None]) -> None:
    """One line per event; one that is refused does not stop the others."""
    refused = 0
    for id_ in ids:
        try:
            act(id_)
        except ServiceError as error:
            refused += 1
            click.echo(f"{id_}: {error.message}", err=True)
        else:
            click.echo(f"{done} {id_}.")
    if refused:
        raise SystemExit(1)


def _user(email: str) -> User:
    user = people.find(email)
    if user is None:
        raise NotFound(f"no user {email.strip().lower()}")
    return user


def _password() -> str:
    """The first line of standard input: an argument would stand in the process list."""
    return sys.stdin.readline().rstrip("\r\n")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("must be ISO 8601, such as 2026-03-01T00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _ended(run_id: UUID, patience: float = 900) -> ReconciliationLog:
    """The finished run; a worker may have taken it before we could."""
    deadline = time.monotonic() + patience
    while (row := reconciliation.get(run_id)).status == "pending":
        if time.monotonic() > deadline:
            raise click.ClickException(f"run {run_id} is still under way; its page shows the end")
        time.sleep(0.5)
    return row
