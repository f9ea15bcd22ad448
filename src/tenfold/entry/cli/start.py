"""`tenfold serve · web · gateway · worker · migrate · sample`: what runs, and what prepares a database for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tenfold.entry.cli.failures import finish
from tenfold.entry.cli.options import Config, Data, Host, Json, Port, settings_of
from tenfold.entry.cli.output import progress_bars, say, show_one
from tenfold.entry.cli.output import show as print_rows

if TYPE_CHECKING:
    from tenfold.platform.db import Migrations
    from tenfold.settings import Settings


def serve(*, config: Config = None, data: Data = None, host: Host = None, port: Port = None) -> None:
    """Run everything in one process: HTTP, realtime and background work."""
    from tenfold.entry.serve import run
    from tenfold.entry.serve import serve as serve_all

    settings = settings_of(config, data, http__host=host, http__port=port)
    _observe(settings)
    run(serve_all(settings, say))


def web(*, config: Config = None, data: Data = None, host: Host = None, port: Port = None) -> None:
    """Run HTTP and realtime only."""
    from tenfold.entry.serve import run
    from tenfold.entry.serve import web as serve_web

    settings = settings_of(config, data, http__host=host, http__port=port)
    _observe(settings)
    run(serve_web(settings, say))


def gateway(
    *,
    config: Config = None,
    data: Data = None,
    host: Host = None,
    port: Port = None,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, max=1000, help="How many processes; else one per core.")
    ] = None,
) -> None:
    """Run sockets only, in several processes that share a port."""
    from tenfold.entry.gateway import gateway as run_gateway

    settings = settings_of(
        config, data, existing=True, gateway__host=host, gateway__port=port, gateway__processes=processes
    )
    _observe(settings)
    code = run_gateway(settings, say)
    if code:
        raise typer.Exit(code)


def worker(*, config: Config = None, data: Data = None) -> None:
    """Run background work only."""
    from tenfold.entry.serve import run, work

    settings = settings_of(config, data)
    _observe(settings)
    run(work(settings, say))


def _observe(settings: "Settings") -> None:
    """Log and trace as the settings say. Logs go to standard error: standard output is for what the command tells."""
    from tenfold.platform.observe import logs, traces

    logs.configure(settings.log.format, settings.log.level, descriptor=2)
    traces.configure(settings.traces.endpoint, settings.traces.ratio)


def migrate(
    *,
    config: Config = None,
    data: Data = None,
    status: Annotated[
        bool, typer.Option("--status", help="Print how each migration stands, and change nothing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be applied, and change nothing.")
    ] = False,
    backfills: Annotated[bool, typer.Option("--backfills", help="Run backfills to their end as well.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the database's schema to this version's."""
    settings = settings_of(config, data, secrets=False, existing=status or dry_run)
    if status or dry_run:
        finish(_show_migrations(settings, only_pending=dry_run, as_json=as_json))
    else:
        finish(_migrate(settings, backfills=backfills))


async def _show_migrations(settings: "Settings", *, only_pending: bool, as_json: bool) -> None:
    async with _migrations(settings) as migrations:
        standings = await migrations.status()
    rows = [
        {
            "migration": standing.migration.label,
            "kind": standing.migration.kind,
            "state": standing.state,
            "applied_at": standing.applied_at,
        }
        for standing in standings
        if not only_pending or standing.state == "pending"
    ]
    print_rows(rows, as_json=as_json, empty="The schema is this version's; there is nothing to apply.")


async def _migrate(settings: "Settings", *, backfills: bool) -> None:
    async with _migrations(settings) as migrations:
        applied = await migrations.apply(
            on_applied=lambda migration, seconds: say(f"applied {migration.label} ({seconds * 1000:.0f} ms)")
        )
        if backfills:
            await migrations.run_backfills()
            applied += await migrations.apply()
        waiting = [standing for standing in await migrations.status() if standing.state in ("waiting", "running")]
    if waiting:
        say(f"{len(waiting)} wait for a backfill: a worker runs it, or `tenfold migrate --backfills`.")
    elif not applied:
        say("The schema is this version's; there was nothing to apply.")


@asynccontextmanager
async def _migrations(settings: "Settings") -> "AsyncIterator[Migrations]":
    from tenfold.assembly import migration_sources
    from tenfold.entry.connect import database_of
    from tenfold.platform.db import Database, Migrations

    async with database_of(settings, join=True) as address:
        db = Database(address.dsn, **address.options)
        await db.open()
        try:
            yield Migrations(db, migration_sources())
        finally:
            await db.close()


def sample(
    *,
    config: Config = None,
    data: Data = None,
    users: Annotated[int, typer.Option("--users", min=2, help="People in the world.")] = 2_000,
    posts: Annotated[int | None, typer.Option("--posts", min=0, help="Posts; by default ten per person.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed makes the same world.")] = 7,
) -> None:
    """Fill the database with a believable world of people, posts, follows and likes."""
    finish(_sample(settings_of(config, data), users=users, posts=posts, seed=seed))


async def _sample(settings: "Settings", *, users: int, posts: int | None, seed: int) -> None:
    from tenfold.entry.connect import house_of
    from tenfold.entry.sample import run

    async with house_of(settings, migrate=True) as house:
        with progress_bars() as progress:
            sampled = await run(house, users=users, posts=posts, seed=seed, progress=progress)
    show_one(asdict(sampled))
