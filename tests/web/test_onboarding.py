"""The set-up panel: the present step, and what is missing in words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from flask.testing import FlaskClient

from app.services import onboarding
from app.services.onboarding import Onboarding, Step, StepName
from app.web.onboarding import MISSING
from tests.factories import make_accommodation, make_mapping, make_property
from tests.web.forms import said_on

ORDER = list(StepName)


def standing_at(
    monkeypatch: pytest.MonkeyPatch, name: StepName, missing: Sequence[str] = (), count: int = 0
) -> None:
    """Let the property stand at this step: those before it are done."""
    house = make_property(name="Vila")
    at = ORDER.index(name)
    found = tuple(
        Step(each, index < at, tuple(missing) if index == at else (), count if index == at else 0)
        for index, each in enumerate(ORDER)
    )
    monkeypatch.setattr(onboarding, "steps", lambda _: Onboarding(house, found))


@pytest.mark.parametrize(
    ("name", "missing", "said", "way"),
    [
        (StepName.SYNC, ["accommodations"], "This property has no rooms yet.", "/sync"),
        (StepName.SYNC, ["sync_failed"], "The last reading of the rooms failed.", "/sync"),
        (StepName.LOCKS, ["locks"], "No lock is known yet.", "/locks/refresh"),
        (StepName.MATCH, ["mappings"], "3 rooms have no lock", "/matches?property="),
        (StepName.TEST, ["lock_test"], "No lock of a room has been seen to open.", "/locks?"),
        (StepName.CONNECT, ["channel", "lock_vendor"], "No channel brings stays", ""),
    ],
)
@pytest.mark.parametrize("path", ["/accommodations", "/locks", "/matches"])
def test_the_present_step_says_what_is_missing_and_leads_on(
    admin: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    name: StepName,
    missing: list[str],
    said: str,
    way: str,
) -> None:
    standing_at(monkeypatch, name, missing, count=3)
    page = admin.get(path)
    panel = page.text.split('id="setup"')[1].split("</section>")[0]
    assert said in panel
    assert panel.count('aria-current="step"') == 1
    assert panel.count("is-done") == ORDER.index(name)
    assert way in panel


def test_nothing_is_shown_once_nothing_is_missing(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_property(name="Vila")
    done = tuple(Step(each, True) for each in StepName)
    monkeypatch.setattr(onboarding, "steps", lambda _: Onboarding(house, done))
    assert 'id="setup"' not in admin.get("/accommodations").text


def test_of_several_properties_the_one_with_most_left_to_do(admin: FlaskClient) -> None:
    vila, rio = make_property(name="Vila"), make_property(name="Casa do Rio")
    make_mapping(make_accommodation(vila))
    make_accommodation(rio)
    assert "Casa do Rio: " in said_on(admin.get("/accommodations?property=all"))
    assert "Vila: " in said_on(admin.get(f"/accommodations?property={vila.id}"))


def test_every_word_of_the_service_has_a_sentence() -> None:
    """The words stand in the service's code; none may reach a page as it is."""
    codes = {
        "channel",
        "channel_answer",
        "lock_vendor",
        "lock_vendor_answer",
        "sync_failed",
        "accommodations",
        "locks",
        "lock_test",
    }
    assert codes == set(MISSING)
