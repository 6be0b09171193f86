"""The lock cloud's HTTP face: signatures, tokens, devices and temporary passwords."""

from __future__ import annotations

import hmac
import json
import secrets
import uuid
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from app.sandbox import lock_device, tuya_devices, tuya_passwords
from app.sandbox.context import Sandbox
from app.sandbox.faults import CLOCK_SKEW, REFUSALS, spoil_answers, take
from app.sandbox.records import Lock, Token, World
from app.sandbox.tuya_errors import Refusal
from app.sandbox.tuya_signing import sign, signed_url, string_to_sign

TOKEN_SECONDS = 7200
CLOCK_TOLERANCE = 300.0


def blueprint(sandbox: Sandbox) -> Blueprint:
    """Everything below /tuya."""
    bp = Blueprint("tuya", __name__, url_prefix="/tuya")

    def cloud_now(world: World) -> float:
        skew = next((f for f in world.faults if f.kind == CLOCK_SKEW), None)
        return sandbox.now() + (skew.seconds if skew else 0.0)

    def envelope(world: World, **fields: Any) -> Response:
        body = {**fields, "t": int(cloud_now(world) * 1000), "tid": uuid.uuid4().hex}
        return Response(json.dumps(body), mimetype="application/json")

    def error(status: int, text: str) -> Response:
        with sandbox.store.open(changes=False) as world:
            answer = envelope(world, success=False, code=status, msg=text)
        answer.status_code = status
        return answer

    spoil_answers(bp, sandbox.store, "tuya", error)

    def refused(refusal: Refusal) -> Response:
        with sandbox.store.open(changes=False) as world:
            return envelope(world, success=False, code=refusal.code, msg=refusal.message)

    bp.register_error_handler(Refusal, refused)

    def call(work: Callable[[World, float], Any], *, token_call: bool = False) -> Response:
        """Check the caller, then answer with the result of `work` in the usual envelope."""
        with sandbox.store.open() as world:
            _check_caller(sandbox, world, cloud_now(world), token_call=token_call)
            kinds = {"code", "plan_expired"} if token_call else set(REFUSALS)
            fault = take(world, _scopes(), kinds, (request.endpoint or "").rpartition(".")[2])
            if fault is not None:
                raise Refusal(fault.code, fault.message)
            return envelope(world, success=True, result=work(world, sandbox.now()))

    @bp.get("/v1.0/token")
    def token() -> Response:
        def work(world: World, now: float) -> dict[str, Any]:
            if request.args.get("grant_type") != "1":
                raise Refusal(1003)
            if world.token.expires_at <= now:
                world.token = _new_token(now)
            return _token_result(world.token, now)

        return call(work, token_call=True)

    @bp.get("/v1.0/token/<refresh>")
    def refresh_token(refresh: str) -> Response:
        def work(world: World, now: float) -> dict[str, Any]:
            if not hmac.compare_digest(refresh, world.token.refresh):
                raise Refusal(1010, "token invalid")
            world.token = _new_token(now)
            return _token_result(world.token, now)

        return call(work, token_call=True)

    @bp.post("/v1.0/devices/<device_id>/door-lock/password-ticket", endpoint="ticket")
    @bp.post("/v1.0/smart-lock/devices/<device_id>/password-ticket", endpoint="ticket")
    def ticket(device_id: str) -> Response:
        return call(
            lambda world, now: tuya_passwords.issue_ticket(
                world, _lock(world, device_id), sandbox.keys.tuya_access_secret, now
            )
        )

    @bp.post("/v1.0/devices/<device_id>/door-lock/temp-password")
    def create(device_id: str) -> Response:
        return call(
            lambda world, now: {
                "id": tuya_passwords.create(
                    world,
                    _lock(world, device_id),
                    _json_body(),
                    sandbox.keys.tuya_access_secret,
                    now,
                )
            }
        )

    @bp.get("/v1.0/devices/<device_id>/door-lock/temp-passwords", endpoint="list")
    def list_passwords(device_id: str) -> Response:
        valid = {"true": True, "false": False}.get(request.args.get("valid", ""))
        return call(
            lambda world, now: tuya_passwords.listed(world, _lock(world, device_id), valid, now)
        )

    @bp.get("/v1.0/devices/<device_id>/door-lock/temp-password/<int:password_id>")
    def read(device_id: str, password_id: int) -> Response:
        def work(world: World, now: float) -> dict[str, Any]:
            lock = _lock(world, device_id)
            lock_device.advance(world, lock, now)
            return tuya_passwords.as_listed(lock, tuya_passwords.find(lock, password_id))

        return call(work)

    passwords = "/v1.0/devices/<device_id>/door-lock/temp-passwords"

    @bp.put(f"{passwords}/<int:password_id>/modify-password")
    def modify(device_id: str, password_id: int) -> Response:
        return call(
            lambda world, now: tuya_passwords.modify(
                world,
                _lock(world, device_id),
                password_id,
                _json_body(),
                sandbox.keys.tuya_access_secret,
                now,
            )
        )

    @bp.put(f"{passwords}/<int:password_id>/<any('freeze', 'unfreeze'):verb>-password")
    def freeze(device_id: str, password_id: int, verb: str) -> Response:
        return call(
            lambda world, now: tuya_passwords.freeze(
                world, _lock(world, device_id), password_id, verb == "freeze", now
            )
        )

    @bp.delete(f"{passwords}/<int:password_id>")
    def delete(device_id: str, password_id: int) -> Response:
        return call(
            lambda world, now: tuya_passwords.delete(
                world, _lock(world, device_id), password_id, now
            )
        )

    @bp.delete(f"{passwords}/<int:password_id>/record")
    def purge(device_id: str, password_id: int) -> Response:
        return call(
            lambda world, now: tuya_passwords.purge(
                world, _lock(world, device_id), password_id, now
            )
        )

    @bp.post(f"{passwords}/rest-password")
    def clear(device_id: str) -> Response:
        return call(lambda world, now: tuya_passwords.clear(world, _lock(world, device_id), now))

    @bp.post("/v1.0/devices/<device_id>/door-lock/issue-password")
    def issue(device_id: str) -> Response:
        def work(world: World, now: float) -> bool:
            lock_device.advance(world, _lock(world, device_id), now)
            return True

        return call(work)

    @bp.get("/v1.3/iot-03/devices")
    def devices() -> Response:
        return call(tuya_devices.page)

    @bp.get("/v1.0/iot-01/associated-users/devices")
    def associated_devices() -> Response:
        return call(
            lambda world, now: {
                "devices": tuya_devices.all_devices(world, now),
                "has_more": False,
                "last_row_key": "",
                "total": len(world.locks) + len(world.gateways),
            }
        )

    @bp.get("/v1.0/devices/<device_id>")
    def device(device_id: str) -> Response:
        def work(world: World, now: float) -> dict[str, Any]:
            found = [d for d in tuya_devices.all_devices(world, now) if d["id"] == device_id]
            if not found:
                raise Refusal(1106)
            return found[0]

        return call(work)

    @bp.get("/v1.0/iot-03/devices/status")
    def statuses() -> Response:
        wanted = request.args.get("device_ids", "").split(",")
        return call(
            lambda world, now: [
                {"id": device_id, "status": tuya_devices.status(_lock(world, device_id))}
                for device_id in wanted
            ]
        )

    @bp.get("/v1.0/iot-03/devices/<device_id>/status")
    def status(device_id: str) -> Response:
        return call(lambda world, now: tuya_devices.status(_lock(world, device_id)))

    @bp.get("/<any('v1.0', 'v1.1'):version>/devices/<device_id>/door-lock/open-logs")
    def open_logs(version: str, device_id: str) -> Response:
        unit = 1000 if version == "v1.1" else 1
        return call(lambda world, now: tuya_devices.open_logs(_lock(world, device_id), unit))

    @bp.errorhandler(HTTPException)
    def other_errors(fault: HTTPException) -> Response:
        return refused(Refusal(1109))

    # The real cloud answers an unknown path, or a wrong verb, before it looks at the signature.
    @bp.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    @bp.route("/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def unknown(path: str) -> Response:
        raise Refusal(1108)

    bp.register_error_handler(NotFound, lambda _: refused(Refusal(1108)))
    bp.register_error_handler(MethodNotAllowed, lambda _: refused(Refusal(1108)))
    return bp


def _scopes() -> set[str]:
    device = (request.view_args or {}).get("device_id")
    return {"tuya", "locks", str(device)} if device else {"tuya"}


def _check_caller(sandbox: Sandbox, world: World, now: float, *, token_call: bool) -> None:
    """Project, clock, signature, then the token: in that order, each with its own code."""
    headers, keys = request.headers, sandbox.keys
    if headers.get("client_id") != keys.tuya_access_id:
        raise Refusal(1005)
    t = headers.get("t", "")
    if (
        not (t.isascii() and t.isdigit() and len(t) == 13)
        or abs(int(t) / 1000 - now) > CLOCK_TOLERANCE
    ):
        raise Refusal(1013)
    access_token = "" if token_call else headers.get("access_token", "")
    if not token_call and not access_token:
        raise Refusal(1002)
    if not _is_signed(sandbox, t, access_token):
        raise Refusal(1004)
    if token_call:
        return
    if not hmac.compare_digest(access_token.encode(), world.token.access.encode()):
        raise Refusal(1010, "token invalid")
    if world.token.expires_at <= sandbox.now():
        raise Refusal(1010, world.token.wording)
    if (
        request.method == "POST"
        and request.content_length
        and request.mimetype != "application/json"
    ):
        raise Refusal(1006)


def _is_signed(sandbox: Sandbox, t: str, access_token: str) -> bool:
    """Whether `sign` fits what arrived, with or without our mount point.

    The real cloud has no path before /v1.0, so either reading of "the URL without its host" is
    right there: a client may take /tuya for a part of the address or of the path.
    """
    headers, keys = request.headers, sandbox.keys
    if headers.get("sign_method") != "HMAC-SHA256":
        return False
    named = [name for name in headers.get("Signature-Headers", "").split(":") if name]
    signed_headers = {name: headers.get(name, "") for name in named}
    query = list(request.args.items(multi=True))
    given = headers.get("sign", "").encode()
    for path in (request.path.removeprefix("/tuya"), request.path):
        url = signed_url(path, query)
        to_sign = string_to_sign(request.method, request.get_data(cache=True), signed_headers, url)
        expected = sign(
            keys.tuya_access_secret,
            keys.tuya_access_id,
            t,
            to_sign,
            access_token=access_token,
            nonce=headers.get("nonce", ""),
        )
        if hmac.compare_digest(expected.encode(), given):
            return True
    return False


def _new_token(now: float) -> Token:
    return Token(secrets.token_hex(16), secrets.token_hex(16), now + TOKEN_SECONDS)


def _token_result(token: Token, now: float) -> dict[str, Any]:
    return {
        "access_token": token.access,
        "refresh_token": token.refresh,
        "expire_time": int(token.expires_at - now),
        "uid": "bay0000000000sandbox",
    }


def _json_body() -> dict[str, Any]:
    try:
        body = json.loads(request.get_data(cache=True))
    except ValueError:
        raise Refusal(1109) from None
    if not isinstance(body, dict):
        raise Refusal(1104)
    return body


def _lock(world: World, device_id: str) -> Lock:
    lock = world.locks.get(device_id)
    if lock is None:
        raise Refusal(1106)
    return lock
