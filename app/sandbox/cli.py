"""`flask sandbox …`: work a running sandbox from a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from app.sandbox import control
from app.sandbox.control import SandboxError

P = ParamSpec("P")
R = TypeVar("R")

group = click.Group("sandbox", help="The vendor sandbox: bookings, locks and faults.")
booking = click.Group("booking", help="Bookings in the pretended Stays.")
beds24 = click.Group("beds24", help="Bookings and the account in the pretended Beds24.")
locks = click.Group("locks", help="The pretended locks.")
fault = click.Group("fault", help="What the pretended vendors do wrong.")
for child in (booking, beds24, locks, fault):
    group.add_command(child)

CHANGES = (
    click.option("--room", "listing", help="Listing code of the room."),
    click.option("--guest", "guest_name"),
    click.option("--email", "guest_email"),
    click.option("--phone", "guest_phone"),
    click.option("--check-in", "check_in", help="YYYY-MM-DD"),
    click.option("--check-out", "check_out", help="YYYY-MM-DD"),
    click.option("--check-in-time", "check_in_time", help="HH:MM"),
    click.option("--check-out-time", "check_out_time", help="HH:MM"),
    click.option("--type", "type", help="booked, reserved, contract, blocked …"),
    click.option("--amount", type=float),
)


BEDS24_CHANGES = (
    click.option("--room", "roomId", type=int, help="Id of the room type."),
    click.option("--unit", "unitId", type=int, help="Unit of the room type, from 1."),
    click.option("--first-name", "firstName"),
    click.option("--last-name", "lastName"),
    click.option("--email", "email"),
    click.option("--arrival", "arrival", help="YYYY-MM-DD"),
    click.option("--departure", "departure", help="YYYY-MM-DD"),
    click.option("--status", "status", help="new, confirmed, request, inquiry, black, cancelled"),
    click.option("--group", "masterId", type=int, help="Booking whose group it joins."),
    click.option("--price", "price", type=float),
)


def told(command: Callable[P, R]) -> Callable[P, R]:
    """A sandbox that is away or refuses is one line and exit code 1."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SandboxError as error:
            raise click.ClickException(str(error)) from None

    return guarded


def _with(options: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _show(row: dict[str, Any]) -> None:
    click.echo("  ".join(f"{name}={value}" for name, value in row.items() if value is not None))


@booking.command("list")
@told
def booking_list() -> None:
    """List all bookings."""
    for row in control.list_bookings():
        _show(row)


@booking.command("create")
@_with(CHANGES)
@told
def booking_create(**fields: Any) -> None:
    """Book a room; --room, --guest, --check-in and --check-out are needed."""
    given = _given(fields)
    for name, option in (
        ("listing", "--room"),
        ("guest_name", "--guest"),
        ("check_in", "--check-in"),
        ("check_out", "--check-out"),
    ):
        if name not in given:
            raise click.UsageError(f"Missing option '{option}'.")
    _show(control.create_booking(**given))


@booking.command("change")
@click.argument("ref")
@_with(CHANGES)
@told
def booking_change(ref: str, **fields: Any) -> None:
    """Change a booking."""
    _show(control.change_booking(ref, **_given(fields)))


@booking.command("cancel")
@click.argument("ref")
@told
def booking_cancel(ref: str) -> None:
    """Cancel a booking."""
    _show(control.cancel_booking(ref))


@booking.command("delete")
@click.argument("ref")
@told
def booking_delete(ref: str) -> None:
    """Let a booking vanish without a word."""
    _show(control.delete_booking(ref))


@beds24.command("list")
@told
def beds24_list() -> None:
    """List all bookings."""
    for row in control.list_beds24_bookings():
        _show(row)


@beds24.command("create")
@_with(BEDS24_CHANGES)
@told
def beds24_create(**fields: Any) -> None:
    """Book a room; --room, --arrival and --departure are needed."""
    given = _given(fields)
    for name, option in (
        ("roomId", "--room"),
        ("arrival", "--arrival"),
        ("departure", "--departure"),
    ):
        if name not in given:
            raise click.UsageError(f"Missing option '{option}'.")
    room_id = given.pop("roomId")
    _show(control.create_beds24_booking(room_id, **given))


@beds24.command("change")
@click.argument("ref")
@_with(BEDS24_CHANGES)
@told
def beds24_change(ref: str, **fields: Any) -> None:
    """Change a booking."""
    _show(control.change_beds24_booking(ref, **_given(fields)))


@beds24.command("cancel")
@click.argument("ref")
@told
def beds24_cancel(ref: str) -> None:
    """Cancel a booking."""
    _show(control.change_beds24_booking(ref, status="cancelled"))


@beds24.command("delete")
@click.argument("ref")
@told
def beds24_delete(ref: str) -> None:
    """Delete a booking: no answer speaks of it again."""
    _show(control.delete_beds24_booking(ref))


@beds24.command("invite")
@told
def beds24_invite() -> None:
    """Make an invite code, for connecting a property."""
    click.echo(control.make_beds24_invite())


@beds24.command("settings")
@click.option("--credits", "credit_limit", type=float, help="Credits in five minutes.")
@click.option("--rotate/--keep", default=None, help="A new refresh token each time, or not.")
@click.option("--shape", "webhook_shape", help="v2, v2_array or design")
@click.option("--proof", "webhook_proof", help="token or hmac")
@click.option("--names/--no-names", "personal_data", default=None, help="Guests in webhooks.")
@click.option(
    "--references/--no-references", "keep_reference", default=None, help="Keep apiReference."
)
@told
def beds24_settings(**settings: Any) -> None:
    """Say how the account behaves, and change it."""
    _show(control.change_beds24_settings(**_given(settings)))


@locks.command("list")
@told
def locks_list() -> None:
    """List the locks with what is on them."""
    for row in control.list_locks():
        _show(row)


@locks.command("touch")
@click.argument("device_id")
@told
def locks_touch(device_id: str) -> None:
    """Wake a sleeping lock, as a hand on its keypad does."""
    _show(control.touch_lock(device_id))


@fault.command("list")
@told
def fault_list() -> None:
    """List the faults that are on."""
    for row in control.list_faults():
        _show(row)


@fault.command("set")
@click.argument("scope")
@click.argument("kind")
@click.option("--operation", help="Only this call.")
@click.option("--count", type=int, help="So many times.")
@click.option("--chance", type=int, help="So many of a hundred calls.")
@click.option("--seconds", type=float)
@click.option("--code", type=int)
@click.option("--message")
@told
def fault_set(scope: str, kind: str, **options: Any) -> None:
    """Switch a fault on: SCOPE is stays, beds24, tuya, webhooks, locks or a device id."""
    _show(control.set_fault(scope, kind, **_given(options)))


@fault.command("clear")
@click.argument("fault_id", type=int, required=False)
@told
def fault_clear(fault_id: int | None) -> None:
    """Switch one fault off, or all."""
    click.echo(f"{control.clear_faults(fault_id)} switched off.")


@group.command("reset")
@told
def reset() -> None:
    """Throw everything away and start with fresh demo data."""
    _show(control.reset_demo())
