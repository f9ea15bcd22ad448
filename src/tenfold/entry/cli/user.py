"""`tenfold user grant-admin · list · show`: what whoever runs the installation does to accounts."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from tenfold.entry.cli.failures import finish
from tenfold.entry.cli.groups import Command, group
from tenfold.entry.cli.options import Config, Data, Json, Limit, settings_of
from tenfold.entry.cli.output import say, show_one
from tenfold.entry.cli.output import show as print_rows

if TYPE_CHECKING:
    from tenfold.modules.identity.shapes import AdminUser
    from tenfold.settings import Settings

app = group("user", "Accounts.")
_COLUMNS = ("id", "handle", "email", "role", "tier", "state", "created_at")


@app.command("grant-admin", cls=Command)
def grant_admin(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The address of an account.")],
    *,
    config: Config = None,
    data: Data = None,
) -> None:
    """Make somebody an administrator."""
    user_id = finish(_grant_admin(settings_of(config, data, existing=True), email))
    say(f"{email} ({user_id}) is an administrator now.")


async def _grant_admin(settings: "Settings", email: str) -> UUID:
    from tenfold.entry.connect import house_of
    from tenfold.modules.identity.actions import admin
    from tenfold.modules.identity.guard import Guard

    async with house_of(settings) as house, house.db.write() as tx:
        return await admin.grant_admin(tx, house.parts.get(Guard), email)


@app.command("list", cls=Command)
def list_(*, config: Config = None, data: Data = None, limit: Limit = 20, as_json: Json = False) -> None:
    """Print the newest accounts."""
    users = finish(_list(settings_of(config, data, existing=True), limit))
    rows = [_row(user) if as_json else {name: _row(user)[name] for name in _COLUMNS} for user in users]
    print_rows(rows, as_json=as_json, empty="Nobody has signed up yet.")


async def _list(settings: "Settings", limit: int) -> "list[AdminUser]":
    from tenfold.entry.connect import house_of
    from tenfold.modules.identity.actions import admin

    async with house_of(settings) as house, house.db.read() as tx:
        return (await admin.list_users(tx, limit=limit, cursor=None)).items


@app.command(cls=Command)
def show(
    who: Annotated[str, typer.Argument(metavar="USER", help="An e-mail address, a handle or an id.")],
    *,
    config: Config = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print one account."""
    show_one(_row(finish(_find(settings_of(config, data, existing=True), who))), as_json=as_json)


async def _find(settings: "Settings", who: str) -> "AdminUser":
    from tenfold.entry.connect import house_of
    from tenfold.kit.refusals import NotFound
    from tenfold.modules.identity.actions import admin

    async with house_of(settings) as house, house.db.read() as tx:
        if (user_id := _id_of(who)) is not None:
            return await admin.get_user(tx, user_id)
        email, handle = (who, None) if "@" in who.lstrip("@") else (None, who.lstrip("@"))
        page = await admin.find_users(tx, email=email, handle=handle)
    if not page.items:
        raise NotFound(f"Nobody is known as {who}.")
    return page.items[0]


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _row(user: "AdminUser") -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(user)
