"""Connections of properties to channels, and the units of Beds24 that come in through one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from flask import Flask

from app.integrations.errors import Unauthorized
from app.models import Accommodation, ChannelAccount, ChannelProperty
from app.services import accommodation_sync, vendors
from app.transaction import transaction
from tests.api.conftest import Call
from tests.beds24_live import Beds24Live, beds24_live
from tests.factories import make_property

SECRET = "a webhook secret"


@pytest.fixture
def beds24(app: Flask, tmp_path: Path) -> Iterator[Beds24Live]:
    with beds24_live(app, tmp_path) as live:
        yield live


def connection(**fields: object) -> dict[str, object]:
    return {
        "property_id": str(make_property().id),
        "channel_name": "beds24",
        "channel_property_id": "51001",
    } | fields


def test_a_property_is_connected_read_and_changed(api: Call) -> None:
    made = api("POST", "/channel-properties", connection())
    assert made.status_code == 201
    row = made.get_json()
    assert (row["channel_name"], row["channel_property_id"], row["status"]) == (
        "beds24",
        "51001",
        "active",
    )
    changed = api("PATCH", f"/channel-properties/{row['id']}", {"status": "inactive"})
    assert changed.get_json()["status"] == "inactive"
    assert api("GET", f"/channel-properties/{row['id']}").get_json() == changed.get_json()
    listed = api("GET", "/channel-properties").get_json()
    assert [one["id"] for one in listed["channel_properties"]] == [row["id"]]


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"channel_name": "airbnb"}, 400, "channel_name"),
        ({"channel_property_id": "house"}, 400, "channel_property_id"),
        ({"property_id": "00000000-0000-0000-0000-000000000000"}, 400, "property_id"),
        ({"status": "error"}, 400, "status"),
        ({"colour": "red"}, 400, "colour"),
    ],
)
def test_a_bad_field_is_named(
    api: Call, fields: dict[str, object], status: int, field: str
) -> None:
    answer = api("POST", "/channel-properties", connection(**fields))
    assert answer.status_code == status
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]


def test_one_connection_each_way(api: Call) -> None:
    first = connection()
    assert api("POST", "/channel-properties", first).status_code == 201
    again = api("POST", "/channel-properties", first | {"channel_property_id": "51002"})
    assert again.status_code == 409
    other = api("POST", "/channel-properties", connection())
    assert other.status_code == 409
    assert other.get_json()["errors"][0]["field"] == "channel_property_id"
    assert api("GET", f"/channel-properties/{uuid4()}").status_code == 404


def test_the_units_of_a_connected_property_come_from_beds24(beds24: Beds24Live, api: Call) -> None:
    """Issue 3: accommodation sync from Beds24, over HTTP from the sandbox."""
    house = make_property()
    assert api("POST", "/channel-properties", connection(property_id=str(house.id)))
    assert api("POST", "/accommodations/sync?channel=beds24").status_code == 202
    latest = accommodation_sync.latest("beds24")
    assert latest is not None
    accommodation_sync.run(latest.id)
    done = accommodation_sync.get(latest.id)
    assert (done.status, done.total, done.created) == ("success", 8, 8), done.message
    with transaction() as session:
        units = session.query(Accommodation).filter_by(property_id=house.id).all()
        assert {(u.beds24_room_id, u.beds24_unit_id) for u in units} >= {
            ("610011", "1"),
            ("610011", "4"),
            ("610013", "1"),
        }
        assert all(u.room_type_id and u.is_active for u in units)


def test_an_account_that_fails_keeps_no_other_from_being_read(
    beds24: Beds24Live, api: Call
) -> None:
    api("POST", "/channel-properties", connection())
    body = connection(channel_property_id="51002", refresh_token="nobody-knows-it")
    assert api("POST", "/channel-properties", body).status_code == 201
    api("POST", "/accommodations/sync?channel=beds24")
    latest = accommodation_sync.latest("beds24")
    assert latest is not None
    accommodation_sync.run(latest.id)
    done = accommodation_sync.get(latest.id)
    assert (done.status, done.created, len(done.items)) == ("success", 8, 1)
    assert "refused the refresh token" in done.items[0]["error"]
    listed = api("GET", "/channel-properties?sort=created_at&order=asc").get_json()
    assert [row["status"] for row in listed["channel_properties"]] == ["active", "error"]


class TestSecrets:
    def test_they_go_in_and_never_come_out(self, beds24: Beds24Live, api: Call) -> None:
        code, token = beds24.invite(), beds24.another_token()
        made = api(
            "POST", "/channel-properties", connection(invite_code=code, webhook_secret=SECRET)
        )
        assert made.status_code == 201, made.get_json()
        path = f"/channel-properties/{made.get_json()['id']}"
        answers = [
            made,
            api("PATCH", path, {"refresh_token": token}),
            api("GET", path),
            api("GET", "/channel-properties"),
            api("PATCH", path, {"webhook_secret": "short", "refresh_token": token}),
        ]
        assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 400]
        with beds24.account() as account:
            secrets = [code, token, SECRET, *account.refresh_tokens, *account.access_tokens]
        assert len(secrets) > 4
        assert not any(each in answer.get_data(True) for answer in answers for each in secrets)
        row = made.get_json()
        assert (row["has_account"], row["account_origin"], row["has_webhook_secret"]) == (
            True,
            "invite",
            True,
        )
        assert answers[1].get_json()["account_origin"] == "token"

    def test_without_any_the_environments_account_speaks(
        self, beds24: Beds24Live, api: Call
    ) -> None:
        row = api("POST", "/channel-properties", connection()).get_json()
        assert (row["has_account"], row["account_origin"], row["has_webhook_secret"]) == (
            False,
            "environment",
            False,
        )

    def test_nobody_speaks_for_it(self, api: Call) -> None:
        assert api("POST", "/channel-properties", connection()).get_json()["account_origin"] is None

    @pytest.mark.parametrize(
        ("fields", "field", "message"),
        [
            ({"webhook_secret": "fifteen letters"}, "webhook_secret", "at least 16"),
            ({"webhook_secret": "sixteen\nletters x"}, "webhook_secret", "header"),
            ({"webhook_secret": 7}, "webhook_secret", "text"),
            ({"invite_code": "two words"}, "invite_code", "without spaces"),
            ({"refresh_token": "tök"}, "refresh_token", "letters"),
            ({"refresh_token": "x" * 1001}, "refresh_token", "1000"),
            ({"refresh_token": "x", "invite_code": "y"}, "refresh_token", "not both"),
            ({"invite_code": "x", "channel_name": "stays"}, "invite_code", "Beds24 only"),
            ({"webhook_secret": "x" * 16, "channel_name": "stays"}, "webhook_secret", "Beds24"),
        ],
    )
    def test_a_bad_one_is_named(
        self, api: Call, fields: dict[str, object], field: str, message: str
    ) -> None:
        answer = api("POST", "/channel-properties", connection(**fields))
        assert answer.status_code == 400
        (error,) = answer.get_json()["errors"]
        assert error["field"] == field
        assert message in error["message"]

    def test_both_at_a_change(self, api: Call) -> None:
        row = api("POST", "/channel-properties", connection()).get_json()
        body = {"refresh_token": "x", "invite_code": "y"}
        answer = api("PATCH", f"/channel-properties/{row['id']}", body)
        assert answer.status_code == 400
        assert answer.get_json()["errors"][0]["field"] == "refresh_token"


class TestInviteCode:
    def test_a_new_one_gives_a_new_account(self, beds24: Beds24Live, api: Call) -> None:
        made = api("POST", "/channel-properties", connection()).get_json()
        row_id = UUID(made["id"])
        assert vendors.beds24_client(row_id).listings()
        beds24.refuse(beds24.token)
        with pytest.raises(Unauthorized):
            vendors.beds24_client(row_id).listings()
        path = f"/channel-properties/{made['id']}"
        assert "new invite code" in api("GET", path).get_json()["status_reason"]
        mended = api("PATCH", path, {"invite_code": beds24.invite()}).get_json()
        assert (mended["status"], mended["status_reason"]) == ("active", None)
        assert mended["account_origin"] == "invite"
        assert vendors.beds24_client(row_id).listings()

    def test_what_a_person_switched_off_stays_off(self, beds24: Beds24Live, api: Call) -> None:
        made = api("POST", "/channel-properties", connection(status="inactive")).get_json()
        body = {"invite_code": beds24.invite()}
        changed = api("PATCH", f"/channel-properties/{made['id']}", body).get_json()
        assert changed["status"] == "inactive"

    def test_a_used_or_mistyped_one_is_refused(self, beds24: Beds24Live, api: Call) -> None:
        code = beds24.invite()
        assert api("POST", "/channel-properties", connection(invite_code=code)).status_code == 201
        for wrong in (code, "mistyped"):
            body = connection(channel_property_id="51002", invite_code=wrong)
            answer = api("POST", "/channel-properties", body)
            assert answer.status_code == 400
            (error,) = answer.get_json()["errors"]
            assert error["field"] == "invite_code"
            assert "works once" in error["message"]
        assert stored() == (1, 1)

    @pytest.mark.parametrize(
        ("kind", "said", "used_up"),
        [
            ("lost", "make a new one", True),
            ("half", "make a new one", True),
            ("html", "make a new one", True),
            ("429", "not used up", False),
        ],
    )
    def test_no_usable_answer(
        self, beds24: Beds24Live, api: Call, kind: str, said: str, used_up: bool
    ) -> None:
        """Nothing is written, and the answer says whether the code can be used again."""
        code = beds24.invite()
        beds24.fails(kind, operation="setup")
        answer = api("POST", "/channel-properties", connection(invite_code=code))
        assert answer.status_code == 503
        assert answer.content_type == "application/problem+json"
        assert said in answer.get_json()["detail"]
        assert stored() == (0, 0)
        beds24.heals()
        if not used_up:
            again = api("POST", "/channel-properties", connection(invite_code=code))
            assert again.status_code == 201

    def test_nobody_there(self, beds24: Beds24Live, api: Call) -> None:
        made = api("POST", "/channel-properties", connection()).get_json()
        beds24.configure(beds24_api_url="http://127.0.0.1:9")
        for method, path, body in (
            ("POST", "", connection(channel_property_id="51002", invite_code="code")),
            ("PATCH", f"/{made['id']}", {"invite_code": "code", "status": "inactive"}),
        ):
            answer = api(method, "/channel-properties" + path, body)
            assert answer.status_code == 503
            assert "not used up" in answer.get_json()["detail"]
        assert api("GET", f"/channel-properties/{made['id']}").get_json() == made
        assert stored() == (0, 1)


def stored() -> tuple[int, int]:
    """How many accounts and connections there are."""
    with transaction() as session:
        return session.query(ChannelAccount).count(), session.query(ChannelProperty).count()
