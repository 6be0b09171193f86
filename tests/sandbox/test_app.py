"""The sandbox as a process: its state on disk, its keys, its pages and its control functions."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.local.processes import wait_until
from app.sandbox import control
from app.sandbox.app import create_sandbox
from app.sandbox.credentials import credentials, load_keys
from app.sandbox.engine import TICK_SECONDS, Ticker
from app.sandbox.server import running
from tests.sandbox.wire import KEYS, Clock, Cloud


class TestRestart:
    def test_bookings_codes_and_faults_survive(
        self, tmp_path: Path, cloud: Cloud, clock: Clock
    ) -> None:
        device = cloud.device(category="mk")
        cloud.create(device, "482915", start=0)
        clock.advance(seconds=5)
        cloud.fault("stays", "slow", seconds=1)
        booking = cloud.client.post(
            "/control/bookings",
            json={
                "listing": "MA31",
                "guest_name": "Þórdís",
                "check_in": "2027-03-01",
                "check_out": "2027-03-02",
            },
        ).get_json()
        cloud.list(device)
        cloud.sandbox.store.flush()
        assert stat.S_IMODE(cloud.sandbox.store.path.stat().st_mode) == 0o600

        again = Cloud(create_sandbox(tmp_path / "sandbox", keys=KEYS, clock=clock), clock)
        assert again.opens(device, "482915") is True
        assert again.client.get(f"/control/bookings/{booking['id']}").get_json() == booking
        kinds = [f["kind"] for f in again.client.get("/control/faults").get_json()["faults"]]
        assert "slow" in kinds

    def test_a_token_survives_too(self, tmp_path: Path, cloud: Cloud, clock: Clock) -> None:
        cloud.call("GET", "/v1.3/iot-03/devices")
        cloud.sandbox.store.flush()
        again = Cloud(create_sandbox(tmp_path / "sandbox", keys=KEYS, clock=clock), clock)
        again.token = cloud.token
        assert again.call("GET", "/v1.3/iot-03/devices")["success"] is True

    def test_a_damaged_state_is_set_aside(self, tmp_path: Path, clock: Clock) -> None:
        directory = tmp_path / "sandbox"
        directory.mkdir()
        (directory / "state.json").write_text('{"bookings": ')
        app = create_sandbox(directory, keys=KEYS, clock=clock)
        assert app.test_client().get("/control/health").get_json()["bookings"] > 40
        assert (directory / "state.unreadable").read_text() == '{"bookings": '

    def test_a_full_disk_is_written_to_once_there_is_room(self, cloud: Cloud) -> None:
        store = cloud.sandbox.store
        (in_the_way := store.path.with_suffix(".tmp")).mkdir(parents=True)
        ticker = Ticker(cloud.sandbox)
        cloud.fault("stays", "slow", seconds=1)
        with pytest.raises(OSError, match="directory"):
            store.flush()
        ticker.start()
        try:
            time.sleep(2.5 * TICK_SECONDS)
            assert not store.path.exists()
            in_the_way.rmdir()
            assert wait_until(store.path.exists, 5)
        finally:
            ticker.stop()

    def test_a_new_day_brings_new_stays(self, tmp_path: Path, cloud: Cloud, clock: Clock) -> None:
        cloud.sandbox.store.flush()
        before = cloud.client.get("/control/health").get_json()["bookings"]
        clock.advance(days=2)
        again = create_sandbox(tmp_path / "sandbox", keys=KEYS, clock=clock)
        assert again.test_client().get("/control/health").get_json()["bookings"] > before


class TestCredentials:
    def test_they_are_made_once_and_kept_private(self, tmp_path: Path) -> None:
        first = credentials(tmp_path, port=9001, dialect="simple")
        assert credentials(tmp_path, port=9001, dialect="simple") == first
        keys = tmp_path / "sandbox" / "keys.json"
        assert stat.S_IMODE(keys.stat().st_mode) == 0o600
        assert len(first["TUYA_ACCESS_SECRET"]) == 32
        assert first["TUYA_API_URL"] == "http://127.0.0.1:9001/tuya"
        assert first["STAYS_API_URL"] == "http://127.0.0.1:9001/stays"
        assert load_keys(tmp_path).stays_api_key == first["STAYS_API_KEY"]
        assert first["STAYS_API_KEY"] not in repr(load_keys(tmp_path))

    def test_the_external_dialect_gets_its_own(self, tmp_path: Path) -> None:
        given = credentials(tmp_path, port=9001, dialect="external")
        assert given["STAYS_API_URL"].endswith("/external/v1")
        assert {"STAYS_CLIENT_ID", "STAYS_CLIENT_SECRET"} <= set(given)
        assert "STAYS_API_KEY" not in given

    def test_another_machine_has_other_keys(self, tmp_path: Path) -> None:
        assert load_keys(tmp_path / "a") != load_keys(tmp_path / "b")


class TestPages:
    @pytest.fixture
    def client(self, sandbox_app: Flask) -> FlaskClient:
        return sandbox_app.test_client()

    @pytest.mark.parametrize("path", ["/", "/?show=all", "/?show=cancelled", "/locks", "/faults"])
    def test_pages_need_no_inline_code(self, client: FlaskClient, path: str) -> None:
        answer = client.get(path)
        assert answer.status_code == 200
        assert "<script" not in answer.text
        assert "style=" not in answer.text
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]

    def test_book_change_and_cancel(self, client: FlaskClient) -> None:
        form = {
            "listing": "MA31",
            "guest_name": "Zoë van den Berg",
            "check_in": "2027-03-01",
            "check_out": "2027-03-04",
        }
        created = client.post("/bookings", data=form)
        assert created.status_code == 303
        page = created.headers["Location"]
        assert "Zoë van den Berg" in client.get(page).text
        assert client.post(page, data={**form, "check_out": "2027-02-01"}).status_code == 422
        assert client.post(page, data={**form, "check_out": "2027-03-06"}).status_code == 303
        assert 'value="2027-03-06"' in client.get(page).text
        assert client.post(f"{page}/cancel").status_code == 303
        assert "cancelled" in client.get(page).text
        assert client.post("/bookings", data={**form, "guest_name": ""}).status_code == 422
        assert client.get("/bookings/NONE").status_code == 404

    def test_typing_a_pin_key_by_key(self, cloud: Cloud, clock: Clock) -> None:
        device = cloud.device(radio="wifi", power="battery")
        cloud.create(device, "4829157", start=0)
        pad, typed = f"/keypad/{device}", ""
        assert "asleep" in cloud.client.get(pad).text
        for key in "4829157":
            page = cloud.client.post(pad, data={"pin": typed, "key": key}).text
            typed += key
            assert f'name="pin" value="{typed}"' in page
            clock.advance(seconds=0.5)
        opened = cloud.client.post(pad, data={"pin": typed, "key": "open"}).text
        assert "The door opens" in opened
        assert typed not in opened
        shut = cloud.client.post(pad, data={"pin": "1111111", "key": "open"}).text
        assert "The door stays shut" in shut
        assert "no code with these digits" in shut  # under "what the lock knows"
        assert cloud.client.post("/keypad/none", data={"pin": "1"}).status_code == 404

    def test_faults_from_the_page(self, client: FlaskClient) -> None:
        assert client.post("/faults", data={"scope": "stays", "kind": "down"}).status_code == 303
        assert "the connection is closed" in client.get("/faults").text
        assert client.post("/faults", data={"scope": "stays", "kind": "drop"}).status_code == 422
        client.post("/faults/off")
        assert "Everything works" in client.get("/faults").text

    def test_other_sites_cannot_press_the_buttons(self, client: FlaskClient) -> None:
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert client.post("/demo", headers=headers).status_code == 403
        assert client.post("/demo", headers={"Origin": "http://localhost"}).status_code == 303


class TestControl:
    @pytest.fixture
    def base(self, sandbox_app: Flask) -> Iterator[str]:
        with running(sandbox_app) as url:
            yield url

    def test_the_operator_functions(self, base: str, cloud: Cloud) -> None:
        made = control.create_booking(
            "MA31", "Ana", "2027-03-01", "2027-03-02", base=base, guest_email="a@example.org"
        )
        changed = control.change_booking(made["id"], base=base, check_out="2027-03-05")
        assert (changed["check_out"], changed["guest_email"]) == ("2027-03-05", "a@example.org")
        assert control.cancel_booking(made["id"], base=base)["status"] == "cancelled"
        assert len(control.list_locks(base=base)) == 24
        fault = control.set_fault("tuya", "slow", base=base, seconds=0.1)
        assert fault["kind"] == "slow"
        assert fault["id"] in [f["id"] for f in control.list_faults(base=base)]
        assert control.clear_faults(fault["id"], base=base) == 1
        device = cloud.device(radio="wifi", power="battery")
        assert control.touch_lock(device, base=base)["state"] == "awake"
        assert control.delete_booking(made["id"], base=base)["deleted"] is True
        assert made["id"] in [b["id"] for b in control.list_bookings(base=base)]
        control.reset_demo(base=base)
        assert made["id"] not in [b["id"] for b in control.list_bookings(base=base)]

    def test_refusals_are_said_in_words(self, base: str) -> None:
        with pytest.raises(control.SandboxError, match="no such booking"):
            control.cancel_booking("NONE", base=base)
        with pytest.raises(control.SandboxError, match="check_out"):
            control.create_booking("MA31", "Ana", "2027-03-02", "2027-03-01", base=base)

    def test_no_sandbox_is_said_in_words(self, base: str) -> None:
        with pytest.raises(control.SandboxError, match="no sandbox answers"):
            control.list_locks(base="http://127.0.0.1:9")
