"""A vendor on a real socket that can be late, stop half way or not be a vendor at all."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

#: what the vendor does with a connection once it has read the request's head
Script = Callable[[socket.socket], None]


class VendorServer:
    """Runs one script per connection, the last one for all that follow."""

    def __init__(self, *scripts: Script) -> None:
        self.requests: list[bytes] = []
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(65536)
                if not received:
                    return
                head += received
            self.requests.append(head)
            self._scripts[min(len(self.requests), len(self._scripts)) - 1](connection)

    def stop(self) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@contextlib.contextmanager
def vendor(*scripts: Script) -> Iterator[VendorServer]:
    """A running vendor."""
    server = VendorServer(*scripts)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(5)


def answer(body: bytes, *, status: str = "200 OK", headers: str = "", length: int = -1) -> Script:
    """A JSON answer; `length` may promise more than `body` holds."""
    promised = len(body) if length < 0 else length

    def script(connection: socket.socket) -> None:
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {promised}\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(head.encode() + body)

    return script


def hang_up(connection: socket.socket) -> None:
    """No answer at all."""


def silence(seconds: float) -> Script:
    """The request is taken and nothing comes back for a while."""

    def script(connection: socket.socket) -> None:
        time.sleep(seconds)

    return script


def drip(every: float, times: int) -> Script:
    """A body that never pauses long enough for a read timeout, and never ends."""

    def script(connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n["
        )
        for _ in range(times):
            time.sleep(every)
            connection.sendall(b" ")

    return script
