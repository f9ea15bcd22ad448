"""`tenfold jobs list · dead · replay · drop`: the queue, and the jobs that failed for good."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tenfold.entry.cli.failures import FAILED, finish
from tenfold.entry.cli.groups import Command, group
from tenfold.entry.cli.options import Config, Data, Json, Limit, settings_of
from tenfold.entry.cli.output import say, show_json
from tenfold.entry.cli.output import show as print_rows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenfold.platform.jobs.pgqueuer import Queue

T = TypeVar("T")
app = group("jobs", "The queue of background work, and the jobs that failed for good.")
Ids = Annotated[list[int] | None, typer.Argument(metavar="ID", help="Ids of dead jobs.")]


@app.command("list", cls=Command)
def list_(*, config: Config = None, data: Data = None, as_json: Json = False) -> None:
    """Print how much waits, by job."""
    print_rows(_asked(config, data, lambda queue: queue.depths()), as_json=as_json, empty="Nothing waits.")


@app.command(cls=Command)
def dead(*, config: Config = None, data: Data = None, limit: Limit = 20, as_json: Json = False) -> None:
    """Print the jobs that failed for good, the newest first."""
    page = _asked(config, data, lambda queue: queue.list_dead(limit))
    if as_json:
        show_json(page.items)
        return
    rows = [
        {
            "id": job.id,
            "job": job.job,
            "died_at": job.died_at,
            "tries": job.failures,
            "error": f"{job.type}: {job.message}",
        }
        for job in page.items
    ]
    print_rows(rows, empty="No job failed for good.")


@app.command(cls=Command)
def replay(
    ids: Ids = None,
    *,
    job: Annotated[
        str | None, typer.Option("--job", metavar="NAME", help="Replay all that failed of this job.")
    ] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Run dead jobs again, with their tries counted anew."""
    if not ids and job is None:
        raise typer.BadParameter("name the ids of dead jobs, or a job with --job")
    _must_be_some(_asked(config, data, lambda queue: queue.replay(ids or (), job=job)), "queued again")


@app.command(cls=Command)
def drop(
    ids: Annotated[list[int], typer.Argument(metavar="ID", help="Ids of dead jobs.")],
    *,
    config: Config = None,
    data: Data = None,
) -> None:
    """Forget dead jobs for good."""
    _must_be_some(_asked(config, data, lambda queue: queue.drop(ids)), "dropped")


def _must_be_some(count: int, deed: str) -> None:
    if count == 0:
        typer.echo("tenfold: no such dead job; `tenfold jobs dead` lists them", err=True)
        raise typer.Exit(FAILED)
    say(f"{count} {deed}.")


def _asked(config: Path | None, data: Path | None, question: "Callable[[Queue], Awaitable[T]]") -> Any:
    """The queue's answer, as plain rows where it is a list."""
    return finish(_ask(config, data, question))


async def _ask(config: Path | None, data: Path | None, question: "Callable[[Queue], Awaitable[T]]") -> Any:
    import msgspec

    from tenfold.entry.connect import house_of

    async with house_of(settings_of(config, data, existing=True)) as house:
        answer = await question(house.queue)
    return [msgspec.structs.asdict(row) for row in answer] if isinstance(answer, list) else answer
