"""Over TLS, as in production: a trusted cloud is spoken to, another is not told anything (§9)."""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tinytuya
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.integrations import errors
from app.integrations.locks import LockTarget
from app.integrations.locks.tuya import Limits, TuyaCloud, TuyaLocks
from tests.integrations.locks.conftest import QUICK
from tests.integrations.locks.orders import make_order
from tests.integrations.locks.tuya_standin import ACCESS_ID, ACCESS_SECRET, StandIn


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of 127.0.0.1 in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "stand-in.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[StandIn]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    stand_in = StandIn(tls=context)
    stand_in.add_door("lock1")
    yield stand_in
    stand_in.stop()


def a_line(cloud: StandIn, limits: Limits) -> TuyaCloud:
    return TuyaCloud(
        region="eu",
        access_id=ACCESS_ID,
        access_secret=ACCESS_SECRET,
        base_url=cloud.url,
        limits=limits,
    )


TARGET = LockTarget("lock1", "wifi")
IMPATIENT_AFTER_TLS = Limits(connect=0.7, read=0.7, token=4, wait=5, total=9, least=0.05)


def test_a_trusted_cloud(
    secure: StandIn, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    line = a_line(secure, QUICK)
    TuyaLocks(line).create_pin(make_order(TARGET))
    assert secure.executed == ["create"]
    assert secure.connections == 1
    line.close()


def test_a_cloud_nobody_vouches_for_is_not_told_anything(secure: StandIn) -> None:
    line = a_line(secure, QUICK)
    line._api.token = "t"
    with pytest.raises(errors.Unreachable, match="nothing was sent"):
        TuyaLocks(line).delete_pin(TARGET, "1001")
    assert secure.seen == []
    line.close()


def test_an_answer_that_trickles_is_cut(
    secure: StandIn, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    line = a_line(secure, IMPATIENT_AFTER_TLS)
    secure.fail("/temp-passwords", "drip")
    began = time.monotonic()
    with pytest.raises(errors.Unreachable, match="no answer in time"):
        TuyaLocks(line).list_pins(TARGET)
    assert time.monotonic() - began < 4
    assert TuyaLocks(line).list_pins(TARGET) == []
    line.close()


def test_a_client_of_somebody_else_in_this_process_is_kept_from_redirects_too(
    secure: StandIn, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transport is process-wide (§9): a plain tinytuya client still works, within limits."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    plain = tinytuya.Cloud("eu", ACCESS_ID, ACCESS_SECRET, initial_token="stale")
    plain.urlhost = secure.url.removeprefix("https://")
    secure.expire_token(1010, "token invalid")
    assert plain.cloudrequest("/v1.0/devices/lock1/door-lock/temp-passwords")["result"] == []
    secure.fail("/temp-passwords", "redirect")
    plain.cloudrequest("/v1.0/devices/lock1/door-lock/temp-passwords")
    assert not secure.sent("/elsewhere")
