"""The reference page: everything that the assembly declares, module by module, as `docs/reference.md` shows it."""

import inspect
import sys
from collections.abc import Iterable, Iterator

from tenfold.assembly import MODULES
from tenfold.platform.http import problems
from tenfold.platform.http.doors import Door
from tenfold.platform.jobs import Job
from tenfold.platform.module import Module
from tenfold.platform.realtime import Channel


def markdown(modules: Iterable[Module] = MODULES) -> str:
    """The page, module by module. It is generated: `make docs` writes it, and a test compares."""
    modules = list(modules)
    lines = [
        "# Reference",
        "",
        "Written by `make docs` from the code. `tenfold show routes|events|jobs|schedule|limits` prints the same from",
        "the running assembly; every door with its shapes is at `/docs` of a running server.",
        "",
        "## Refusals of every door",
        "",
        "| code | status | message |",
        "|---|---|---|",
    ]
    everywhere = {
        *problems.EVERYWHERE,
        *problems.SIGNED_IN,
        *problems.WITH_BODY,
        *problems.WITH_KEY,
        problems.UnknownPath,
    }
    everywhere.add(problems.MethodNotAllowed)
    lines += [
        f"| `{refusal.code()}` | {refusal.status} | {refusal.title()} |"
        for refusal in sorted(everywhere, key=lambda refusal: (refusal.status, refusal.code()))
    ]
    followers = _followers(modules)
    for module in modules:
        lines += _module(module, followers)
    return "\n".join(lines) + "\n"


def _module(module: Module, followers: dict[type, list[str]]) -> Iterator[str]:
    yield from ("", f"## {module.name}")
    if doors := module.doors():
        yield from ("", "| door | does | limit |", "|---|---|---|")
        yield from (
            f"| `{door.method} /v1{door.path}` | {_sentence(door)} | {door.limit} × {door.cost} |" for door in doors
        )
    if facts := module.facts():
        yield from ("", "| event | says | followed by |", "|---|---|---|")
        for fact in facts:
            names = ", ".join(f"`{name}`" for name in followers.get(fact, [])) or "–"
            yield f"| `{fact.__name__}` | {_first_line(fact.__doc__)} | {names} |"
    if jobs := module.all_jobs():
        yield from ("", "| job | does | starts | tries |", "|---|---|---|---|")
        yield from (f"| `{job.name}` | {job.description} | {_start_of(job)} | {job.retry.tries} |" for job in jobs)
    if channels := module.channels():
        yield from ("", "| channel | who listens | has |", "|---|---|---|")
        yield from (
            f"| `{one.pattern}` | {_first_line(one.may_listen.__doc__)} | {_features(one)} |" for one in channels
        )
    if refusals := module.refusals():
        yield from ("", "| code | status | message |", "|---|---|---|")
        yield from (f"| `{refusal.code()}` | {refusal.status} | {refusal.title()} |" for refusal in refusals)
    if module.homes:
        yield from ("", "| table | at home with |", "|---|---|")
        yield from (f"| `{table}` | {home} |" for table, home in sorted(module.homes.items()))


def _features(channel: Channel) -> str:
    features = {
        "recovery from the database": channel.is_durable,
        "publishing by clients": channel.may_publish,
        "presence": channel.presence,
        "join and leave": channel.join_leave,
    }
    return ", ".join(name for name, has in features.items() if has) or "–"


def _followers(modules: Iterable[Module]) -> dict[type, list[str]]:
    found: dict[type, list[str]] = {}
    for module in modules:
        for job in module.all_jobs():
            if job.fact is not None:
                found.setdefault(job.fact, []).append(job.name)
    return found


def _start_of(job: Job) -> str:
    if job.fact is not None:
        return f"after `{job.fact.__name__}`"
    return "when a deed asks" if job.every is None else f"every {job.every}"


def _sentence(door: Door) -> str:
    return _first_line(door.description)


def _first_line(text: str | None) -> str:
    return inspect.cleandoc(text or "").split("\n", 1)[0]


if __name__ == "__main__":
    sys.stdout.write(markdown())
