"""The setup pages in a browser: dialogs over a list, and previews that follow what is typed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from playwright.sync_api import expect

from app.models import Accommodation, AccommodationSync, Lock, Property, User
from app.transaction import transaction
from tests.browser.axe import findings
from tests.browser.conftest import Desk
from tests.conftest import Clock
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
)
from tests.web.scenes import NOON, TODAY, make_credential


class Setup:
    """Two properties half set up: a room with a guest, rooms without locks, locks in trouble."""

    def __init__(self) -> None:
        self.vila: Property = make_property(name="Pousada Vila Jasmim", contingency="spare_card")
        rio = make_property(name="Casa do Rio")
        kind = make_room_type(self.vila, name="Superior")
        self.coral: Accommodation = make_accommodation(
            self.vila, name="Coral", number="203", room_type_id=kind.id, beds24_room_id="610012"
        )
        self.lock: Lock = make_lock(
            name="203 CORAL", battery=14, online=True, location="2º andar", refreshed_at=NOON
        )
        make_mapping(self.coral, self.lock)
        stay = make_stay(self.coral, check_in=TODAY, guest="Helena Prado")
        make_credential(stay, self.lock.id, vendor_ref="9", sent_at=NOON)
        self.garca: Accommodation = make_accommodation(rio, name="Garça 1", number="1")
        self.tucano: Accommodation = make_accommodation(rio, name="Tucano", number=None)
        make_accommodation(rio, name="Casa do fundo com um nome bem comprido", number="12")
        make_accommodation(rio, name="Depósito", is_active=False)
        self.free: Lock = make_lock(name="Garca 1", online=True, battery=88)
        make_lock(name="Tucanos", online=False, radio="wifi", offline_since=NOON)
        make_lock(name="Portão da rua", silent_since=NOON - timedelta(hours=3))
        with transaction() as session:
            session.add(
                AccommodationSync(
                    channel="stays",
                    trigger="manual",
                    status="success",
                    total=4,
                    created=4,
                    completed_at=NOON,
                    items=[{"accommodationId": "EL9", "error": "no usable id", "action": "fetch"}],
                )
            )


def test_a_dialog_opens_and_closes_over_the_list(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    setup = Setup()
    window = desk()
    page = window.sign_in(people["admin"])
    window.open("/accommodations?property=all&view=unmapped")
    page.click(f"#find-{setup.garca.id}")
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("Which lock opens")
    assert findings(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.locator(f"#find-{setup.garca.id}")).to_be_focused()
    page.click(f"#find-{setup.garca.id}")
    dialog.locator("button[type=submit]").click()
    expect(dialog.locator(".error")).to_have_text("Choose a lock")
    dialog.locator("#in-lock_id").select_option(str(setup.free.id))
    dialog.locator("button[type=submit]").click()
    expect(dialog).to_have_count(0)
    expect(page.locator(f"#find-{setup.garca.id}")).to_have_count(0)  # the list has read itself
    expect(page.locator("#view-unmapped")).to_contain_text("2")
    expect(page.locator("#toasts")).to_contain_text("The lock is connected")
    assert "view=unmapped" in page.url


def test_a_match_is_applied_dismissed_and_taken_back_in_place(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    setup = Setup()
    window = desk()
    page = window.sign_in(people["admin"])
    window.open("/matches?threshold=0.6")
    rows = page.locator(".tbl--map tbody tr")
    expect(rows).to_have_count(2)
    page.click(f"#dismiss-{setup.tucano.id}")
    expect(rows).to_have_count(1)
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(rows).to_have_count(2)
    page.click(f"#apply-{setup.garca.id}")
    expect(rows).to_have_count(1)
    expect(page.locator(".cover")).to_contain_text("2 of 4 rooms have a lock")
    page.select_option("#threshold", "0.9")
    expect(rows).to_have_count(0)
    assert "threshold=0.9" in page.url


def test_hours_are_counted_while_they_are_typed(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    setup = Setup()
    window = desk()
    page = window.sign_in(people["admin"])
    window.open(f"/settings/properties/{setup.vila.id}")
    page.fill("#in-pin_grace_hours", "30")
    page.press("#in-pin_grace_hours", "Tab")
    aside = page.locator("#impact")
    expect(aside).to_contain_text("Helena Prado")
    expect(aside.locator("button[type=submit]")).to_have_text("Save and move 1 PIN")
    page.fill("#in-check_in_time", "25:00")
    page.press("#in-check_in_time", "Tab")
    expect(aside).to_contain_text("Mend the fields first.")
    page.fill("#in-check_in_time", "15:00")
    page.press("#in-check_in_time", "Tab")
    aside.get_by_role("button", name="Save and move 1 PIN").click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    expect(page.locator("#in-pin_grace_hours")).to_have_value("30")


def test_the_main_task_works_without_scripts(
    desk: Callable[..., Desk], people: dict[str, User], clock: Clock
) -> None:
    setup = Setup()
    window = desk(java_script_enabled=False)
    page = window.sign_in(people["admin"])
    window.open("/matches?threshold=0.6")
    page.click("#apply-all")
    page.click("main button[type=submit]")
    expect(page.get_by_text("1 lock connected")).to_be_visible()
    window.open(f"/accommodations/{setup.garca.id}/unmap")
    page.click("main form button[type=submit]")
    expect(page.get_by_text("No lock, no PIN")).to_be_visible()
