"""What the environment says about telling people (INTERFACES §2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.config import Settings, SettingsError

Make = Callable[..., Settings]
ENGINES = {"DATABASE_URL": "postgres://h/d", "REDIS_URL": "redis://h"}


def test_every_way_is_off_by_itself(make_settings: Make) -> None:
    found = make_settings(**ENGINES)
    assert (found.smtp_url, found.alert_email_to, found.alert_webhook_url) == (None, None, None)
    assert found.public_url is None


def test_what_is_set_is_taken_as_it_is(make_settings: Make) -> None:
    found = make_settings(
        **ENGINES,
        SMTP_URL="smtps://mailer%40x.example:p%2Fw@mail.example:465",
        ALERT_EMAIL_TO="a@x.example, b@x.example",
        ALERT_WEBHOOK_URL="http://ops.example/hook/",
        PUBLIC_URL="https://desk.example/",
    )
    assert found.smtp_url == "smtps://mailer%40x.example:p%2Fw@mail.example:465"
    assert found.alert_email_to == "a@x.example, b@x.example"
    assert found.alert_webhook_url == "http://ops.example/hook/"  # the slash is the receiver's
    assert found.public_url == "https://desk.example"
    assert "p%2Fw" not in repr(found)
    assert "ops.example" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_URL", "mail.example:25"),
        ("ALERT_EMAIL_TO", "davi"),
        ("ALERT_ESCALATION_EMAIL_TO", "a@x.example;b@x.example"),
        ("ALERT_WEBHOOK_URL", "ftp://ops.example"),
        ("PUBLIC_URL", "desk.example"),
    ],
)
def test_what_is_faulty_is_named(make_settings: Make, name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        make_settings(**ENGINES, **{name: value})
    assert name in str(refusal.value)
    assert value not in str(refusal.value)
