"""A client that goes silent in the middle of a request does not keep a thread (ASVS 11.1.4; slow
requests), and what can be read in two ways is no request. The server is the real one, with the
limits of gunicorn.conf.py."""

from __future__ import annotations

import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import ROOT

CONF = """
import runpy
theirs = runpy.run_path({conf!r})
when_ready, worker_class = theirs["when_ready"], theirs["worker_class"]
theirs["when_ready"].__globals__["silence_seconds"] = 1
control_socket_disable = True
threads = 1
bind = "127.0.0.1:0"
"""
APP = """
def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server with one thread, which gives up a silent client after a second."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "conf.py").write_text(CONF.format(conf=str(ROOT / "gunicorn.conf.py")))
    (folder / "served.py").write_text(APP)
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", "conf.py", "served:app"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    found = None
    for line in server.stderr:
        if "Listening at" in line:
            found = int(line.split("127.0.0.1:")[1].split()[0].strip("()"))
            break
    assert found is not None, "the server did not start"
    yield found
    server.terminate()
    server.communicate(timeout=15)


def ask(port: int, patience: float) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as client:
        client.sendall(WHOLE)
        return client.recv(1000)


@pytest.mark.parametrize("half", [HALF_A_HEAD, HALF_A_BODY], ids=["head", "body"])
def test_a_silent_client_is_given_up(port: int, half: bytes) -> None:
    assert ask(port, 10).startswith(b"HTTP/1.1 200")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as silent:
        silent.sendall(half)
        time.sleep(0.2)  # it has the only thread by now
        assert ask(port, 10).startswith(b"HTTP/1.1 200")


def test_the_limit_is_shorter_than_any_proxys_patience() -> None:
    conf = runpy.run_path(str(Path(ROOT) / "gunicorn.conf.py"))
    assert 5 <= conf["silence_seconds"] <= 30


@pytest.mark.parametrize(
    "request_of_two_readings",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 30\r\n\r\na=b",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\na=b",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\na=b",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\rX-B: c\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
    ],
    ids=["two lengths", "a length twice", "length and chunks", "blank before the colon",
         "unknown coding", "signed length", "two hosts", "folded line", "bare CR", "bare LF"],
)  # fmt: skip
def test_what_a_proxy_may_read_otherwise_is_refused(
    port: int, request_of_two_readings: bytes
) -> None:
    """Request smuggling: nothing is answered, and nothing of the rest is taken for a request."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request_of_two_readings + WHOLE)
        answer = b""
        while more := client.recv(1000):
            answer += more
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
    assert answer.count(b"HTTP/1.1 ") == 1
