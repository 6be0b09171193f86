"""Files: out, in again after a look, and each bad line named (issue 3)."""

from __future__ import annotations

import html
import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.models import Accommodation
from app.transaction import transaction
from tests.factories import make_accommodation, make_lock, make_mapping, make_property
from tests.web.conftest import token_in
from tests.web.forms import press, said_on

PATH = "/accommodations/import"


def send(client: FlaskClient, text: str | bytes, name: str = "rooms.csv") -> TestResponse:
    raw = text.encode() if isinstance(text, str) else text
    token = token_in(client.get("/settings/me"))
    # By hand: the test client would leave the file it spools a large form to open.
    body = (
        f'--cut\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n'
        f'--cut\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    )
    data = body.encode() + raw + b"\r\n--cut--\r\n"
    return client.post(PATH, data=data, content_type="multipart/form-data; boundary=cut")


def text_of(page: TestResponse) -> str:
    """The file as the page carries it to the second press."""
    found = re.search(r'<textarea name="text" hidden>(.*?)</textarea>', page.text, re.S)
    assert found, "nothing to take in"
    return html.unescape(found[1])


def count() -> int:
    with transaction() as session:
        return session.scalar(select(func.count()).select_from(Accommodation)) or 0


def test_look_first_then_take_in(admin: FlaskClient) -> None:
    make_property(name="Vila")
    make_accommodation(name="Alecrim", stays_id="EK01")
    table = "property,name,number,stays_id\nVila,Suíte Ipê,301,EK10\nVila,Alecrim,101,EK01\n"
    look = send(admin, table)
    assert look.status_code == 200
    words = said_on(look)
    assert "Nothing is written yet" in words
    assert "Take in 2 lines" in words
    assert count() == 1
    taken = press(admin, PATH, text=text_of(look), apply="true")
    assert taken.status_code == 303
    assert count() == 2
    assert "2 lines taken in" in admin.get(taken.location).text


def test_a_bad_line_is_named_and_nothing_is_written(admin: FlaskClient) -> None:
    make_property(name="Vila")
    table = "property;name;number;is_active\nVila;Ipê;1;true\nVila;Duna;2;perhaps\nVila;;3;\n"
    look = send(admin, table)
    assert look.status_code == 422
    words = said_on(look)
    assert "2 lines are not right: nothing is written" in words
    assert "Write true or false" in words
    assert "Fill this in" in words
    assert 'name="text"' not in look.text  # there is nothing to press
    assert press(admin, PATH, text=table, apply="true").status_code == 409
    assert count() == 0


def test_names_nobody_knows(admin: FlaskClient) -> None:
    look = send(admin, "property,name\nAtlantis,Duna\n")
    assert look.status_code == 422
    assert "property : No property has this name" in said_on(look)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "The file is empty: its first line names the columns"),
        ("name,colour\nIpê,red\n", "Unknown columns: colour."),
        ("number\n1\n", "The column “name” is missing"),
        ("name,name\nIpê,Ipê\n", "A column is named twice"),
        (b"\x00\x01\x02", "The file is not text"),
        ('name\n"Ip\n', "cannot be read"),
    ],
)
def test_what_is_no_table(admin: FlaskClient, text: str | bytes, said: str) -> None:
    page = send(admin, text)
    assert page.status_code == 422
    assert said in said_on(page)


def test_a_file_of_more_than_a_mebibyte_is_looked_at(admin: FlaskClient) -> None:
    make_property(name="Vila")
    lines = [f"Vila,Quarto {n},{'é' * 1900}" for n in range(300)]
    look = send(admin, "property,name,description\n" + "\n".join(lines))
    assert look.status_code == 200
    assert "Take in 300 lines" in said_on(look)
    assert press(admin, PATH, text=text_of(look), apply="true").status_code == 303
    assert count() == 300


def test_a_file_that_is_too_large_says_so(admin: FlaskClient) -> None:
    page = send(admin, "name\n" + "x" * (2 * 1024 * 1024))
    assert page.status_code == 422
    assert "The file is too large: at most 2 MiB" in said_on(page)


def test_what_goes_out_comes_in_again_unchanged(admin: FlaskClient) -> None:
    vila = make_property(name="Vila")
    make_mapping(make_accommodation(vila, name="=Suíte;", number="301"), make_lock(name="Porta"))
    for kind in ("", "?kind=mappings"):
        file = admin.get("/accommodations/export" + kind)
        assert file.mimetype == "text/csv"
        assert "attachment" in file.headers["Content-Disposition"]
        assert file.headers["Cache-Control"] == "no-store"
        look = send(admin, file.data)
        assert look.status_code == 200
        assert "Everything in this file is as it is already" in look.text


def test_mappings_come_in_as_well(admin: FlaskClient) -> None:
    room, lock = make_accommodation(name="Ipê", stays_id="EK10"), make_lock(device_id="bf01")
    look = send(admin, "stays_id,device_id\nEK10,bf01\nEK10,nothing\n")
    assert "No lock has this device id" in said_on(look)
    look = send(admin, "stays_id,device_id\nEK10,bf01\n")
    press(admin, PATH, text=text_of(look), apply="true")
    assert lock.name in admin.get(f"/accommodations/{room.id}").text
