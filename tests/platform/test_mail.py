"""The mail engines: one suite over all of them, with a real SMTP server, and what only one of them does."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tenfold.platform.mail import Mail, MailDelayed, Mailer, MailRejected
from tenfold.platform.mail.folder import FolderMailer, list_mails, read_mail
from tenfold.platform.mail.memory import MemoryMailer
from tenfold.platform.mail.message import read_sender, to_message
from tenfold.platform.mail.smtp import SmtpMailer, SmtpServer
from tenfold.platform.observe import metrics

SENDER = "Tenfold Café <no-reply@tenfold.example>"


def mail(**changed: Any) -> Mail:
    fields = {"to": "ana@example.org", "subject": "Welcome", "text": "Hi Ana\n", "html": "<p>Hi Ana</p>\n"}
    return Mail(**{**fields, "template": "identity/welcome", **changed})


class Server:
    """A real SMTP server that keeps what it is sent, and refuses what it is told to."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.options: list[list[str]] = []
        self.answers: dict[str, str] = {}
        self.port = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        self.options.append(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answers.get("DATA") == "silence":
            await asyncio.sleep(5)
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.messages.append(message_from_bytes(envelope.content, policy=default))
        self.recipients.extend(envelope.rcpt_tos)
        return "250 OK"

    @asynccontextmanager
    async def running(self, *, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator["Server"]:
        loop = asyncio.get_running_loop()
        options = {"enable_SMTPUTF8": True, "hostname": "localhost", "loop": loop, **options}
        sessions: list[asyncio.Transport] = []

        class Session(SMTP):
            def connection_made(self, transport: Any) -> None:
                sessions.append(transport)
                super().connection_made(transport)

        listening = await loop.create_server(lambda: Session(self, **options), "127.0.0.1", 0, ssl=tls)
        self.port = listening.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listening.close()
            for transport in sessions:
                with suppress(AttributeError):  # asyncio's, of a TLS transport that was closed twice
                    transport.abort()
            await listening.wait_closed()
            await asyncio.sleep(0.01)


Received = Callable[[], list[Mail]]
Engine = Callable[[Path], AbstractAsyncContextManager[tuple[Mailer, Received]]]


@asynccontextmanager
async def memory(tmp_path: Path) -> AsyncIterator[tuple[Mailer, Received]]:
    mailer = MemoryMailer()
    yield mailer, lambda: mailer.mails


@asynccontextmanager
async def folder(tmp_path: Path) -> AsyncIterator[tuple[Mailer, Received]]:
    yield FolderMailer(tmp_path / "mails", SENDER), lambda: [one.mail for one in list_mails(tmp_path / "mails")][::-1]


@asynccontextmanager
async def smtp(tmp_path: Path) -> AsyncIterator[tuple[Mailer, Received]]:
    async with Server().running() as server:
        where = SmtpServer(host="127.0.0.1", port=server.port, security="none")
        yield SmtpMailer(where, SENDER), lambda: [read(message) for message in server.messages]


def read(message: EmailMessage) -> Mail:
    text, markup = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert markup is not None
    return Mail(
        to=str(message["To"]),
        subject=str(message["Subject"]),
        text=text.get_content().replace("\r\n", "\n"),
        html=markup.get_content().replace("\r\n", "\n"),
        template="identity/welcome",
    )


ENGINES: list[Engine] = [memory, folder, smtp]


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__name__)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Mailer, Received]]:
    async with request.param(tmp_path) as built:
        yield built


async def test_a_mail_arrives_as_it_was_sent(engine: tuple[Mailer, Received]) -> None:
    """Both parts, any script, long lines and lines of a single dot survive the way."""
    mailer, received = engine
    sent = mail(subject="Grüße, Ana 🌿", text="Hi Ana\n.\nстрока " + "x" * 2000 + "\n", html="<p>Привет &amp; hi</p>\n")

    await mailer.send(mail())
    await mailer.send(sent)

    assert received() == [mail(), sent]


