"""What the documents name is there: links and pictures, commands, variables, pages, files."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import Command, Context, Group
from flask import Flask
from flask.cli import FlaskGroup, ScriptInfo
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect

from app import config, variables
from app.sandbox.cli import group as sandbox

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
OPERATIONS = ROOT / "docs" / "operations.md"
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"```(\w*)\n(.*?)```|`([^`\n]+)`", re.DOTALL)
_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PORT|SANDBOX")
_FLASK = re.compile(r"(?:\bflask|bin/flask) --app wsgi ([^\n`#]*)")
#: read by `bin/run`, not by `app/config.py`
LOCAL = {"SANDBOX_PORT"}
#: what docs/extending.md has a third party make
EXAMPLES = {
    "app/integrations/channels/harbour.py",
    "app/integrations/locks/keyring.py",
    "tests/payloads/harbour/",
}
_FILE = re.compile(
    r"((?:app|tests|bench|services|domain|models|web|api|queue)/[\w/-]+)(\.?[\w.]*/?)"
)
#: addresses of vendors, and places of a machine
FOREIGN = ("/inventory/", "/external/", "/srv/", "/etc/", "/tmp/")


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def spans(text: str) -> Iterator[str]:
    """What a document sets as code, in a line or a block."""
    for found in _CODE.finditer(text):
        yield found[2] if found[2] is not None else found[3]


def anchors(path: Path) -> set[str]:
    """The headings of a document as a code host makes addresses of them."""
    heads = re.findall(
        r"^#{1,6} (.+)$", re.sub(r"```.*?```", "", path.read_text(), flags=re.S), re.M
    )
    plain = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {head.replace(" ", "-") for head in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_link_and_picture_is_there(document: Path) -> None:
    broken = []
    for target in _LINK.findall(document.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = (document.parent / path).resolve() if path else document
        missing = not there.exists() or not there.is_relative_to(ROOT)
        if missing or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_command_is_one(document: Path, session_app: Flask) -> None:
    text = document.read_text()
    for command in re.findall(r"(?<![\w./])(?:bin|\.ci)/[a-z]+", "\n".join(spans(text))):
        assert (ROOT / command).exists() or command == "bin/pip", command
    for words in _FLASK.findall("\n".join(spans(text))):
        for command in _spelled_out(words):
            assert _is_command(session_app, command), " ".join(command)


def _spelled_out(words: str) -> list[list[str]]:
    """`users create|list --help` as two commands; options, values and placeholders left out."""
    found: list[list[str]] = [[]]
    for word in words.split():
        if not re.fullmatch(r"[a-z][a-z0-9_-]*(?:\|[a-z][a-z0-9_-]*)*[,.;]?", word):
            break
        found = [[*before, each] for before in found for each in word.strip(",.;").split("|")]
    return [command for command in found if command]


def _is_command(app: Flask, words: list[str]) -> bool:
    """Whether these words lead to a command; what follows a command are its arguments."""
    context = Context(FlaskGroup(create_app=lambda: app), obj=ScriptInfo(create_app=lambda: app))
    command: Command | None = context.command
    for word in words:
        if not isinstance(command, Group):
            break
        at_sandbox = command is context.command and word == sandbox.name
        command = sandbox if at_sandbox else command.get_command(context, word)
    return command is not None


def test_every_variable_is_told_and_every_one_told_is_read() -> None:
    """The table of operations.md and what the settings read are the same names."""
    table = OPERATIONS.read_text().partition("## Variables")[2].partition("\n## ")[0]
    told = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", line.split("|")[1])
    }
    source = inspect.getsource(config) + inspect.getsource(variables)
    read = set(re.findall(r"reader\.\w+\(\s*\"([A-Z][A-Z0-9_]+)\"", source))
    read |= set(re.findall(r"_secret\(reader, \"([A-Z_]+)\"", source))
    read |= set(re.findall(r"^\s*name(?:, \w+)? = \"([A-Z_]+)\"", source, re.M))
    stays = re.search(r"names = \((\"API_URL\".*?)\)", source)
    assert stays is not None
    read |= {f"STAYS_{name}" for name in re.findall(r"\"([A-Z_]+)\"", stays[1])}
    assert told - LOCAL == read


def _read_beside() -> set[str]:
    """What tests, benchmarks and the commands in `bin` read for themselves."""
    code = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("bench/**/*.py"), *ROOT.glob("app/local/*.py")]
    read = {
        name
        for path in code
        for name in re.findall(r"environ(?:\.get\(|\[)\s*\"([A-Z_]+)\"", path.read_text())
    }
    commands = (path.read_text() for path in (ROOT / "bin").iterdir() if path.is_file())
    return read | {name for text in commands for name in re.findall(r"\$\{?([A-Z_]+)", text)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_variable_named_is_one(document: Path) -> None:
    """A name set as `NAME=…` in an example is a variable of ours."""
    table = OPERATIONS.read_text().partition("## Variables")[2].partition("\n## ")[0]
    known = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table)) | _read_beside()
    set_here = {
        name
        for span in spans(document.read_text())
        for name in re.findall(rf"(?<![\w.-])({_NAME.pattern})=", span)
    }
    assert set_here <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_page_is_served(document: Path, session_app: Flask) -> None:
    """A path set as code by itself is in the URL map, with whatever method."""
    paths = set()
    for span in spans(document.read_text()):
        found = re.fullmatch(r"(?:(?:GET|POST|PUT|PATCH|DELETE) )?(/[a-z][\w/<>.-]*)", span.strip())
        if found and not found[1].startswith(FOREIGN):
            paths.add(found[1])
    unknown = [path for path in sorted(paths) if not _served(session_app, path)]
    assert not unknown


def _served(app: Flask, path: str) -> bool:
    some = "00000000-0000-4000-8000-000000000000"
    address = re.sub(r"<[^>]+>", some, path).rstrip("/")
    adapter = app.url_map.bind("localhost")
    for prefix in ("", "/api"):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            try:
                adapter.match(prefix + address or "/", method=method)
            except RequestRedirect:
                return True
            except (NotFound, MethodNotAllowed):
                continue
            return True
    below = [rule.rule for rule in app.url_map.iter_rules()]
    return any(rule.startswith((f"{address}/", f"/api{address}/")) for rule in below)


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_file_named_is_there(document: Path) -> None:
    """`app/…`, `tests/…`, and below them `services/…` and their like; with what it is to define
    where a name goes on: `services/events.process`."""
    missing = []
    for span in spans(document.read_text()):
        found = _FILE.fullmatch(span)
        if found is not None and span not in EXAMPLES and not _is_there(found[1], found[2]):
            missing.append(span)
    assert not missing


def _is_there(path: str, ending: str) -> bool:
    for root in (ROOT, ROOT / "app", ROOT / "tests"):
        if (root / f"{path}{ending}").exists():
            return True
        module = root / f"{path}.py"
        if module.exists():
            name = ending.lstrip(".").partition(".")[0]
            return re.search(rf"^(?:def |class )?{name}\b", module.read_text(), re.M) is not None
    return False
