"""Every block that a view promises to htmx is in its template."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flask import Flask

from app.config import ROOT


def promises() -> Iterator[tuple[str, str, str]]:
    """Where, which template, which block: from each `render(…, fragments={…})` written out."""
    for path in sorted((ROOT / "app" / "web").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            template = node.args[0]
            if not isinstance(template, ast.Constant) or not isinstance(template.value, str):
                continue
            for keyword in node.keywords:
                if keyword.arg == "fragments" and isinstance(keyword.value, ast.Dict):
                    for each in keyword.value.values:
                        for part in ast.walk(each):
                            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                                yield f"{path.name}:{part.lineno}", template.value, part.value


def test_every_promised_block_exists(app: Flask) -> None:
    found = list(promises())
    assert len(found) > 5
    missing = [
        f"{where}: {template} has no block {block}"
        for where, template, block in found
        if block not in app.jinja_env.get_template(template).blocks
    ]
    assert missing == []
