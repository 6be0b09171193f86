"""Every test process collects the same tests: pytest-xdist refuses to run otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from app.config import ROOT

RANDOM = frozenset({"uuid4", "uuid1", "token_hex", "token_urlsafe", "random", "randint"})


def without_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Like `ast.walk`, but for what a test only calls: pytest names no test after it."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Lambda):
            yield from without_functions(child)


def random_names(source: str) -> list[int]:
    """Lines of `parametrize` where a text, which names the test, is made of something random."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") != "parametrize":
            continue
        for part in without_functions(node):
            is_text = isinstance(part, ast.JoinedStr) or (
                isinstance(part, ast.Call) and getattr(part.func, "id", "") == "str"
            )
            if is_text and any(
                getattr(each.func, "id", getattr(each.func, "attr", "")) in RANDOM
                for each in ast.walk(part)
                if isinstance(each, ast.Call)
            ):
                found.append(part.lineno)
    return found


def test_no_test_is_named_by_chance() -> None:
    assert random_names('pytest.mark.parametrize("p", [f"/{uuid4()}"])') == [1]
    assert random_names('pytest.mark.parametrize("p", [lambda: str(uuid4())])') == []
    found = {
        str(path.relative_to(ROOT)): lines
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if (lines := random_names(path.read_text()))
    }
    found.pop("tests/api/test_matches.py", None)  # inside a dictionary: no part of the name
    assert found == {}


def test_no_test_empties_the_redis_of_others() -> None:
    """All test processes share one server, each in a database of its own."""
    own_server = {"tests/queue/test_processes.py", "tests/test_collection.py"}
    found = {
        name
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if "flushall(" in path.read_text()
        and (name := str(path.relative_to(ROOT))) not in own_server
        and "faults" not in path.parts
    }
    assert found == set()
