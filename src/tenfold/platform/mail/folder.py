"""The engine that writes mails into a folder as `.eml` files, which any mail program opens. None leaves the machine."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from uuid import UUID

import msgspec

from tenfold.kit.clock import Clock
from tenfold.kit.ids import new_id, time_of
from tenfold.platform.mail import Mail, MailDelayed, Mailer
from tenfold.platform.mail.message import read_sender, to_message
from tenfold.platform.observe import metrics

_TEMPLATE = "X-Template"


class StoredMail(msgspec.Struct, frozen=True):
    """A mail in the folder: its id (the file's name), when it was sent, and what it says."""

    id: UUID
    sent_at: datetime
    mail: Mail


class FolderMailer(Mailer):
    """Writes each mail into a file of its own, whole or not at all, readable by the owner of the process alone."""

    def __init__(self, folder: Path, sender: str, clock: Clock | None = None) -> None:
        """`sender` is `Name <address>`; raises ValueError when it is not."""
        self._folder = folder
        self._sender = read_sender(sender)
        self._clock = clock or Clock()

    async def send(self, mail: Mail) -> None:
        """Write the mail; raises `MailDelayed` when the disk does not take it."""
        message = to_message(mail, self._sender, self._clock.now())
        if mail.template:
            message[_TEMPLATE] = mail.template
        try:
            await asyncio.to_thread(_write, self._folder, new_id(), message.as_bytes())
        except OSError as error:
            metrics.mails_sent.labels(mail.template, "delayed").inc()
            raise MailDelayed(f"cannot write into {self._folder}: {error.strerror}") from error
        metrics.mails_sent.labels(mail.template, "sent").inc()


def list_mails(folder: Path, *, limit: int | None = None) -> Iterator[StoredMail]:
    """The mails in a folder, newest first; none when the folder does not exist."""
    names = sorted((file.stem for file in folder.glob("*.eml")), reverse=True) if folder.is_dir() else []
    for name in names[:limit]:
        with contextlib.suppress(ValueError, FileNotFoundError):
            yield read_mail(folder, UUID(name))


def read_mail(folder: Path, id: UUID) -> StoredMail:
    """One mail of a folder; raises FileNotFoundError when it is not there."""
    message = message_from_bytes((folder / f"{id}.eml").read_bytes(), policy=default)
    mail = Mail(
        to=str(message["To"]),
        subject=str(message["Subject"]),
        text=_part(message, "plain"),
        html=_part(message, "html"),
        template=str(message.get(_TEMPLATE, "")),
        unsubscribe=str(message["List-Unsubscribe"]).strip("<>") if "List-Unsubscribe" in message else None,
    )
    return StoredMail(id, time_of(id), mail)


def _part(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    return "" if part is None else part.get_content().replace("\r\n", "\n")


def _write(folder: Path, id: UUID, content: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = folder / f".{id}.unfinished"
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(folder / f"{id}.eml")
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
