"""Who may import whom (STYLE), and what no template may hold (a CSP without unsafe-inline)."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "app"

BASE = {"config", "variables", "clock", "errors", "crypto", "logs", "meters"}
GROUND = {"transaction", "extensions", "runtime"}
LOWER = GROUND | {"domain"}
MIDDLE = LOWER | {"models", "integrations", "queue"}
DOORS = {"web", "api", "jobs", "cli"}

#: layer -> the layers it may import besides itself and the base modules
MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "extensions": {"domain"},
    "transaction": {"extensions", "domain"},
    "runtime": {"extensions", "domain"},
    "models": LOWER,
    "integrations": {"domain"},
    "queue": LOWER,
    "services": MIDDLE,
    **{door: MIDDLE | {"services"} for door in DOORS},
    "factory": MIDDLE | {"services"} | DOORS,
    "sandbox": set(),
    "local": MIDDLE | {"services", "factory", "sandbox"} | DOORS,
}
STDLIB_ONLY = {"domain"}


def layer_of(module: str) -> str:
    """`app.services.holds` -> `services`; `app` itself -> ``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports_of(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Every module a file imports, at its top or inside a function, with the line."""
    package = path.relative_to(root).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [start, node.module]))
            if module == "app" or module.startswith("app."):
                for alias in node.names:  # `from app import clock` imports app.clock
                    yield node.lineno, f"{module}.{alias.name}"
            else:
                yield node.lineno, module


def broken_arrows(root: Path) -> list[str]:
    """Each import under `root`/app that the rule forbids, as a sentence."""
    found = []
    for path in sorted((root / "app").rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        layer = layer_of(module)
        where = path.relative_to(root)
        for line, target in imports_of(path, root):
            if target.split(".")[0] != "app":
                if layer in STDLIB_ONLY and target.split(".")[0] not in sys.stdlib_module_names:
                    found.append(f"{where}:{line}: {layer} imports {target}; standard library only")
                continue
            other = layer_of(target)
            if other in ("", layer):
                continue
            if layer in BASE:
                allowed = BASE | {"domain"}
            elif layer in STDLIB_ONLY:
                allowed = MAY_IMPORT[layer]
            else:
                allowed = MAY_IMPORT.get(layer, set()) | BASE
            if other not in allowed:
                found.append(f"{where}:{line}: {layer} may not import {other} ({target})")
    return found


def test_imports_follow_the_arrows() -> None:
    assert broken_arrows(ROOT) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("app/domain/pins.py", "import flask", "standard library only"),
        ("app/domain/pins.py", "from app.clock import utcnow", "domain may not import clock"),
        ("app/web/pins.py", "from app.api import tokens", "web may not import api"),
        ("app/web/pins.py", "def f():\n    from ..api import tokens", "web may not import api"),
        ("app/models/pins.py", "from app import queue", "models may not import queue"),
        ("app/services/pins.py", "import app.jobs.pins", "services may not import jobs"),
        (
            "app/services/pins.py",
            "from app.sandbox import store",
            "services may not import sandbox",
        ),
        ("app/web/pins.py", "from app.local import engines", "web may not import local"),
        ("app/sandbox/pins.py", "from app.services import pins", "sandbox may not import services"),
        ("app/clock.py", "from app.extensions import db", "clock may not import extensions"),
        ("app/newcomer.py", "from app.models import Lock", "newcomer may not import models"),
    ],
)
def test_a_broken_arrow_is_named(tmp_path: Path, module: str, source: str, complaint: str) -> None:
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    path.write_text(source)
    (problem,) = broken_arrows(tmp_path)
    assert complaint in problem
    assert problem.startswith(f"{module}:")


def test_only_the_ways_in_use_the_local_engines() -> None:
    """`app.local` belongs to the processes a person starts, never to the product's modules."""
    users = {
        path.relative_to(ROOT).as_posix()
        for path in [*ROOT.glob("*.py"), *(ROOT / "migrations").rglob("*.py")]
        if any(target.startswith("app.local") for _, target in imports_of(path, ROOT))
    }
    assert users <= {"wsgi.py", "worker.py"}


INLINE = re.compile(
    r"""
    <script(?![^>]*\ssrc=)[^>]*>        # a script without a file
    | <style\b
    | <[^>]*?\sstyle\s*=
    | <[^>]*?\son[a-z]+\s*=             # onclick and its kin
    | <[^>]*?\shx-on\b
    | javascript:
    """,
    re.VERBOSE | re.IGNORECASE,
)


def inline_code(html: str) -> list[str]:
    """Whatever a strict Content-Security-Policy would block in a template."""
    plain = re.sub(r"\{#.*?#\}", "", html, flags=re.DOTALL)
    # Expressions may hold `>` and words such as `on=`; the browser never sees them.
    plain = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", plain, flags=re.DOTALL)
    return [match.group(0)[-80:] for match in INLINE.finditer(plain)]


def test_templates_hold_no_inline_code() -> None:
    templates = [*(ROOT / "templates").rglob("*"), *(APP / "sandbox" / "templates").rglob("*")]
    found = {
        str(path.relative_to(ROOT)): problems
        for path in templates
        if path.is_file() and (problems := inline_code(path.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        '<p class="a" style="color:red">',
        '<button\n  onclick="go()">',
        "<style>p{}</style>",
        '<a href="javascript:go()">',
        '<p hx-on:click="go()">',
    ],
)
def test_inline_code_is_found(html: str) -> None:
    assert inline_code(html)


def test_files_and_expressions_are_not_inline_code() -> None:
    html = (
        '<script src="/static/a.js" defer></script>{# style="" #}<p {{ x if a > b else "on=1" }}>'
    )
    assert inline_code(html) == []
