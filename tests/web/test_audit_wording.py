"""Every act that the code records has words; a new one without any fails here."""

from __future__ import annotations

import re
from pathlib import Path

import app.services
from app.services.audit_names import KINDS
from app.web.audit_wording import DEEDS, THINGS

SERVICES = Path(app.services.__file__).parent
RECORDED = re.compile(
    r"(?:audit\.record\(\s*[\w.]+,\s*[\w.]+,|Deed\()\s*\"(\w+)\",\s*\"(\w+)\"", re.DOTALL
)


def recorded() -> set[tuple[str, str]]:
    """The acts and things that stand in the services as words."""
    found = {pair for path in SERVICES.glob("*.py") for pair in RECORDED.findall(path.read_text())}
    assert len(found) > 40
    return found


def test_every_act_has_words() -> None:
    nameless = {
        f"{thing} {act}"
        for act, thing in recorded()
        if act not in DEEDS and f"{thing} {act}" not in DEEDS
    }
    assert nameless == set()


def test_every_thing_has_a_name_and_is_found_by_its_id() -> None:
    things = {thing for _, thing in recorded()}
    assert things - set(THINGS) == set()
    assert things - set(KINDS) == set()