@pytest.mark.parametrize(
    "to",
    [
        "ana",
        "",
        "@example.org",
        "ana@",
        "ana@example.org\r\nBcc: eve@example.org",
        "ana@example.org, eve@example.org",
        "ana@example.org eve@example.org",
        "Ana <ana@example.org>",
        "ana@ex@example.org",
        "ana@exa..mple.org",
        '"ana eve"@example.org',
        "ana@" + "x" * 400 + ".org",
    ],
)
async def test_what_is_not_one_address_is_rejected(engine: tuple[Mailer, Received], to: str) -> None:
    """A recipient that brings along a header, a second recipient or nonsense gets no mail, and is not tried again."""
    mailer, received = engine

    with pytest.raises(MailRejected):
        await mailer.send(mail(to=to))

    assert received() == []


async def test_sent_mails_are_counted(engine: tuple[Mailer, Received]) -> None:
    """An operator sees how many mails of each kind left."""
    mailer, _ = engine
    counter = metrics.mails_sent.labels("identity/counted", "sent")
    before = counter._value.get()

    await mailer.send(mail(template="identity/counted"))

    assert counter._value.get() - before == 1


def test_no_value_adds_a_header() -> None:
    """A name with line breaks in the subject stays in the subject."""
    evil = mail(subject="Hi\r\nBcc: eve@example.org\r\n\r\n<b>body</b>\x00\u0085x")

    message = to_message(evil, read_sender(SENDER), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    arrived = message_from_bytes(message.as_bytes(), policy=default)

    assert arrived["Bcc"] is None
    assert arrived["Subject"] == "Hi Bcc: eve@example.org <b>body</b> x"


def test_a_message_says_who_when_and_how_to_unsubscribe() -> None:
    """What receivers ask of automatic mail: its date, its own id, its mark, and one click to end it (RFC 8058)."""
    link = "https://tenfold.example/unsubscribe?token=x"

    message = to_message(mail(unsubscribe=link), read_sender(SENDER), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    arrived = message_from_bytes(message.as_bytes(), policy=default)

    assert arrived["From"] == SENDER
    assert arrived["Date"] == "Fri, 02 Jan 2026 03:04:05 +0000"
    assert arrived["Message-ID"].endswith("@tenfold.example>")
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert arrived["List-Unsubscribe"] == f"<{link}>"
    assert arrived["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    with pytest.raises(MailRejected):
        to_message(mail(unsubscribe=f"{link}>\r\nBcc: x"), read_sender(SENDER), datetime.now(UTC))


@pytest.mark.parametrize("sender", ["", "Tenfold", "Tenfold <>", "Tenfold <a b@example.org>"])
def test_a_sender_that_is_no_address_stops_the_start(sender: str, tmp_path: Path) -> None:
    """Better one clear sentence at the start than every mail refused later."""
    with pytest.raises(ValueError, match="sender"):
        FolderMailer(tmp_path, sender)


async def test_the_folder_is_private_and_holds_whole_mails(tmp_path: Path) -> None:
    """Mails hold links that open accounts: nobody else on the machine may read them."""
    at = tmp_path / "data" / "mails"
    mailer = FolderMailer(at, SENDER)
    for number in range(3):
        await mailer.send(mail(subject=f"{number}"))
    (at / "notes.eml").write_text("not one of ours")

    stored = list(list_mails(at))

    assert at.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in at.glob("0*.eml")} == {0o600}
    assert not list(at.glob(".*"))
    assert [one.mail.subject for one in stored] == ["2", "1", "0"]
    assert abs(stored[0].sent_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert read_mail(at, stored[1].id) == stored[1]
    assert [one.mail.subject for one in list_mails(at, limit=1)] in (["2"], [])


async def test_an_absent_folder_holds_no_mails(tmp_path: Path) -> None:
    """Asking before the first mail was sent is no mistake."""
    assert list(list_mails(tmp_path / "absent")) == []
    with pytest.raises(FileNotFoundError):
        read_mail(tmp_path, UUID(int=1))


async def test_a_folder_that_takes_nothing_delays(tmp_path: Path) -> None:
    """A full or wrongly mounted disk is the installation's trouble: the mail is tried again."""
    (tmp_path / "file").write_text("")

    with pytest.raises(MailDelayed, match="cannot write"):
        await FolderMailer(tmp_path / "file", SENDER).send(mail())


async def test_international_addresses_travel(tmp_path: Path) -> None:
    """Domains travel as ASCII to any server, local parts as UTF-8 to servers that say they take it."""
    async with Server().running() as server:
        mailer = SmtpMailer(SmtpServer(host="127.0.0.1", port=server.port, security="none"), SENDER)
        await mailer.send(mail(to="ana@bücher.example"))
        await mailer.send(mail(to="jörg@bücher.example"))

        assert server.recipients == ["ana@xn--bcher-kva.example", "jörg@xn--bcher-kva.example"]
        assert ["SMTPUTF8" in options for options in server.options] == [False, True]

    async with Server().running(enable_SMTPUTF8=False) as server:
        mailer = SmtpMailer(SmtpServer(host="127.0.0.1", port=server.port, security="none"), SENDER)
        with pytest.raises(MailRejected, match="international"):
            await mailer.send(mail(to="jörg@example.org"))


@pytest.mark.parametrize(
    ("command", "answer", "expected"),
    [
        ("RCPT", "550 5.1.1 no such user", MailRejected),
        ("RCPT", "450 4.2.1 try later", MailDelayed),
        ("DATA", "554 5.7.1 looks like spam", MailRejected),
        ("DATA", "451 4.3.0 disk full", MailDelayed),
        ("DATA", "silence", MailDelayed),
        ("MAIL", "550 5.7.1 sender not allowed", MailDelayed),
    ],
)
async def test_final_refusals_are_told_from_troubles(command: str, answer: str, expected: type[Exception]) -> None:
    """A mail to nobody is given up at once; one that met a busy or misconfigured server is tried again."""
    async with Server().running() as server:
        server.answers[command] = answer
        where = SmtpServer(host="127.0.0.1", port=server.port, security="none", timeout=timedelta(seconds=0.3))

        with pytest.raises(expected):
            await SmtpMailer(where, SENDER).send(mail())


async def test_a_server_that_is_away_delays() -> None:
    """No connection: the job tries again; the message says which server."""
    async with Server().running() as server:
        port = server.port

    with pytest.raises(MailDelayed, match=f"127.0.0.1:{port}"):
        await SmtpMailer(SmtpServer(host="127.0.0.1", port=port, security="none"), SENDER).send(mail())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("certificate") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
    return file


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=data.login == b"tenfold" and data.password == b"right", handled=False)


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # With TLS from the start, aiosmtpd does not see that it is there.
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_mails_are_handed_in_encrypted_and_signed_in(certificate: Path, security: Any) -> None:
    """Both ways of TLS, with a user and a password; a wrong password is the installation's trouble."""
    context = server_context(certificate)
    options: dict[str, Any] = {"auth_required": True, "authenticator": authenticate}
    if security == "tls":
        options |= {"tls": context, "auth_require_tls": False}
    else:
        # aiosmtpd takes the context of STARTTLS as an option of each session.
        options |= {"tls_context": context, "require_starttls": True}
    async with Server().running(**options) as server:
        for password, trust in [("right", True), ("wrong", True), ("right", False)]:
            where = SmtpServer(
                host="127.0.0.1",
                port=server.port,
                security=security,
                username="tenfold",
                password=password,
                certificates=str(certificate) if trust else None,
                timeout=timedelta(seconds=5),
            )
            sending = SmtpMailer(where, SENDER).send(mail(subject=password))
            if (password, trust) == ("right", True):
                await sending
            else:
                with pytest.raises(MailDelayed):
                    await sending

        assert [message["Subject"] for message in server.messages] == ["right"]


async def test_a_server_without_tls_is_refused_when_tls_is_asked_for() -> None:
    """Nobody on the way can talk us into sending in the clear."""
    async with Server().running() as server:
        with pytest.raises(MailDelayed):
            await SmtpMailer(SmtpServer(host="127.0.0.1", port=server.port), SENDER).send(mail())

        assert server.messages == []


def test_a_password_is_never_printed() -> None:
    """Settings end up in logs and tracebacks."""
    assert "hunter2" not in repr(SmtpServer(host="x", username="u", password="hunter2"))
