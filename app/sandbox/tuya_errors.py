"""The lock cloud's refusals: its codes with the words it uses (contracts/tuya.md §2)."""

from __future__ import annotations

MESSAGES: dict[int, str] = {
    500: "system error, please contact the admin",
    1000: "data not found",
    1001: "secret invalid",
    1002: "access token is null",
    1003: "grant type invalid",
    1004: "sign invalid",
    1005: "clientId invalid",
    1006: "content type is not supported",
    1010: "token is expired",
    1011: "token invalid",
    1012: "token status is invalid",
    1013: "request time is invalid",
    1100: "param is empty",
    1101: "param range invalid",
    1102: "param is null",
    1104: "param type error",
    1105: "missing the header",
    1106: "permission deny",
    1108: "uri path invalid",
    1109: "param is illegal, please check it",
    1199: "too frequent, please try again later",
    2001: "device is offline",
    2004: "the device does not support this operation",
    2302: "password encryption is wrong",
    2303: "the number of passwords has reached the limit",
    2304: "the password has expired",
    2310: "zigbee password id does not exist",
    2312: "the lock is not online",
    2316: "the name is already used",
    2318: "the start or end time is earlier than the current time",
    2321: "wifi password id does not exist",
    2322: "the password already exists",
    2323: "the password record does not exist",
    2324: "the current status does not allow this operation",
    2328: "the lock is busy with another operation",
}


class Refusal(Exception):
    """An answer with `success: false`."""

    def __init__(self, code: int, message: str | None = None) -> None:
        self.code = code
        self.message = message or MESSAGES[code]
        super().__init__(self.code)
