"""The report: one table for people, one JSON document for programs, both under `bench/results/`."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.scenarios import SCENARIOS
from bench.search import BOUND, Trial

_SYSTEMS = ("ours", "peer", "floor")
RESULTS = Path(__file__).parent / "results"
Trials = Mapping[tuple[str, str], Trial]


def summed_up(trials: Trials) -> list[dict[str, Any]]:
    """A row per scenario: what each system sustains and spends, and how ours compares."""
    rows: list[dict[str, Any]] = []
    for scenario in SCENARIOS:
        measured = {name: trials[scenario.name, name] for name in _SYSTEMS if (scenario.name, name) in trials}
        if not measured:
            continue
        row: dict[str, Any] = {"scenario": scenario.name}
        row |= {name: _of_trial(trial) for name, trial in measured.items()}
        ours = row.get("ours", {}).get("per_second", 0.0)
        for other, target in (("peer", scenario.target), ("floor", scenario.floor_target)):
            theirs = row.get(other, {}).get("per_second", 0.0)
            row[f"ours_to_{other}"] = round(ours / theirs, 2) if theirs else None
            row[f"target_to_{other}"] = target
        rows.append(row)
    return rows


def _of_trial(trial: Trial) -> dict[str, Any]:
    return {
        "per_second": round(trial.median("throughput"), 1),
        "p50_ms": round(trial.median("p50"), 2),
        "p99_ms": round(trial.median("p99"), 2),
        "server_cpu_us": round(trial.median("server_us")),
        "postgres_cpu_us": round(trial.median("postgres_us")),
        "deferred_work_s": round(trial.median("settling"), 2),
        "rounds_per_second": [round(probe.outcome.throughput, 1) for probe in trial.best],
        "failed_at": [
            {"rate": round(probe.rate, 1), "p99_ms": round(probe.outcome.p99, 1), "failures": probe.outcome.failed}
            for probe in trial.failed
        ],
    }


def table(document: Mapping[str, Any]) -> str:
    """The document as a table."""
    lines = [
        headline(document, f"{document['users']} users, {document['posts']} posts"),
        "",
        f"Requests per second with p99 < {BOUND:.0f} ms; processor time per request, server + Postgres, in µs",
        "",
        f"{'scenario':<22}{'ours':>9}{'peer':>9}{'floor':>9}  {'CPU ours':>13}{'CPU peer':>13}{'CPU floor':>13}"
        f"  {'ours/peer':>22}{'ours/floor':>22}",
    ]
    for row in document["scenarios"]:
        rates = "".join(f"{row[name]['per_second']:>9.0f}" if name in row else f"{'-':>9}" for name in _SYSTEMS)
        costs = "".join(f"{_cost(row.get(name)):>13}" for name in _SYSTEMS)
        ratios = "".join(f"{_ratio(row, other):>22}" for other in ("peer", "floor"))
        lines.append(f"{row['scenario']:<22}{rates}  {costs}  {ratios}")
    lines.append("")
    lines += [f"{m['name']:<44}{m['value']:>8.2f} {m['unit']:<3}{_verdict(m)}" for m in document["measures"]]
    return "\n".join(lines) + "\n"


def headline(document: Mapping[str, Any], about: str) -> str:
    """When and on which machine a document was measured, and on what."""
    machine = document["machine"]
    return (
        f"{document['at']} · {machine['cores']} × {machine['cpu']}, {machine['memory_gb']} GB · "
        f"load before {machine['load_before']:.1f} · {about}"
    )


def _cost(cell: Mapping[str, Any] | None) -> str:
    return "-" if cell is None else f"{cell['server_cpu_us']} + {cell['postgres_cpu_us']}"


def _ratio(row: Mapping[str, Any], other: str) -> str:
    ratio, target = row[f"ours_to_{other}"], row[f"target_to_{other}"]
    if ratio is None:
        return "-"
    if target is None:
        return f"{ratio:.2f}"
    return f"{ratio:.2f} (≥ {target:g}{'' if ratio >= target else ', MISSED'})"


def _verdict(measure: Mapping[str, Any]) -> str:
    if measure.get("at_most") is None:
        return ""
    missed = "" if measure["value"] <= measure["at_most"] else ", MISSED"
    return f" (≤ {measure['at_most']:g}{missed})"


def keep(document: Mapping[str, Any], text: str, *, name: str, quick: bool) -> Path:
    """Write both forms under `name` and the time; a quick run's stay out of the repository."""
    folder = RESULTS / "local" if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    stem = datetime.now(UTC).strftime(f"{name}-%Y%m%d-%H%M%S")
    (folder / f"{stem}.json").write_text(json.dumps(document, indent=1) + "\n")
    path = folder / f"{stem}.txt"
    path.write_text(text)
    return path
