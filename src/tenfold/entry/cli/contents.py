"""What the house is made of, as rows: its doors, events, jobs, statements and limits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tenfold.assembly import MODULES
from tenfold.platform.http.router import PREFIX

if TYPE_CHECKING:
    from tenfold.platform.http.doors import Door
    from tenfold.platform.jobs import Job
    from tenfold.settings import Settings

Row = Mapping[str, Any]


def routes() -> list[Row]:
    """Every HTTP door, module by module."""
    return [
        {
            "method": door.method,
            "path": PREFIX + door.path,
            "for": _who(door),
            "limit": door.limit if door.limit == "free" else f"{door.limit} × {door.cost}",
            "does": door.description.split("\n", 1)[0],
        }
        for module in MODULES
        for door in module.doors()
    ]


def _who(door: "Door") -> str:
    from tenfold.platform.http.plan import plan_of

    if door.roles:
        return " or ".join(door.roles)
    return "signed in" if plan_of(door, None).needs_actor else "anybody"


def events() -> list[Row]:
    """Every event, with the module that publishes it and the jobs that follow."""
    followers: dict[type, list[str]] = {}
    for job in _jobs():
        if job.fact is not None:
            followers.setdefault(job.fact, []).append(job.name)
    return [
        {
            "event": fact.__name__,
            "published_by": module.name,
            "followed_by": followers.get(fact, []),
            "says": (fact.__doc__ or "").strip().split("\n", 1)[0],
        }
        for module in MODULES
        for fact in module.facts()
    ]


def jobs() -> list[Row]:
    """Every background job: what starts it, and how it is run."""
    return [
        {
            "job": job.name,
            "starts": _start(job),
            "priority": job.priority,
            "tries": job.retry.tries,
            "timeout": str(job.timeout),
            "does": job.description,
        }
        for job in _jobs()
    ]


def schedule() -> list[Row]:
    """The jobs that the clock starts."""
    return [{"job": job.name, "every": str(job.every), "does": job.description} for job in _jobs() if job.every]


def _jobs() -> "list[Job]":
    return [job for module in MODULES for job in module.all_jobs()]


def _start(job: "Job") -> str:
    if job.fact is not None:
        return f"after {job.fact.__name__}"
    return f"every {job.every}" if job.every else "when a deed asks"


def statements() -> list[Row]:
    """Every SQL statement, with what it takes and what it answers with."""
    return [
        {
            "statement": statement.name,
            "takes": list(statement.parameters),
            "answers": getattr(statement.shape, "__name__", "") or "nothing",
            "sql": statement.sql.removeprefix(f"/* {statement.name} */ "),
        }
        for module in MODULES
        for statement in module.statements()
    ]


def limits(settings: "Settings") -> list[Row]:
    """The budgets of every kind of asker, what calls weigh, the doors' extra limits, and the cost of a password."""
    numbers, passwords = settings.limits, settings.passwords
    window = f"{numbers.window}"
    weights = ", ".join(f"{name} {getattr(numbers, name)}" for name in ("read", "write", "sign_in", "costly"))
    rows: list[Row] = [
        {"limit": "calls", "who": "an address without a user", "allows": f"{numbers.anonymous} per {window}"},
        {"limit": "sign_in", "who": "an address", "allows": f"{numbers.anonymous_sign_in} per {window}"},
        *(
            {"limit": "calls", "who": f"a user of tier {tier}", "allows": f"{calls} per {window}"}
            for tier, calls in enumerate(numbers.tiers)
        ),
        {"limit": "weights", "who": "a call, by its door's class", "allows": weights},
    ]
    for door in (door for module in MODULES for door in module.doors()):
        for extra in door.extras:
            calls, period = numbers.extras.get(extra.name, (extra.calls, extra.period))
            rows.append(
                {"limit": extra.name, "who": f"{door.method} {PREFIX}{door.path}", "allows": f"{calls} per {period}"}
            )
    cost = f"argon2id, {passwords.time_cost} passes over {passwords.memory_kib} KiB, {passwords.lanes} lanes"
    pool = f"{passwords.workers} at a time, {passwords.queue} may wait"
    return [*rows, {"limit": "passwords", "who": "a sign-in", "allows": f"{cost}; {pool}"}]
