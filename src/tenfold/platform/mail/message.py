"""A mail as the message that travels (RFC 5322 and MIME). No value can add a header or a recipient."""

import re
import unicodedata
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import make_msgid, parseaddr

from tenfold.platform.mail import Mail, MailRejected

# What an address may not contain outside of quotes, which nobody uses: separators of headers and of SMTP commands.
_SEPARATORS = re.compile(r"[\s\x00-\x1f\x7f<>()\[\],;:\\\"]")


def read_address(text: str) -> Address:
    """Read one address, its domain in the form that travels (`bücher.example` → `xn--bcher-kva.example`).

    Raises `MailRejected` for anything that is not exactly one address.
    """
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or _SEPARATORS.search(text) or "@" in local or len(text) > 320:
        raise MailRejected(f"not an address: {text!r}")
    try:
        return Address(username=unicodedata.normalize("NFC", local), domain=domain.encode("idna").decode("ascii"))
    except (UnicodeError, HeaderParseError, ValueError) as error:
        raise MailRejected(f"not an address: {text!r}") from error


def read_sender(text: str) -> Address:
    """Read the sender of all mails, `Tenfold <no-reply@example.org>` or without a name; raises ValueError."""
    name, address = parseaddr(text)
    try:
        parsed = read_address(address)
    except MailRejected as error:
        raise ValueError(f"not a sender: {text!r}") from error
    return Address(display_name=name, username=parsed.username, domain=parsed.domain)


def to_message(mail: Mail, sender: Address, at: datetime) -> EmailMessage:
    """Build the message: text and HTML as alternatives, with its date, its own id and the mark of an automatic mail.

    A non-ASCII local part makes it a message for servers with SMTPUTF8 (RFC 6531).
    """
    recipient = read_address(mail.to)
    message = EmailMessage(policy=SMTP if recipient.username.isascii() else SMTPUTF8)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = one_line(mail.subject)
    message["Date"] = at
    message["Message-ID"] = make_msgid(domain=sender.domain)
    message["Auto-Submitted"] = "auto-generated"
    if mail.unsubscribe is not None:
        message["List-Unsubscribe"] = f"<{_link(mail.unsubscribe)}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def one_line(text: str) -> str:
    """The text on one line: control characters and runs of blanks become one blank."""
    printable = "".join(" " if unicodedata.category(character) in {"Cc", "Cs"} else character for character in text)
    return " ".join(printable.split())


def _link(url: str) -> str:
    if not url.startswith(("https://", "http://", "mailto:")) or re.search(r"[\s<>]", url):
        raise MailRejected(f"not a link to unsubscribe: {url!r}")
    return url
