"""What goes over the wire: signatures (contracts/tuya.md §11.2), verbs, hosts, secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import pytest
import time_machine
import tinytuya

from app.integrations.errors import Unauthorized, Unreachable
from app.integrations.locks import LockTarget
from app.integrations.locks.tuya import TuyaCloud, TuyaLocks, transport
from tests.integrations.locks.conftest import IMPATIENT, QUICK
from tests.integrations.locks.orders import VECTOR_MOMENT, make_order
from tests.integrations.locks.tuya_standin import ACCESS_ID, ACCESS_SECRET, StandIn, expected_sign

TOKEN = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
DOOR_LOCK = "/v1.0/devices/lock1/door-lock"
GOOD = {"success": True, "result": {}}

Call = Callable[[TuyaCloud], object]
VECTORS: list[tuple[str, str, Call, str]] = [
    (
        "GET",
        f"{DOOR_LOCK}/temp-passwords?valid=true",
        lambda line: line.read(f"{DOOR_LOCK}/temp-passwords", {"valid": "true"}),
        "7F04A0007F7DC9A3D59753FB731114CF14A74000FC2EDFB41844388AC7A492D2",
    ),
    (
        "POST",
        f"{DOOR_LOCK}/password-ticket",
        lambda line: line.run(
            lambda: line.exchange("POST", f"{DOOR_LOCK}/password-ticket", writes=False)
        ),
        "F07C7BF0DBEEA586CE3B9F77961C504620B1C1DDF545D27498558B74FCEBFD49",
    ),
    (
        "POST",
        f"{DOOR_LOCK}/temp-password",
        lambda line: line.run(
            lambda: line.exchange(
                "POST",
                f"{DOOR_LOCK}/temp-password",
                body={"name": "R101-AB", "type": 0},
                writes=True,
            )
        ),
        "F1BC3D3A82FA726C75F6FDFA9BD35FB5D1C7578609FF56F2A8C5ECA151488543",
    ),
    (
        "DELETE",
        f"{DOOR_LOCK}/temp-passwords/1001",
        lambda line: line.write("DELETE", f"{DOOR_LOCK}/temp-passwords/1001"),
        "E5EE3E8B354D08EAF0ABB533E91F3B7E063FC8CD03A703E3FED63EFDE79A6966",
    ),
]


@pytest.mark.parametrize(("method", "target", "call", "sign"), VECTORS)
def test_published_signatures(
    cloud: StandIn, line: TuyaCloud, method: str, target: str, call: Call, sign: str
) -> None:
    line._api.token = TOKEN
    cloud.fail("", GOOD)
    with time_machine.travel(VECTOR_MOMENT, tick=False):
        call(line)
    [seen] = cloud.seen
    assert (seen.method, seen.target) == (method, target)
    assert seen.headers["t"] == "1767225600000"
    assert seen.headers["sign"] == sign


def test_published_signature_of_the_token_call(cloud: StandIn, line: TuyaCloud) -> None:
    cloud.fail("/token", {"success": True, "result": {"access_token": TOKEN}})
    cloud.fail("temp-passwords", {"success": True, "result": []})
    with time_machine.travel(VECTOR_MOMENT, tick=False):
        line.read(f"{DOOR_LOCK}/temp-passwords", {"valid": "true"})
    first, second = cloud.seen
    assert first.target == "/v1.0/token?grant_type=1"
    assert (
        first.headers["sign"] == "B073AEC56AFA4EE602B2E8C3805FCE8582677C73E6135858A6C32F2803685AB2"
    )
    assert second.headers["sign"] == VECTORS[0][3]


def test_the_stand_in_judges_by_the_published_vectors() -> None:
    """Otherwise its approval of everything else would prove nothing."""
    t = "1767225600000"
    content = "Content-type:application/json\n"
    assert expected_sign("GET", VECTORS[0][1], t=t, token=TOKEN) == VECTORS[0][3]
    assert expected_sign("POST", VECTORS[1][1], t=t, token=TOKEN, signed=content) == VECTORS[1][3]
    body = b'{"name": "R101-AB", "type": 0}'
    signed = expected_sign("POST", VECTORS[2][1], t=t, token=TOKEN, body=body, signed=content)
    assert signed == VECTORS[2][3]


def test_tinytuya_is_the_version_the_put_was_proved_with() -> None:
    """`change_pin` uses an inner call of tinytuya; prove it again before raising this."""
    assert tinytuya.__version__ == "1.20.0"


def test_put_and_delete_go_out_as_such(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    ref = locks.create_pin(make_order(target))
    locks.change_pin(ref, make_order(target, nights=3))
    locks.delete_pin(target, ref)
    locks.purge_record(target, ref)
    lines = [f"{s.method} {s.path.removeprefix(DOOR_LOCK)}" for s in cloud.seen]
    assert lines == [
        "GET /v1.0/token",
        "POST /password-ticket",
        "POST /temp-password",
        "POST /password-ticket",
        f"PUT /temp-passwords/{ref}/modify-password",
        f"DELETE /temp-passwords/{ref}",
        f"DELETE /temp-passwords/{ref}/record",
    ]
    put = cloud.seen[5 - 1]
    assert put.headers["content-type"] == "application/json"
    assert put.headers["signature-headers"] == "Content-type"
    assert all(not s.body for s in cloud.seen if s.method in ("GET", "DELETE"))


def test_nothing_is_sent_before_the_first_call(cloud: StandIn, line: TuyaCloud) -> None:
    assert cloud.seen == []
    assert line.calls.total() == 0


def test_calls_share_one_connection_and_are_counted(
    cloud: StandIn, line: TuyaCloud, locks: TuyaLocks, target: LockTarget
) -> None:
    for _ in range(5):
        locks.list_pins(target)
    assert cloud.connections == 1
    assert line.calls.total() == len(cloud.seen) == 6


def test_proxies_of_the_environment_are_not_asked_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, locks: TuyaLocks, target: LockTarget
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert locks.list_pins(target) == []


def test_localhost_works_although_it_has_no_dot(cloud: StandIn) -> None:
    line = TuyaCloud(
        region=None,
        access_id=ACCESS_ID,
        access_secret=ACCESS_SECRET,
        base_url=cloud.url.replace("127.0.0.1", "localhost"),
        limits=QUICK,
    )
    assert line._api.urlhost == cloud.url.removeprefix("http://")
    assert [d.device_id for d in TuyaLocks(line).devices()] == ["lock1"]
    line.close()


def test_a_path_in_the_address_stays_in_front_and_is_not_signed(cloud: StandIn) -> None:
    line = TuyaCloud(
        region="us",
        access_id=ACCESS_ID,
        access_secret=ACCESS_SECRET,
        base_url=f"{cloud.url}/tuya",
        limits=QUICK,
    )
    line._api.token = TOKEN
    cloud.fail("", GOOD)
    line.read("/v1.0/devices/lock1")
    [seen] = cloud.seen
    assert seen.target == "/tuya/v1.0/devices/lock1"
    wanted = expected_sign("GET", "/v1.0/devices/lock1", t=seen.headers["t"], token=TOKEN)
    assert seen.headers["sign"] == wanted
    line.close()


def test_a_redirect_is_not_followed(cloud: StandIn, locks: TuyaLocks, target: LockTarget) -> None:
    locks.list_pins(target)
    cloud.fail("/temp-passwords", "redirect")
    with pytest.raises(Exception, match="not an envelope"):
        locks.list_pins(target)
    assert not cloud.sent("/elsewhere")


@pytest.mark.parametrize("region", ["eu-west", "uk", "", None, "EU"])
def test_an_unknown_region_is_refused_before_tinytuya_takes_it_for_china(
    region: str | None,
) -> None:
    with pytest.raises(Unauthorized, match="region"):
        TuyaCloud(region=region, access_id=ACCESS_ID, access_secret=ACCESS_SECRET)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us", "openapi.tuyaus.com"),
        ("az", "openapi.tuyaus.com"),
        ("us-e", "openapi-ueaz.tuyaus.com"),
        ("ue", "openapi-ueaz.tuyaus.com"),
        ("eu", "openapi.tuyaeu.com"),
        ("eu-w", "openapi-weaz.tuyaeu.com"),
        ("we", "openapi-weaz.tuyaeu.com"),
        ("in", "openapi.tuyain.com"),
        ("sg", "openapi-sg.iotbing.com"),
        ("cn", "openapi.tuyacn.com"),
    ],
)
def test_each_region_has_its_host(region: str, host: str) -> None:
    line = TuyaCloud(region=region, access_id=ACCESS_ID, access_secret=ACCESS_SECRET)
    assert line._api.urlhost == host


@pytest.mark.parametrize(
    ("access_id", "secret", "url"),
    [
        ("", ACCESS_SECRET, None),
        (ACCESS_ID, "short", None),
        (ACCESS_ID, ACCESS_SECRET, "http://tuya.example"),
        (ACCESS_ID, ACCESS_SECRET, "ftp://127.0.0.1"),
        (ACCESS_ID, ACCESS_SECRET, "https://"),
    ],
)
def test_settings_that_would_send_credentials_astray(
    access_id: str, secret: str, url: str | None
) -> None:
    with pytest.raises(Unauthorized):
        TuyaCloud(region="eu", access_id=access_id, access_secret=secret, base_url=url)


def test_no_secret_reaches_the_log(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, caplog: pytest.LogCaptureFixture
) -> None:
    """§8.6: with everything at DEBUG, tinytuya's own loggers included."""
    for name in ("", "tinytuya", "tinytuya.core.core", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    ref = locks.create_pin(make_order(target, digits="4821736"))
    locks.change_pin(ref, make_order(target, digits="4821736"))
    cloud.expire_token()
    cloud.fail("/temp-passwords", (500, b"<html>access_token token-2-secret</html>"))
    with pytest.raises(Unreachable):
        locks.list_pins(target)
    cloud.fail("/token", 1004)
    cloud.expire_token()
    with pytest.raises(Unauthorized):
        locks.list_pins(target)
    locks.devices()

    said = "\n".join(r.getMessage() + str(r.__dict__) for r in caplog.records)
    sealed = [s.body.decode().partition('"password": "')[2][:32] for s in cloud.sent("-password")]
    assert caplog.records
    assert len(sealed) == 2
    secrets = [ACCESS_SECRET, "token-1-secret", "token-2-secret", "ticket0", "4821736"]
    for secret in [*secrets, "kT7pQ2xW9bLm4ZsA", "local-key-secret", *sealed]:
        assert secret not in said


def test_the_log_would_show_the_secret_without_us(caplog: pytest.LogCaptureFixture) -> None:
    """The test above looks in the right place: that logger is where tinytuya writes."""
    module = sys.modules["tinytuya.Cloud"]
    assert module.log.name == "tinytuya.core.core"
    caplog.set_level(logging.DEBUG, logger="tinytuya.core.core")
    module.log.debug("secret")
    module.log.warning("a warning")
    assert [r.getMessage() for r in caplog.records] == ["a warning"]


def test_debug_is_refused() -> None:
    transport.install()
    for module in ("tinytuya", "tinytuya.core.core"):
        with pytest.raises(RuntimeError, match="stays off"):
            sys.modules[module].set_debug(True)


def test_errors_hold_no_secret(cloud: StandIn, locks: TuyaLocks, target: LockTarget) -> None:
    locks.list_pins(target)
    locks.cloud.limits = IMPATIENT
    cloud.fail("/temp-password", "hang")
    with pytest.raises(Exception, match="no answer") as caught:
        locks.create_pin(make_order(target, digits="4821736"))
    error: BaseException | None = caught.value
    while error is not None:
        text = f"{error!r} {error.__dict__}"
        assert ACCESS_SECRET not in text
        assert "4821736" not in text
        assert not hasattr(error, "request")
        error = error.__cause__ or error.__context__
