"""The first admin: made once, its generated password told once, a chosen one never."""

from __future__ import annotations

import dataclasses

import pytest
from flask import Flask

from app.local import first_start
from app.services import users


def test_a_generated_password_is_told_once(app: Flask) -> None:
    told = first_start.make_admin()
    password = told.partition("password ")[2].split()[0]
    assert told.startswith("Sign in as admin@localhost")
    assert users.authenticate("admin@localhost", password) is not None
    assert first_start.make_admin() == ""


def test_a_chosen_password_is_not_printed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dataclasses.replace(
        app.extensions["settings"], admin_email="ana@hotel.example", admin_password="correct horse"
    )
    monkeypatch.setitem(app.extensions, "settings", settings)
    assert first_start.make_admin() == "Sign in as ana@hotel.example with ADMIN_PASSWORD."
