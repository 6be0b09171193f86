"""The published vectors of contracts/tuya.md §11.1, and the wrong readings of §3."""

from __future__ import annotations

import pytest

from app.domain.pins import Pin
from app.integrations.locks.tuya.crypto import (
    TicketLocked,
    TicketMalformed,
    encrypt_pin,
    ticket_secret,
)
from tests.integrations.locks.tuya_standin import seal

VECTORS = [
    (
        "0123456789abcdef0123456789abcdef",
        "F21B92B723259439CC78A8AC9731FCB48AA36241FDE8DF054DC325C6C695B89E",
        b"kT7pQ2xW9bLm4ZsA",
        "4830157",
        "22c5d5e4ce7095e3cc3497a74b93ef5f",
    ),
    (
        "9f1c5e7a3b8d4026a1e5c79042bd6f38",
        "DD21F14D23AAA7791BEF4517998B58A338927F15D91639B1159795B4A293B7AE",
        b"A1b2C3d4E5f6G7h8",
        "0071234",
        "559ce08a1a1bc8c2410fab4e28164c5a",
    ),
    (
        "00112233445566778899aabbccddeeff",
        "FD32C7DF398E3CD10D34B62705FBB7A3060C21C7182DBC1600332CE416E13373",
        b"ffffffff00000000",
        "591284",
        "1ee78305ad08a10d953ef9ea9dd47384",
    ),
    (
        "abcdefabcdefabcdefabcdefabcdefab",
        "9C3416E955C6C91C35CC519257B3D2456F1689E9905621022314D784B55C0425",
        b"ZyXwVuTsRqPoNmLk",
        "1000000",
        "db12f3a40ac6a0640b71020d405428ce",
    ),
]


@pytest.mark.parametrize(("secret", "ticket_key", "key", "digits", "sealed"), VECTORS)
def test_published_vectors(
    secret: str, ticket_key: str, key: bytes, digits: str, sealed: str
) -> None:
    assert ticket_secret(secret, ticket_key) == key
    assert ticket_secret(secret, ticket_key.lower()) == key
    assert encrypt_pin(key, Pin(digits), "lower") == sealed
    assert encrypt_pin(key, Pin(digits), "upper") == sealed.upper()


def test_another_projects_secret_shows_in_the_padding() -> None:
    for secret in (VECTORS[1][0], VECTORS[2][0], VECTORS[3][0]):
        with pytest.raises(TicketLocked):
            ticket_secret(secret, VECTORS[0][1])


@pytest.mark.parametrize(
    "secret",
    [
        VECTORS[0][0][:16],
        VECTORS[0][0][8:24],
        bytes.fromhex(VECTORS[0][0]).decode("latin-1"),
        "",
    ],
)
def test_a_part_of_the_secret_is_refused(secret: str) -> None:
    with pytest.raises(TicketLocked):
        ticket_secret(secret, VECTORS[0][1])


@pytest.mark.parametrize("ticket_key", ["", "xyz", "F21B92", "F21B92B7" * 3, None])
def test_what_is_no_ticket_is_malformed(ticket_key: str) -> None:
    with pytest.raises(TicketMalformed):
        ticket_secret(VECTORS[0][0], ticket_key)


def test_a_ticket_of_another_size_is_refused() -> None:
    longer = seal(VECTORS[0][0].encode(), b"k" * 20).hex()
    with pytest.raises(TicketLocked):
        ticket_secret(VECTORS[0][0], longer)


def test_a_pin_is_not_encrypted_under_a_key_of_another_size() -> None:
    with pytest.raises(TicketMalformed):
        encrypt_pin(b"k" * 32, Pin("4830157"), "lower")
