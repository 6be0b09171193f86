"""Asking for known vulnerabilities: what is known fails, what cannot be asked does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from app.local import advisories
from app.local.advisories import Package, Unanswered, installed, known

OLD, GOOD = Package("jinja2", "2.4.1"), Package("flask", "3.1.3")
TOLD = {
    "id": "GHSA-462w-v97r-4m45",
    "summary": "Sandbox escape\nand more",
    "aliases": ["CVE-2019-10906"],
    "affected": [
        {
            "package": {"name": "Jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10.1"}]}],
        }
    ],
}


def source(details: object = TOLD) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/querybatch":
            asked = json.loads(request.content)["queries"]
            assert all(each["package"]["ecosystem"] == "PyPI" for each in asked)
            bad = {"vulns": [{"id": TOLD["id"], "modified": "2024-01-01T00:00:00Z"}]}
            return httpx.Response(
                200, json={"results": [bad if q["version"] == "2.4.1" else {} for q in asked]}
            )
        assert request.url.path == f"/v1/vulns/{TOLD['id']}"
        return httpx.Response(200 if details else 500, json=details)

    return answer


def client(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(base_url="http://source", transport=httpx.MockTransport(answer))


def test_what_is_known_is_told_with_its_cure(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = known([GOOD, OLD], client(source()))
    assert (found.package, found.fixed) == (OLD, ("2.10.1",))
    assert advisories.report([found]) is False
    said = capsys.readouterr().out
    assert "jinja2 2.4.1: Sandbox escape (GHSA-462w-v97r-4m45, CVE-2019-10906)" in said
    assert "fixed in 2.10.1" in said


def test_one_without_details_counts_all_the_same() -> None:
    (found,) = known([OLD], client(source(details=None)))
    assert advisories.report([found]) is False


def test_a_withdrawn_one_is_none() -> None:
    assert known([OLD], client(source(TOLD | {"withdrawn": "2024-01-01T00:00:00Z"}))) == []


@pytest.mark.parametrize("name", ["GHSA-462w-v97r-4m45", "CVE-2019-10906"])
def test_an_accepted_one_is_told_with_its_reason(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(advisories, "ACCEPTED", {name: "we have no sandbox"})
    assert advisories.report(known([OLD], client(source()))) is True
    assert "accepted: we have no sandbox" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503),
        httpx.Response(302, headers={"Location": "http://portal/"}),
        httpx.Response(200, text="<html>sign in to this network</html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"results": []}),
    ],
    ids=["away", "redirect", "page", "list", "too few"],
)
def test_what_is_no_answer(answer: httpx.Response) -> None:
    with pytest.raises(Unanswered):
        known([OLD], client(lambda request: answer))


def test_everything_installed_is_asked_about() -> None:
    names = {each.name for each in installed()}
    assert {"flask", "werkzeug", "markupsafe", "pytest"} <= names


def test_nobody_to_ask_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADVISORIES_URL", "http://127.0.0.1:1")
    assert advisories.main() == 0
    assert "not asked: http://127.0.0.1:1 gives no answer" in capsys.readouterr().out


class Knows(BaseHTTPRequestHandler):
    """A source that knows one thing against the first package it is asked about, or nothing."""

    vulnerable = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        results: list[dict[str, object]] = [{} for _ in asked]
        if self.vulnerable:
            results[0] = {"vulns": [{"id": "OSV-1"}]}
        self.say({"results": results})

    def do_GET(self) -> None:
        self.say({"summary": "Bad", "affected": []})

    def say(self, body: object) -> None:
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def over_http(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Knows) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("ADVISORIES_URL", f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("vulnerable", "status"), [(True, 1), (False, 0)])
def test_the_command(
    over_http: None, monkeypatch: pytest.MonkeyPatch, vulnerable: bool, status: int
) -> None:
    monkeypatch.setattr(Knows, "vulnerable", vulnerable)
    assert advisories.main() == status
