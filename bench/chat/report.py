"""The report of the chat benchmark, for people."""

from collections.abc import Mapping
from typing import Any

from bench.chat.figures import BOUND
from bench.report import headline

TARGETS = {"http": 1_000.0, "rpc": 1_500.0}
_DOORS = {"http": "POST over HTTP", "rpc": "RPC over the socket"}


def line(probe: Mapping[str, Any]) -> str:
    """One probe, in a line."""
    durable, delivery, cores = probe["durable"], probe["delivery"], probe["cores"]
    outcome = "holds" if probe["holds"] else "gave up" if probe["gave_up"] else "too late"
    return (
        f"{probe['rate']:7.0f}/s  durable p95 {durable['p95_ms']:8.1f} ms, delivery p95 {delivery['p95_ms']:8.1f} ms, "
        f"cores {cores['server']:.2f} + {cores['postgres']:.2f} + {cores['generator']:.2f}  {outcome}"
    )


def table(document: Mapping[str, Any]) -> str:
    """The whole document."""
    about = (
        f"{document['conversations']} conversations, {document['messages']} messages, "
        f"{document['users']} users, {document['pairs']} pairs"
    )
    lines = [headline(document, about), ""]
    if (loading := document["loading_seconds"]) is not None:
        lines += [f"stored world made in {loading / 60:.1f} min", ""]
    lines += [
        f"Highest rate with 95 of 100 messages at the other member's socket within {BOUND * 1000:.0f} ms, open loop, "
        f"{document['seconds']:g} s; ms; cores: server + Postgres + generator",
        "",
        f"{'':<22}{'sends/s':>9}{'durable p50':>13}{'p95':>8}{'p99':>8}{'delivery p50':>14}{'p95':>8}{'p99':>8}"
        f"  {'cores':>20}{'CPU per send':>20}",
    ]
    for door, sustained in document["sustained"].items():
        lines.append(_sustained(door, sustained["best"]))
    lines.append("")
    for door, spike in document["spikes"].items():
        lines += [*_spike(door, spike), ""]
    lines += ["Limits on calls: " + ", ".join(f"{name}={value}" for name, value in document["limits"].items())]
    lines += [
        "Faults over all runs (acknowledged but not stored, stored twice, numbered otherwise, gaps, not heard in "
        f"order, cut off): {document['faults'] or 'none'}"
    ]
    return "\n".join(lines) + "\n"


def _sustained(door: str, best: Mapping[str, Any] | None) -> str:
    if best is None:
        return f"{_DOORS[door]:<22}{'-':>9}  no rate holds (≥ {TARGETS[door]:g}, MISSED)"
    durable, delivery, cores = best["durable"], best["delivery"], best["cores"]
    busy = f"{cores['server']:.2f} + {cores['postgres']:.2f} + {cores['generator']:.2f}"
    spent = f"{best['server_us_per_send']} + {best['postgres_us_per_send']} µs"
    reached = best["acknowledged_per_second"]
    return (
        f"{_DOORS[door]:<22}{reached:>9.0f}{durable['p50_ms']:>13.1f}{durable['p95_ms']:>8.1f}{durable['p99_ms']:>8.1f}"
        f"{delivery['p50_ms']:>14.1f}{delivery['p95_ms']:>8.1f}{delivery['p99_ms']:>8.1f}  {busy:>20}{spent:>20}"
        f"  (≥ {TARGETS[door]:g}{'' if reached >= 0.99 * TARGETS[door] else ', MISSED'})"
    )


def _spike(door: str, spike: Mapping[str, Any]) -> list[str]:
    recovered = spike["seconds_to_recover"]
    refused = ", ".join(f"{count} × {name}" for name, count in spike["refusals"].items()) or "none"
    return [
        f"Spike, {_DOORS[door]}: {spike['baseline']:.0f}/s ({spike['share']:g} of the sustained rate), then "
        f"{spike['peak']:.0f}/s for {spike['seconds']:g} s, then {spike['baseline']:.0f}/s again",
        f"  before: delivery p95 {spike['before']['p95_ms']:.1f} ms; in it: {spike['acknowledged_per_second']:.0f} "
        f"acknowledged/s, delivery p50 {spike['during']['p50_ms']:.0f}, longest {spike['during']['longest_ms']:.0f} ms",
        f"  sent {spike['sent']}, acknowledged {spike['acknowledged']}, refused or unanswered: {refused}; "
        f"lost {spike['verdict']['lost']}, doubled {spike['verdict']['doubled']}",
        "  back within the bound "
        + ("NOT before the end" if recovered is None else f"{recovered:.0f} s after the spike's end"),
    ]
