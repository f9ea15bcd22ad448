"""`tenfold mail list · show`: the mails that the folder engine kept in the data folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenfold.entry.cli.groups import Command, group
from tenfold.entry.cli.options import Config, Data, Json, Limit, settings_of
from tenfold.entry.cli.output import say, show_json
from tenfold.entry.cli.output import show as print_rows

if TYPE_CHECKING:
    from tenfold.platform.mail.folder import StoredMail

app = group("mail", "Mails of the embedded mail folder.")


@app.command("list", cls=Command)
def list_(*, config: Config = None, data: Data = None, limit: Limit = 20, as_json: Json = False) -> None:
    """Print the newest mails."""
    from tenfold.platform.mail.folder import list_mails

    rows = [
        {"id": stored.id, "sent_at": stored.sent_at, "to": stored.mail.to, "subject": stored.mail.subject}
        for stored in list_mails(_folder(config, data), limit=limit)
    ]
    print_rows(rows, as_json=as_json, empty="No mail yet.")


@app.command(cls=Command)
def show(
    mail: Annotated[str | None, typer.Argument(metavar="ID", help="A mail's id or its end; else the newest.")] = None,
    *,
    config: Config = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print one mail: whom it is to, its subject and its text."""
    stored = _find(_folder(config, data), mail)
    if as_json:
        show_json(stored)
    else:
        say(f"To: {stored.mail.to}\nSubject: {stored.mail.subject}\nDate: {stored.sent_at:%Y-%m-%d %H:%M:%S} UTC\n")
        say(stored.mail.text)


def _folder(config: Path | None, data: Path | None) -> Path:
    from tenfold.kit.refusals import CannotStart

    settings = settings_of(config, data, secrets=False)
    if settings.mail.engine != "folder":
        raise CannotStart(f"Mails leave by {settings.mail.engine} here (mail.engine); no folder keeps them.")
    return settings.data / "mail"


def _find(folder: Path, wanted: str | None) -> "StoredMail":
    from tenfold.kit.refusals import NotFound
    from tenfold.platform.mail.folder import list_mails

    for stored in list_mails(folder):
        if wanted is None or str(stored.id).endswith(wanted.lower()):
            return stored
    raise NotFound("There is no mail yet." if wanted is None else f"There is no mail {wanted} in {folder}.")
