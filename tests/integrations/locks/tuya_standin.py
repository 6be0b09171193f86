"""A Tuya cloud on 127.0.0.1 that checks signatures by itself, keeps locks, and fails on order.

Written from contracts/tuya.md, not from tinytuya: what the adapter sends is judged independently.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ACCESS_ID = "cid0123456789abcdefgh"
ACCESS_SECRET = "0123456789abcdef0123456789abcdef"
EXPIRED_WORDINGS = [
    (1002, "token is null"),
    (1010, "token is expired"),
    (1010, "token invalid"),
    (1011, "token invalid"),
    (1012, "token status is invalid"),
    (1400, "token invalid"),
]


def expected_sign(
    method: str, url: str, *, t: str, token: str = "", body: bytes = b"", signed: str = ""
) -> str:
    """§1.3, from the text."""
    to_sign = "\n".join([method, hashlib.sha256(body).hexdigest(), signed, url])
    message = ACCESS_ID + token + t + to_sign
    digest = hmac.new(ACCESS_SECRET.encode(), message.encode(), hashlib.sha256)
    return digest.hexdigest().upper()


def seal(key: bytes, clear: bytes) -> bytes:
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(padder.update(clear) + padder.finalize()) + encryptor.finalize()


def unseal(key: bytes, sealed: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(sealed) + decryptor.finalize()) + unpadder.finalize()


class Refused(Exception):
    def __init__(self, code: int, msg: str = "refused") -> None:
        super().__init__(code)
        self.code, self.msg = code, msg


@dataclass
class Seen:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass
class Door:
    info: dict[str, Any]
    pin_length: int = 7
    capacity: int = 20
    upper: bool = False
    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    memory: dict[int, dict[str, Any]] = field(default_factory=dict)
    status: list[dict[str, Any]] = field(default_factory=list)
    battery: int = 77


class StandIn:
    """The cloud. `fail(match, fault)` spoils the next request whose "METHOD path" ends so."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.lock = threading.RLock()
        self.released = threading.Event()
        self.seen: list[Seen] = []
        self.faults: list[tuple[str, Any]] = []
        self.doors: dict[str, Door] = {}
        self.other_devices: list[dict[str, Any]] = []
        self.linked_devices: list[dict[str, Any]] = []
        self.page_size = 200
        self.token: str | None = None
        self.tokens_issued = 0
        self.token_life = 7200
        self.token_delay = 0.0
        self.delay = 0.0
        self.refusal = (1010, "token is expired")
        self.tickets: dict[str, bytes] = {}
        self.executed: list[str] = []
        self.next_id = 1000
        self.tickets_issued = 0
        self.connections = 0
        self.check_tokens = True
        self.t_offset_ms = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.cloud = self
        self._scheme = "https" if tls else "http"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # What tests do

    def add_door(self, device_id: str, **options: Any) -> Door:
        info = {
            "id": device_id,
            "name": f"Door {device_id}",
            "category": "ms",
            "online": True,
            "sub": False,
            "local_key": "local-key-secret",
            "time_zone": "-03:00",
        } | options.pop("info", {})
        self.doors[device_id] = Door(info=info, **options)
        return self.doors[device_id]

    def fail(self, match: str, fault: Any, times: int = 1) -> None:
        self.faults.extend([(match, fault)] * times)

    def expire_token(self, code: int = 1010, msg: str = "token is expired") -> None:
        with self.lock:
            self.token, self.refusal = None, (code, msg)

    def sync(self, device_id: str) -> None:
        with self.lock:
            door = self.doors[device_id]
            for ref, record in door.records.items():
                if record["phase"] in (1, 12):
                    record["phase"] = 2
                    door.memory[ref] = dict(record)
                elif record["phase"] == 3:
                    record["phase"] = 19
                    door.memory.pop(ref, None)

    def keypad(self, device_id: str, digits: str, at: float) -> bool:
        return any(
            record["digits"] == digits and record["effective_time"] <= at < record["invalid_time"]
            for record in self.doors[device_id].memory.values()
        )

    def sent(self, ending: str) -> list[Seen]:
        return [s for s in self.seen if f"{s.method} {s.path}".endswith(ending)]

    # One request

    def take_fault(self, label: str) -> Any:
        with self.lock:
            for position, (match, fault) in enumerate(self.faults):
                if label.endswith(match):
                    del self.faults[position]
                    return fault
        return None

    def answer(self, seen: Seen) -> dict[str, Any]:
        try:
            self._check_sign(seen)
            with self.lock:
                body = {"success": True, "result": self._execute(seen)}
        except Refused as refused:
            body = {"success": False, "code": refused.code, "msg": refused.msg}
        return body | {"t": int(time.time() * 1000) + self.t_offset_ms, "tid": "tid0a1b2c"}

    def _check_sign(self, seen: Seen) -> None:
        path, _, query = seen.target.partition("?")
        pairs = [unquote(pair.replace("+", " ")) for pair in query.split("&")] if query else []
        if [p.partition("=")[0] for p in pairs] != sorted(p.partition("=")[0] for p in pairs):
            raise Refused(1004, "sign invalid")
        url = path + ("?" + "&".join(pairs) if pairs else "")
        names = [n for n in seen.headers.get("signature-headers", "").split(":") if n]
        signed = "".join(f"{n}:{seen.headers.get(n.lower(), '')}\n" for n in names)
        token = seen.headers.get("access_token", "")
        sign = expected_sign(
            seen.method, url, t=seen.headers["t"], token=token, body=seen.body, signed=signed
        )
        if seen.headers["client_id"] != ACCESS_ID:
            raise Refused(1005, "client id invalid")
        if sign != seen.headers["sign"]:
            raise Refused(1004, "sign invalid")
        if path == "/v1.0/token":
            return
        with self.lock:
            if self.check_tokens and (not token or token != self.token):
                raise Refused(*self.refusal)

    def _execute(self, seen: Seen) -> Any:
        method, parts = seen.method, seen.path.strip("/").split("/")
        query = dict(p.split("=", 1) for p in seen.target.partition("?")[2].split("&") if "=" in p)
        match method, *parts:
            case "GET", "v1.0", "token":
                self.tokens_issued += 1
                self.token = f"token-{self.tokens_issued}-secret"
                return {
                    "access_token": self.token,
                    "refresh_token": "refresh-secret",
                    "expire_time": self.token_life,
                    "uid": "bay1",
                }
            case "GET", "v1.3", "iot-03", "devices":
                infos = [door.info for door in self.doors.values()] + self.other_devices
                return self._page(infos, query, "list")
            case "GET", "v1.0", "iot-01", "associated-users", "devices":
                return self._page(self.linked_devices, query, "devices")
            case "GET", "v1.0", "iot-03", "devices", "status":
                wanted = unquote(query["device_ids"]).split(",")
                return [{"id": i, "status": self._status(self.doors[i])} for i in wanted]
            case "GET", "v1.0", "iot-03", "devices", device_id, "status":
                return self._status(self._door(device_id))
            case _, "v1.0", "devices", device_id, "door-lock", *rest:
                return self._door_lock(self._door(device_id), method, rest, seen)
        raise Refused(1108, "uri path invalid")

    def _page(self, infos: list[dict[str, Any]], query: dict[str, str], key: str) -> Any:
        start = int(query.get("last_row_key", "0") or 0)
        following = start + self.page_size
        return {
            key: infos[start:following],
            "has_more": following < len(infos),
            "last_row_key": str(following),
            "total": len(infos),
        }

    @staticmethod
    def _status(door: Door) -> list[dict[str, Any]]:
        return [{"code": "residual_electricity", "value": door.battery}, *door.status]

    def _door(self, device_id: str) -> Door:
        if device_id not in self.doors:
            raise Refused(1106, "permission deny")
        return self.doors[device_id]

    def _door_lock(self, door: Door, method: str, rest: list[str], seen: Seen) -> Any:
        has_body = seen.headers.get("content-type") == "application/json"
        match method, *rest:
            case "POST", "password-ticket":
                ticket_id, key = f"ticket{self.tickets_issued}", b"kT7pQ2xW9bLm4ZsA"
                self.tickets_issued += 1
                self.tickets[ticket_id] = key
                sealed = seal(ACCESS_SECRET.encode(), key).hex().upper()
                return {"ticket_id": ticket_id, "ticket_key": sealed, "expire_time": 360}
            case "POST", "temp-password" if has_body:
                record = self._record(door, json.loads(seen.body))
                self._refuse_twins(door, record)
                self.next_id += 1
                door.records[self.next_id] = record | {"id": self.next_id, "phase": 1}
                self.executed.append("create")
                return {"id": self.next_id}
            case "GET", "temp-passwords":
                hidden = ("digits", "ticket_id")
                return [
                    {k: v for k, v in record.items() if k not in hidden}
                    for record in door.records.values()
                ]
            case "PUT", "temp-passwords", ref, "modify-password" if has_body:
                if int(ref) not in door.records:
                    raise Refused(2321)
                record = self._record(door, json.loads(seen.body))
                door.records[int(ref)].update(record | {"phase": 1})
                self.executed.append("change")
                return True
            case "DELETE", "temp-passwords", ref if not seen.body:
                if int(ref) not in door.records:
                    raise Refused(2321)
                door.records[int(ref)]["phase"] = 3 if int(ref) in door.memory else 19
                self.executed.append("delete")
                return True
            case "DELETE", "temp-passwords", ref, "record" if not seen.body:
                if door.records.pop(int(ref), None) is None:
                    raise Refused(2323)
                self.executed.append("purge")
                return True
        raise Refused(1108, "uri path invalid")

    def _record(self, door: Door, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("password_type") != "ticket" or len(str(body["effective_time"])) != 10:
            raise Refused(1109, "param is illegal")
        key = self.tickets.pop(body["ticket_id"], None)
        if key is None:
            raise Refused(2302, "ticket is spent")
        text = body["password"]
        if text != (text.upper() if door.upper else text.lower()):
            raise Refused(1109, "param is illegal")
        digits = unseal(key, bytes.fromhex(text)).decode()
        if len(digits) != door.pin_length:
            raise Refused(1109, "param is illegal")
        if body["effective_time"] < time.time() + self.t_offset_ms / 1000:
            raise Refused(2318, "start time is earlier than now")
        kept = {k: body[k] for k in ("name", "effective_time", "invalid_time")}
        return kept | {"digits": digits}

    @staticmethod
    def _refuse_twins(door: Door, record: dict[str, Any]) -> None:
        live = [r for r in door.records.values() if r["phase"] not in (0, 17, 19)]
        if any(r["name"] == record["name"] for r in live):
            raise Refused(2316, "name exists")
        if any(r["digits"] == record["digits"] for r in live):
            raise Refused(2322, "password exists")
        if len(live) >= door.capacity:
            raise Refused(2303, "password number limit")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    cloud: StandIn

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        with self.server.cloud.lock:
            self.server.cloud.connections += 1

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        cloud = self.server.cloud
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers, self.rfile.read(length))
        cloud.seen.append(seen)
        fault = cloud.take_fault(f"{seen.method} {seen.path}")
        if seen.path.endswith("/token"):
            time.sleep(cloud.token_delay)
        time.sleep(cloud.delay)
        if fault is None:
            self._send(json.dumps(cloud.answer(seen)).encode())
        elif isinstance(fault, dict):
            self._send(json.dumps(fault).encode())
        elif isinstance(fault, int):
            self._send(json.dumps({"success": False, "code": fault, "msg": "no"}).encode())
        elif isinstance(fault, tuple):
            self._send(fault[1], status=fault[0])
        else:
            getattr(self, f"_{fault}")(cloud, seen)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _send(self, body: bytes, status: int = 200, **extra: str) -> None:
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang(self, cloud: StandIn, seen: Seen) -> None:
        cloud.released.wait(30)

    def _drip(self, cloud: StandIn, seen: Seen) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not cloud.released.wait(0.1):
            self.wfile.write(b" ")
            self.wfile.flush()

    def _reset(self, cloud: StandIn, seen: Seen) -> None:
        """Execute, then reset the connection instead of answering."""
        cloud.answer(seen)
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def _lost(self, cloud: StandIn, seen: Seen) -> None:
        """Execute, then answer with a proxy's page."""
        cloud.answer(seen)
        self._send(b"<html>502 Bad Gateway</html>", status=502)

    def _redirect(self, cloud: StandIn, seen: Seen) -> None:
        self._send(b"", status=307, Location=f"{cloud.url}/elsewhere")

    def _too_many(self, cloud: StandIn, seen: Seen) -> None:
        self._send(b"slow down", status=429, Retry_After="17")
