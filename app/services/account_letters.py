"""A letter to whom it concerns when a way into the account changes (ASVS 2.2.3, 2.5.5).

Whoever has taken an account over changes just these things: the letter is how its owner learns.
"""

from __future__ import annotations

from typing import Final, Literal
from uuid import uuid4

import structlog

from app.integrations.notify import NotSent, email
from app.models import User
from app.runtime import settings
from app.transaction import after_commit

log = structlog.get_logger(__name__)

Change = Literal["password", "factor_on", "factor_off", "recovery_codes", "role"]

#: language -> subject, what it is about, the change, and what to do
_SUBJECT: Final = {
    "en": "Your Turnkey account was changed",
    "pt": "Sua conta do Turnkey foi alterada",
}
_CHANGES: Final[dict[str, dict[Change, str]]] = {
    "en": {
        "password": "Your password was changed.",
        "factor_on": "A second factor was switched on.",
        "factor_off": "Your second factor was switched off: the password alone signs you in.",
        "recovery_codes": "New recovery codes were made; the old ones are void.",
        "role": "What you may do was changed by an administrator.",
    },
    "pt": {
        "password": "Sua senha foi alterada.",
        "factor_on": "Um segundo fator foi ativado.",
        "factor_off": "Seu segundo fator foi desativado: a senha sozinha permite entrar.",
        "recovery_codes": "Novos códigos de recuperação foram criados; os antigos não valem mais.",
        "role": "Suas permissões foram alteradas por um administrador.",
    },
}
_ADVICE: Final = {
    "en": "If you did not expect this, tell an administrator at once.",
    "pt": "Se você não esperava por isso, avise um administrador imediatamente.",
}


def tell(user: User, change: Change) -> None:
    """Have the person told by e-mail once this is committed, in their language, or in both while
    nobody knows it. Without a mail server (SMTP_URL) nothing is sent; a letter that cannot be sent
    is a line in the log and changes nothing else."""
    server = settings().smtp_url
    if server is None:
        return
    known = user.language in _SUBJECT
    languages = [str(user.language)] if known else list(_SUBJECT)
    recipients = (user.email,)
    letter = email.Email(
        id=str(uuid4()),
        subject=" / ".join(_SUBJECT[each] for each in languages),
        text="\n".join(f"{_CHANGES[each][change]}\n\n{_ADVICE[each]}\n" for each in languages),
        sender=email.sender(server, settings().alert_email_from, recipients),
        recipients=recipients,
    )
    after_commit(lambda: _send(server, letter, change))


def _send(server: str, letter: email.Email, change: Change) -> None:
    try:
        email.send(server, letter)
    except NotSent as error:
        log.warning("account_letter_not_sent", change=change, reason=str(error))
