"""The published vectors of contracts/tuya.md §11, from the lock's side."""

from __future__ import annotations

import pytest

from app.sandbox import tuya_crypto
from app.sandbox.tuya_signing import sign, signed_url, string_to_sign

SECRET = "0123456789abcdef0123456789abcdef"
JSON_HEADER = {"Content-type": "application/json"}
PINS = [
    (
        SECRET,
        "F21B92B723259439CC78A8AC9731FCB48AA36241FDE8DF054DC325C6C695B89E",
        "kT7pQ2xW9bLm4ZsA",
        "4830157",
        "22c5d5e4ce7095e3cc3497a74b93ef5f",
    ),
    (
        "9f1c5e7a3b8d4026a1e5c79042bd6f38",
        "DD21F14D23AAA7791BEF4517998B58A338927F15D91639B1159795B4A293B7AE",
        "A1b2C3d4E5f6G7h8",
        "0071234",
        "559ce08a1a1bc8c2410fab4e28164c5a",
    ),
    (
        "00112233445566778899aabbccddeeff",
        "FD32C7DF398E3CD10D34B62705FBB7A3060C21C7182DBC1600332CE416E13373",
        "ffffffff00000000",
        "591284",
        "1ee78305ad08a10d953ef9ea9dd47384",
    ),
    (
        "abcdefabcdefabcdefabcdefabcdefab",
        "9C3416E955C6C91C35CC519257B3D2456F1689E9905621022314D784B55C0425",
        "ZyXwVuTsRqPoNmLk",
        "1000000",
        "db12f3a40ac6a0640b71020d405428ce",
    ),
]


@pytest.mark.parametrize(("secret", "ticket_key", "key", "digits", "ciphertext"), PINS)
def test_the_aes_vectors(
    secret: str, ticket_key: str, key: str, digits: str, ciphertext: str
) -> None:
    assert tuya_crypto.wrap_ticket_key(secret, key) == ticket_key
    assert tuya_crypto.decrypt_pin(key, ciphertext) == digits
    assert tuya_crypto.decrypt_pin(key, ciphertext.upper()) == digits


@pytest.mark.parametrize(
    "ciphertext", ["", "zz" * 16, "22c5d5e4", "00" * 16, "22c5d5e4ce7095e3cc3497a74b93ef5f" * 2]
)
def test_what_is_not_a_pin_is_refused(ciphertext: str) -> None:
    with pytest.raises(tuya_crypto.Undecipherable):
        tuya_crypto.decrypt_pin("kT7pQ2xW9bLm4ZsA", ciphertext)


SIGNATURES = [
    (
        "GET",
        "/v1.0/token",
        [("grant_type", "1")],
        b"",
        {},
        False,
        "B073AEC56AFA4EE602B2E8C3805FCE8582677C73E6135858A6C32F2803685AB2",
    ),
    (
        "GET",
        "/v1.0/devices/lock1/door-lock/temp-passwords",
        [("valid", "true")],
        b"",
        {},
        True,
        "7F04A0007F7DC9A3D59753FB731114CF14A74000FC2EDFB41844388AC7A492D2",
    ),
    (
        "POST",
        "/v1.0/devices/lock1/door-lock/password-ticket",
        [],
        b"",
        JSON_HEADER,
        True,
        "F07C7BF0DBEEA586CE3B9F77961C504620B1C1DDF545D27498558B74FCEBFD49",
    ),
    (
        "POST",
        "/v1.0/devices/lock1/door-lock/temp-password",
        [],
        b'{"name": "R101-AB", "type": 0}',
        JSON_HEADER,
        True,
        "F1BC3D3A82FA726C75F6FDFA9BD35FB5D1C7578609FF56F2A8C5ECA151488543",
    ),
    (
        "DELETE",
        "/v1.0/devices/lock1/door-lock/temp-passwords/1001",
        [],
        b"",
        {},
        True,
        "E5EE3E8B354D08EAF0ABB533E91F3B7E063FC8CD03A703E3FED63EFDE79A6966",
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "headers", "with_token", "expected"), SIGNATURES
)
def test_the_signature_vectors(
    method: str,
    path: str,
    query: list[tuple[str, str]],
    body: bytes,
    headers: dict[str, str],
    with_token: bool,
    expected: str,
) -> None:
    to_sign = string_to_sign(method, body, headers, signed_url(path, query))
    token = "0a1b2c3d4e5f60718293a4b5c6d7e8f9" if with_token else ""
    made = sign(SECRET, "cid0123456789abcdefgh", "1767225600000", to_sign, access_token=token)
    assert made == expected


def test_the_signed_query_is_sorted_and_decoded() -> None:
    assert signed_url("/x", [("b", "2"), ("a", "1,2")]) == "/x?a=1,2&b=2"
