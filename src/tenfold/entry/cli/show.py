"""`tenfold show …`: what the house is made of, read off its modules and settings; only the audit log is asked for."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.entry.cli.failures import FAULT_FOUND, finish
from tenfold.entry.cli.groups import Command, group
from tenfold.entry.cli.options import Config, Data, Json, Limit, settings_of
from tenfold.entry.cli.output import say, show_json
from tenfold.entry.cli.output import show as print_rows

if TYPE_CHECKING:
    from tenfold.platform.audit import Head
    from tenfold.settings import Settings

app = group("show", "Print what the running house is made of.")


@app.command(cls=Command)
def routes(*, as_json: Json = False) -> None:
    """Print every HTTP door."""
    from tenfold.entry.cli import contents

    print_rows(contents.routes(), as_json=as_json)


@app.command(cls=Command)
def events(*, as_json: Json = False) -> None:
    """Print every event: who publishes it, and who follows."""
    from tenfold.entry.cli import contents

    print_rows(contents.events(), as_json=as_json)


@app.command(cls=Command)
def jobs(*, as_json: Json = False) -> None:
    """Print every background job."""
    from tenfold.entry.cli import contents

    print_rows(contents.jobs(), as_json=as_json)


@app.command(cls=Command)
def schedule(*, as_json: Json = False) -> None:
    """Print the jobs that run on a clock."""
    from tenfold.entry.cli import contents

    print_rows(contents.schedule(), as_json=as_json)


@app.command(cls=Command)
def statements(
    *, as_json: Json = False, sql: Annotated[bool, typer.Option("--sql", help="Print the SQL of each too.")] = False
) -> None:
    """Print every SQL statement."""
    from tenfold.entry.cli import contents

    rows = contents.statements()
    if sql and not as_json:
        say("\n\n".join(f"-- {row['statement']}\n{row['sql']}" for row in rows))
    else:
        print_rows(rows if as_json else [{**row, "sql": _short(row["sql"])} for row in rows], as_json=as_json)


def _short(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= 80 else f"{line[:79]}…"


@app.command(cls=Command)
def limits(*, config: Config = None, as_json: Json = False) -> None:
    """Print who may do how much, and what a password costs."""
    from tenfold.entry.cli import contents

    print_rows(contents.limits(settings_of(config, secrets=False)), as_json=as_json)


@app.command(cls=Command)
def settings(
    *,
    config: Config = None,
    data: Data = None,
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of the documentation.")] = False,
) -> None:
    """Print every setting, its value and where that is from. Secrets are only said to be set."""
    from dataclasses import asdict

    from tenfold.settings import describe
    from tenfold.settings import markdown as page

    if markdown:
        typer.echo(page(), nl=False)
        return
    described = describe(settings_of(config, data, secrets=False))
    if as_json:
        print_rows([asdict(setting) for setting in described], as_json=True)
        return
    print_rows(
        [{"setting": one.name, "value": one.current, "from": one.source, "says": one.sentence} for one in described]
    )


@app.command(cls=Command)
def audit(
    *,
    config: Config = None,
    data: Data = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the whole chain; exit code 3 when it is broken.")
    ] = False,
    witness: Annotated[
        str | None,
        typer.Option("--witness", metavar="NUMBER:HASH", help="A head that was logged earlier, to check against."),
    ] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """Print the newest lines of the audit log, or check that nobody changed it."""
    given = settings_of(config, data, existing=True)
    if not verify and witness is None:
        print_rows(finish(_lines(given, limit)), as_json=as_json, empty="Nothing was written down yet.")
    elif not finish(_holds(given, witness, as_json=as_json)):
        raise typer.Exit(FAULT_FOUND)


async def _lines(settings: "Settings", limit: int) -> list[dict[str, Any]]:
    import msgspec

    from tenfold.entry.connect import house_of
    from tenfold.platform.audit import list_lines

    async with house_of(settings) as house, house.db.read() as tx:
        page = await list_lines(tx, limit=limit)
    return [
        {name: value for name, value in msgspec.structs.asdict(line).items() if name not in ("id", "hash")}
        for line in page.items
    ]


async def _holds(settings: "Settings", witness: str | None, *, as_json: bool) -> bool:
    from tenfold.entry.connect import house_of
    from tenfold.platform import audit

    head = _head_of(witness) if witness else None
    async with house_of(settings) as house, house.db.read(snapshot=True) as tx:
        verdict = await audit.verify(tx, witness=head)
    broken = verdict.broken
    if as_json:
        show_json({"holds": broken is None, "lines": verdict.lines, "unsealed": verdict.unsealed, "broken": broken})
    elif broken is None:
        say(f"The chain holds: {verdict.lines} lines sealed, {verdict.unsealed} not yet.")
        say(f"Head: {verdict.head.number}:{verdict.head.hash.hex()}")
    else:
        say(f"The chain is broken at line {broken.number}: {broken.problem}; {verdict.lines} lines before it hold.")
    return broken is None


def _head_of(text: str) -> "Head":
    from tenfold.platform.audit import Head

    number, _, hash_ = text.partition(":")
    try:
        return Head(int(number), bytes.fromhex(hash_))
    except ValueError:
        raise typer.BadParameter("--witness is a number, a colon and a hash in hexadecimal digits") from None
