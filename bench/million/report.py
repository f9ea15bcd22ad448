"""The report of a run: each figure beside what is to be reached, as a table and as JSON under `bench/results/`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"
_FULL = 1_000_000


@dataclass(frozen=True)
class Line:
    """One figure; `target` says what is to be reached and `holds` whether it was, both None without a target."""

    name: str
    value: str
    target: str | None = None
    holds: bool | None = None

    @property
    def verdict(self) -> str:
        """In words."""
        return "" if self.holds is None else "reached" if self.holds else "MISSED"


def lines(document: Mapping[str, Any]) -> list[Line]:
    """Every figure of the run, in the order of its parts."""
    parts = document["parts"]
    found = _of_connect(document, parts["connect"])
    for name, of_part in (
        ("hold", _of_hold),
        ("single", _of_single),
        ("everyone", _of_everyone),
        ("loss", _of_loss),
        ("reckoning", _of_reckoning),
        ("floor", _of_floor),
    ):
        if name in parts:
            found += of_part(parts[name])
    return found


def _of_connect(document: Mapping[str, Any], part: Mapping[str, Any]) -> list[Line]:
    asked, live = document["run"]["connections"], part["connected"]
    share, each = live / asked, part["gateway_kb"] / max(1, live)
    kernel = part["kernel_kb"]
    both_ends = (kernel["slab"] + kernel["tcp_buffers"] + kernel["page_tables"]) / max(1, live)
    return [
        Line("connected", f"{live} of {asked} ({share:.3%})", "≥ 99.99 %", share >= 0.9999),
        Line("attempts that failed and were made again", str(part["failures"])),
        Line("connects per second", f"{part['per_second']:.0f}", "≥ 5000", part["per_second"] >= 5000),
        Line("  cores meanwhile", _cores(part["cores"])),
        Line("  tokens made beforehand", f"{document['minting_s']:.1f} s, not part of the rate"),
        Line("gateway, user memory per connection (PSS, all in)", f"{each:.2f} KB", "≤ 8 KB", each <= 8),
        Line("  of it anonymous", f"{part['gateway_anonymous_kb'] / max(1, live):.2f} KB"),
        Line(
            "  before anybody came", f"{part['gateway_kb_before'] / 1024:.0f} MB, {part['gateway_processes']} processes"
        ),
        Line("generators, user memory per connection", f"{part['generators_kb'] / max(1, live):.2f} KB"),
        Line("kernel memory per connection, both ends", f"{both_ends:.2f} KB"),
        Line("Redis", f"{part['redis_used_mb']:.0f} MB in use by this, {part['redis_rss_mb']:.0f} MB resident"),
        Line("files of the fullest gateway process", str(part["files_of_fullest_process"])),
    ]


def _of_hold(part: Mapping[str, Any]) -> list[Line]:
    kept = part["unpinged"] == 0 and part["disconnects"] == 0
    cores = part["cores"]["gateway"]
    pings = f"{part['pings']} in {part['seconds']:.0f} s, {part['unpinged']} connections had none"
    return [
        Line(f"pings every {part['interval']:.0f} s", pings, "each one kept up", kept),
        Line("  gateway, doing nothing else", f"{cores:.2f} cores", "< 0.7", cores < 0.7),
        Line("  cores of all", _cores(part["cores"])),
    ]


def _of_single(part: Mapping[str, Any]) -> list[Line]:
    publisher, latency = part["publisher"], part["latency_ms"]
    rate = publisher["published"] / publisher["seconds"]
    exact = part["received"] == publisher["published"] and not (part["doubled"] or part["missing"] or part["strayed"])
    return [
        Line("messages to single users", f"{publisher['published']}, {rate:.0f}/s"),
        Line("  from due to receipt", _latency(latency), "p99 < 200 ms", latency["p99"] < 200),
        Line("  " + _account(part), f"{part['received']} received", "each once", exact and not publisher["refused"]),
        Line("  cores of all", _cores(part["cores"])),
    ]


def _of_everyone(part: Mapping[str, Any]) -> list[Line]:
    complete = part["received"] == part["connections"] and not part["doubled"] and not part["disconnects"]
    last = part["last_s"]
    return [
        Line("broadcast to everyone, last receipt", f"{last:.2f} s", "< 30 s", complete and last < 30),
        Line("  received, once each", f"{part['received']} of {part['connections']}", "all", complete),
        Line("  first receipt, and half of them", f"{part['first_s']:.3f} s, {part['latency_ms']['p50'] / 1000:.2f} s"),
        Line("  cores of all", _cores(part["cores"])),
    ]


def _of_loss(part: Mapping[str, Any]) -> list[Line]:
    publisher, back = part["publisher"], part["back_s"]
    is_back = part["away_in_the_end"] == 0 and back is not None and back < 15
    complete = part["unrecovered"] == part["missing"] == part["doubled"] == 0
    unmoved = part["dismissed"] == 0 and 0 < part["lost"] <= part["held_by_the_victim"]
    others, held = part["latency_of_the_others_ms"], part["held_by_the_victim"]
    cut_off = max(0, part["lost"] - held) + part["dismissed"]
    account = f"{part['recovered']}; {_account(part)}; told of a gap {part['unrecovered']}"
    seconds = "never" if back is None else f"{back:.2f} s"
    return [
        Line("kill -9 of a gateway process", f"{held} sockets held, {part['lost']} users cut off"),
        Line("  all back, with every message", seconds, "< 15 s", is_back and complete),
        Line("  sent meanwhile", f"{publisher['published']}, {publisher['to_absent']} of them to the absent"),
        Line("  recovered", account, "all", complete),
        Line("  others cut off", str(cut_off), "0", unmoved),
        Line("  messages to the others", _latency(others), "p99 < 200 ms", others["p99"] < 200),
        Line("  cores of all", _cores(part["cores"])),
    ]


def _of_reckoning(part: Mapping[str, Any]) -> list[Line]:
    right = part["lost"] == part["invented"] == 0
    value = f"{part['sent']} sent, {part['seen']} seen, {part['lost']} lost, {part['invented']} invented"
    return [Line("every message of the run, user by user", value, "none lost", right)]


def _of_floor(part: Mapping[str, Any]) -> list[Line]:
    value = f"{part['connected']} connected, {part['per_second']:.0f} per second, {part['failures']} failures"
    return [Line("a bare listener of picows, in as many processes", value)]


def _cores(cores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in cores.items())


def _latency(latency: Mapping[str, float]) -> str:
    return f"p50 {latency['p50']:.1f}, p99 {latency['p99']:.1f}, longest {latency['longest']:.0f} ms"


def _account(part: Mapping[str, Any]) -> str:
    return f"missing {part['missing']}, doubled {part['doubled']}"


def table(document: Mapping[str, Any]) -> str:
    """The document as a table."""
    machine, run = document["machine"], document["run"]
    head = [
        f"{document['at']} · {machine['cores']} × {machine['cpu']}, {machine['memory_gb']} GB · "
        f"load before {machine['load_before']:.1f} · {machine['system']}",
        f"{run['connections']} connections, {run['gateways']} gateway processes, {run['generators']} generators, "
        f"tokens of 12 hours, Redis {document['redis']} at priority {document['redis_priority']}",
        "",
    ]
    rows = [
        f"{line.name:<52}{line.value:<58}{f'{line.target} ' if line.target else '':<18}{line.verdict}".rstrip()
        for line in lines(document)
    ]
    return "\n".join([*head, *rows]) + "\n"


def keep(document: Mapping[str, Any]) -> Path:
    """Write both forms; those of a run that was not the full one stay out of the repository."""
    folder = RESULTS if document["run"]["connections"] >= _FULL else RESULTS / "local"
    folder.mkdir(parents=True, exist_ok=True)
    name = datetime.now(UTC).strftime("million-%Y%m%d-%H%M%S")
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    path = folder / f"{name}.txt"
    path.write_text(table(document))
    return path
