"""A link to choose a password with, by e-mail; it is shown on the page as well."""

from __future__ import annotations

from urllib.parse import urljoin
from uuid import uuid4

import structlog

from app.integrations.notify import NotSent, email
from app.runtime import settings
from app.services.user_links import LIFETIME, Link, Purpose

log = structlog.get_logger(__name__)

#: purpose -> language -> subject and text
LETTERS: dict[Purpose, dict[str, tuple[str, str]]] = {
    "invite": {
        "en": (
            "Your invitation to Turnkey",
            "You are invited to Turnkey. Choose your password here:\n\n{url}\n\n"
            "The link works once, for {hours} hours. If you do not know what this is, ignore it.\n",
        ),
        "pt": (
            "Seu convite para o Turnkey",
            "Você recebeu um convite para o Turnkey. Escolha sua senha aqui:\n\n{url}\n\n"
            "O link funciona uma vez, por {hours} horas. Se não sabe do que se trata, ignore.\n",
        ),
    },
    "reset": {
        "en": (
            "Choose a new password for Turnkey",
            "An administrator made this link for you to choose a new password:\n\n{url}\n\n"
            "It works once, for {hours} hours. Your password stays as it is until then.\n",
        ),
        "pt": (
            "Escolha uma nova senha para o Turnkey",
            "Um administrador criou este link para você escolher uma nova senha:\n\n{url}\n\n"
            "Ele funciona uma vez, por {hours} horas. Até lá, sua senha continua a mesma.\n",
        ),
    },
}


def address(link: Link, root: str) -> str:
    """Where the link leads: below PUBLIC_URL, or below the address that Turnkey was asked at."""
    base = (settings().public_url or root).rstrip("/") + "/"
    return urljoin(base, f"{link.purpose}/{link.token}")


def send(link: Link, url: str, language: str) -> bool | None:
    """Whether the mail server took the letter over; None when there is none (SMTP_URL). In the
    language of whoever gets it, in `language` while nobody knows theirs. Called with no transaction
    open; a lost letter is no harm, the link is on the page."""
    server = settings().smtp_url
    if server is None:
        return None
    recipients = (link.user.email,)
    letters = LETTERS[link.purpose]
    subject, text = letters.get(link.user.language or language, letters["en"])
    hours = int(LIFETIME[link.purpose].total_seconds() // 3600)
    letter = email.Email(
        id=str(uuid4()),
        subject=subject,
        text=text.format(url=url, hours=hours),
        sender=email.sender(server, settings().alert_email_from, recipients),
        recipients=recipients,
    )
    try:
        return email.send(server, letter) == 0
    except NotSent as error:
        log.warning("link_not_sent", purpose=link.purpose, reason=str(error))
        return False
