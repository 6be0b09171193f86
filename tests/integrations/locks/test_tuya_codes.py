"""Every code of contracts/tuya.md §2 means one thing, and an unknown outcome is read back."""

from __future__ import annotations

from typing import Any

import pytest

from app.integrations import errors
from app.integrations.locks.tuya.codes import TokenRefused, interpret

REFUSED_BY_LOCK = [2301, 2302, 2304, 2306, 2309, 2314, 2315, 2319, 2320]
CODES: dict[type[Exception], list[int]] = {
    errors.Unauthorized: [
        1001,
        1003,
        1004,
        1005,
        1008,
        1106,
        1107,
        2406,
        28841101,
        28841105,
        28841107,
    ],
    errors.QuotaExhausted: [28841002, 28841004],
    errors.ClockSkewed: [1013],
    errors.NotFound: [1000, 2005, 2006, 2010, 2310, 2321, 2323],
    errors.NotSupported: [2003, 2004, 2008, 2009],
    errors.Rejected: [
        1006,
        1100,
        1101,
        1102,
        1104,
        1105,
        1108,
        1109,
        2018,
        2301,
        2302,
        2304,
        2306,
        2309,
        2314,
        2315,
        2319,
        2320,
    ],
    errors.RateLimited: [429, 1110, 1113, 1199, 2308],
    errors.LockBusy: [1103, 1111, 1112, 2311, 2317, 2324, 2328],
    errors.LockOffline: [2001, 2312, 2313],
    errors.LockFull: [2303, 2305, 2307],
    errors.NameTaken: [2316],
    errors.PinTaken: [2322],
    errors.StartInPast: [2318],
    TokenRefused: [1002, 1010, 1011, 1012, 1400],
}


def answer(code: object, msg: str = "no", **more: Any) -> dict[str, Any]:
    return {"success": False, "code": code, "msg": msg, "tid": "tid9"} | more


def raised(reply: Any, *, writes: bool, status: int | None = 200) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what is asked
        interpret(reply, status=status, retry_after=None, writes=writes)
    return caught.value


@pytest.mark.parametrize("writes", [True, False])
@pytest.mark.parametrize(
    ("code", "kind"), [(code, kind) for kind, codes in CODES.items() for code in codes]
)
def test_known_codes(code: int, kind: type[Exception], writes: bool) -> None:
    error = raised(answer(code), writes=writes)
    assert type(error) is kind
    if isinstance(error, errors.IntegrationError):
        assert (error.vendor, error.code, error.trace_id) == ("tuya", str(code), "tid9")


def test_every_documented_lock_code_is_known() -> None:
    listed = {code for codes in CODES.values() for code in codes}
    assert set(range(2301, 2325)) | {2328} <= listed


@pytest.mark.parametrize("code", [500, 4711, "4711"])
def test_a_write_with_an_unknown_outcome_is_unconfirmed(code: object) -> None:
    assert type(raised(answer(code), writes=True)) is errors.Unconfirmed


def test_reads_are_simply_repeated() -> None:
    assert type(raised(answer(500), writes=False)) is errors.Unreachable
    assert type(raised(answer(4711), writes=False)) is errors.Unreadable
    assert all(raised(answer(code), writes=False).retryable for code in (500, 4711))


def test_a_refused_address_needs_a_person() -> None:
    error = raised(answer(1114, "your ip(1.2.3.4) is not allowed"), writes=True)
    assert type(error) is errors.Unauthorized


@pytest.mark.parametrize(
    "reply",
    [
        None,
        [],
        ["x"],
        7,
        "text",
        {},
        {"success": "true"},
        {"success": 1, "result": {}},
        {"Error": "x", "Err": "909", "Payload": "x"},
        {"success": False},
    ],
)
def test_shapes_that_are_no_envelope(reply: Any) -> None:
    """§8.2: only a dict whose success is True succeeded."""
    assert type(raised(reply, writes=True)) is errors.Unconfirmed
    assert type(raised(reply, writes=False)) is errors.Unreadable
    assert type(raised(reply, writes=False, status=503)) is errors.Unreachable
    assert type(raised(reply, writes=True, status=429)) is errors.RateLimited


@pytest.mark.parametrize("reply", [None, {"Error": "x", "Err": "911", "Payload": "x"}])
def test_an_answer_without_a_request_is_a_missing_token(reply: Any) -> None:
    assert type(raised(reply, writes=True, status=None)) is TokenRefused


def test_words_of_the_vendor_lose_what_could_be_secret() -> None:
    said = "bad ticket 22c5d5e4ce7095e3cc3497a74b93ef5f for 4830157"
    assert str(raised(answer(4711, said), writes=True)) == (
        "unknown answer: bad ticket … for … (4711)"
    )


def test_false_and_empty_results_are_results() -> None:
    for result in (False, None, [], 0):
        reply = {"success": True, "result": result}
        assert interpret(reply, status=200, retry_after=None, writes=True) == result
