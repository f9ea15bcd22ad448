"""The twin that keeps mails in a list, for tests and for trying things out."""

from tenfold.platform.mail import Mail, Mailer
from tenfold.platform.mail.message import read_address
from tenfold.platform.observe import metrics


class MemoryMailer(Mailer):
    """Keeps what it is given in `mails`, oldest first."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        """Keep the mail; raises `MailRejected` when its recipient is no address."""
        read_address(mail.to)
        self.mails.append(mail)
        metrics.mails_sent.labels(mail.template, "sent").inc()
