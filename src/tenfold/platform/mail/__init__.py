"""Mail: send a rendered message. Rendering is `templates`; when the server is away the job that sends retries."""

from abc import ABC, abstractmethod

import msgspec


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A message ready to leave: one recipient, a subject, a text part and an HTML part."""

    to: str
    subject: str
    text: str
    html: str
    template: str = ""


class Mailer(ABC):
    """Hands messages to the outside."""

    @abstractmethod
    async def send(self, mail: Mail) -> None:
        """Send it; raises when it was not accepted."""
