"""The engine that hands mails to an SMTP server, one connection per mail."""

import asyncio
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from aiosmtplib import SMTP
from aiosmtplib.errors import (
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from tenfold.kit.clock import Clock
from tenfold.platform.mail import Mail, MailDelayed, Mailer, MailRejected
from tenfold.platform.mail.message import read_sender, to_message
from tenfold.platform.observe import metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Where mails are handed in. `starttls` and `tls` refuse a server whose certificate does not hold."""

    host: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: timedelta = timedelta(seconds=30)
    certificates: str | None = None
    """A file with the certificates to trust, instead of the system's."""


class SmtpMailer(Mailer):
    """Sends through one server.

    What the server finally refuses about the recipient or the content rejects the mail. All else (no connection, no
    TLS, our sign-in or sender refused, 4xx) is the installation's trouble, and delays it.
    """

    def __init__(self, server: SmtpServer, sender: str, clock: Clock | None = None) -> None:
        """`sender` is `Name <address>`; raises ValueError when it is not."""
        self._server = server
        self._sender = read_sender(sender)
        self._clock = clock or Clock()

    async def send(self, mail: Mail) -> None:
        """Hand the mail in; it is the server's when this returns."""
        try:
            async with asyncio.timeout(self._server.timeout.total_seconds()):
                await self._hand_in(mail)
        except MailRejected:
            metrics.mails_sent.labels(mail.template, "rejected").inc()
            raise
        except (SMTPException, OSError, TimeoutError) as error:
            metrics.mails_sent.labels(mail.template, "delayed").inc()
            raise MailDelayed(f"{self._server.host}:{self._server.port}: {_reason(error)}") from error
        metrics.mails_sent.labels(mail.template, "sent").inc()

    async def _hand_in(self, mail: Mail) -> None:
        message = to_message(mail, self._sender, self._clock.now())
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            timeout=server.timeout.total_seconds(),
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=None if server.security == "none" else ssl.create_default_context(cafile=server.certificates),
        )
        async with client:
            try:
                await client.send_message(message)
            except SMTPRecipientsRefused as error:
                _reject_when_final(error.recipients[0])
                raise
            except (SMTPRecipientRefused, SMTPDataError) as error:
                _reject_when_final(error)
                raise
            except SMTPNotSupported as error:
                raise MailRejected(f"{server.host} does not take international addresses") from error


def _reject_when_final(error: SMTPResponseException) -> None:
    if error.code >= 500:
        raise MailRejected(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {error.message}"
    return str(error) or type(error).__name__
