"""Mail: send a rendered message. Rendering is `templates`; when the server is away the job that sends retries.

    mail = templates.render("identity/verify_email", account.email, name=account.name, link=link)
    await mailer.send(mail)

Mails are sent by jobs, never inside a request. A job catches `MailRejected` (trying again is useless) and lets
`MailDelayed` pass, so that it is tried again.
"""

from abc import ABC, abstractmethod

import msgspec


class MailError(Exception):
    """The mail was not accepted."""


class MailRejected(MailError):
    """This mail will never be accepted: its recipient does not exist, is no address, or the content is refused."""


class MailDelayed(MailError):
    """The mail was not accepted now: the server is away, busy or refuses us. It may be accepted later."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A message ready to leave: one recipient, a subject, a text part and an HTML part.

    `unsubscribe` is a link at which one POST ends such mails (RFC 8058); mails that nobody can do without have none.
    """

    to: str
    subject: str
    text: str
    html: str
    template: str = ""
    unsubscribe: str | None = None


class Mailer(ABC):
    """Hands messages to the outside."""

    @abstractmethod
    async def send(self, mail: Mail) -> None:
        """Send it; raises `MailRejected` or `MailDelayed` when it was not accepted."""
