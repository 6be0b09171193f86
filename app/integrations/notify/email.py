"""E-mail through the server that SMTP_URL names."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from app import clock
from app.integrations.notify import NotSent
from app.variables import LOOPBACK

#: for the connection, and for each answer of the server
SECONDS = 10.0
PLAIN, SECURE, SUBMISSION = 25, 465, 587


@dataclass(frozen=True, slots=True)
class Server:
    """Where to hand messages in. With `secure` the connection is TLS from the start; otherwise
    STARTTLS is used when it is offered."""

    host: str
    port: int
    secure: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def near(self) -> bool:
        """Whether it runs on this machine: nobody listens in between."""
        return self.host in LOOPBACK


@dataclass(frozen=True, slots=True)
class Email:
    """One message in plain text. `id` makes its Message-ID, the same for every try."""

    id: str
    subject: str
    text: str
    sender: str
    recipients: tuple[str, ...]
    urgent: bool = False


def server(url: str) -> Server:
    """What `smtp://user:password@host:port` (or `smtps://`) means; user and password may be
    percent-encoded. The port defaults to 465 with TLS, 587 with a user, 25 otherwise."""
    parts = urlsplit(url)
    secure = parts.scheme == "smtps"
    usual = SECURE if secure else SUBMISSION if parts.username else PLAIN
    return Server(
        parts.hostname or "",
        parts.port or usual,
        secure,
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


def send(url: str, email: Email) -> int:
    """Hand the message in; how many of its recipients the server refused, never all of them.

    Raises NotSent: no connection, a refusal, or silence after the message went out.
    """
    where = server(url)
    try:
        with _connect(where) as smtp:
            _begin_session(smtp, where)
            refused = smtp.send_message(
                compose(email), from_addr=email.sender, to_addrs=list(email.recipients)
            )
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted({str(code) for code, _ in error.recipients.values()})
        raise NotSent(f"the mail server refused every recipient ({', '.join(codes)})") from None
    except smtplib.SMTPAuthenticationError as error:
        said = f"the mail server refused user and password ({error.smtp_code})"
        raise NotSent(said) from None
    except smtplib.SMTPResponseException as error:
        raise NotSent(f"the mail server refused the message ({error.smtp_code})") from None
    except smtplib.SMTPException as error:
        raise NotSent(f"the mail server ended the conversation ({type(error).__name__})") from None
    except ssl.SSLError:
        raise NotSent("no trustworthy TLS connection to the mail server") from None
    except (OSError, UnicodeError, ValueError) as error:
        raise NotSent(f"the mail server cannot be reached ({type(error).__name__})") from None
    return len(refused)


def compose(email: Email) -> EmailMessage:
    """The message as it travels."""
    message = EmailMessage()
    message["Subject"] = " ".join(email.subject.split())[:200]
    message["From"] = Address("Turnkey", addr_spec=email.sender)
    message["To"] = ", ".join(email.recipients)
    message["Date"] = format_datetime(clock.utcnow())
    message["Message-ID"] = f"<{email.id}@{email.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # so that absence notes do not answer (RFC 3834)
    message["X-Turnkey-Event-Id"] = email.id
    if email.urgent:
        message["Importance"] = "high"
    message.set_content(email.text)
    return message


def sender(url: str, wanted: str | None, recipients: Sequence[str]) -> str:
    """Whom a message comes from: the configured address, the server's user when that is one, else
    the first recipient, whose server takes mail for that domain."""
    user = server(url).user
    candidates = (wanted, user if user and "@" in user else None, *recipients)
    return next(each for each in candidates if each)


def _connect(where: Server) -> smtplib.SMTP:
    if where.secure:
        return smtplib.SMTP_SSL(
            where.host, where.port, timeout=SECONDS, context=_certificates(where)
        )
    return smtplib.SMTP(where.host, where.port, timeout=SECONDS)


def _begin_session(smtp: smtplib.SMTP, where: Server) -> None:
    smtp.ehlo_or_helo_if_needed()
    safe = where.secure
    if not safe and smtp.has_extn("starttls"):
        smtp.starttls(context=_certificates(where))
        smtp.ehlo()
        safe = True
    if where.user is None:
        return
    if not safe and not where.near:
        raise NotSent("the mail server offers no TLS, and a password is never sent in the clear")
    smtp.login(where.user, where.password or "")


def _certificates(where: Server) -> ssl.SSLContext:
    """Certificates are checked, but for a server on this machine, which hardly has one."""
    context = ssl.create_default_context()
    if where.near:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
