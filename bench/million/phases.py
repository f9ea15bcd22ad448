"""The parts of a run, one after the other: connect, hold, tell single users, tell everyone, lose a process."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdrh.histogram import HdrHistogram

from bench.machine import kernel_memory_kb, memory_mb, processor_seconds, user_memory_kb
from bench.million.board import Board
from bench.million.crew import Crew
from bench.million.settings import Run
from bench.sockets.servers import ask_redis, children_of

_STUCK = 45.0  # seconds without any progress after which a part is given up
_SAID_EVERY = 5.0
_SETTLE = 5.0
_BEFORE_KILL = 3.0
_AFTER_KILL = 12.0
say = print


@dataclass
class Scene:
    """What the parts work on."""

    run: Run
    board: Board
    crew: Crew
    gateway: int
    publisher: subprocess.Popen[Any]
    redis: subprocess.Popen[Any]
    redis_port: int

    def gateways(self) -> list[int]:
        """The gateway's processes: the one that was started, and those that it forked."""
        return [self.gateway, *children_of(self.gateway)]

    def order(self, **order: Any) -> None:
        """Have the publisher begin something."""
        assert self.publisher.stdin is not None
        self.publisher.stdin.write(json.dumps(order).encode() + b"\n")
        self.publisher.stdin.flush()

    def outcome(self) -> dict[str, Any]:
        """What came of it, once it is done."""
        assert self.publisher.stdout is not None
        line = self.publisher.stdout.readline()
        if not line:
            raise RuntimeError("the publisher has ended before its time")
        return json.loads(line)


class Meter:
    """Processor time of groups of processes since its start, in cores; what a process that ended used is lost."""

    def __init__(self, scene: Scene) -> None:
        groups = {
            "gateway": scene.gateways(),
            "generators": scene.crew.pids,
            "redis": [scene.redis.pid],
            "publisher": [scene.publisher.pid, *children_of(scene.publisher.pid)],
        }
        self._scene = scene
        self._began = time.monotonic()
        self._before = {name: {pid: processor_seconds(pid) for pid in pids} for name, pids in groups.items()}

    def cores(self) -> dict[str, float]:
        """Cores in use on average, by group, processes of the gateway that were started meanwhile included."""
        seconds = time.monotonic() - self._began
        for pid in self._scene.gateways():
            self._before["gateway"].setdefault(pid, 0.0)
        return {
            name: round(sum(max(0.0, processor_seconds(pid) - was) for pid, was in before.items()) / seconds, 3)
            for name, before in self._before.items()
        }


def connect(scene: Scene) -> dict[str, Any]:
    """Open every connection, as fast as they are answered or at the pace asked for."""
    run, board = scene.run, scene.board
    before, kernel = user_memory_kb(scene.gateways())[0], kernel_memory_kb()
    redis_before = _redis_memory(scene)
    meter = Meter(scene)
    _wait(scene, lambda: _live_so_far(scene), lambda live: live >= run.connections, "connected")
    seconds = (board.latest("last_live_ns") - board.earliest("first_live_ns")) / 1e9
    cores = meter.cores()
    live = board.total("live")
    time.sleep(_SETTLE)
    total, anonymous = user_memory_kb(scene.gateways())
    after, redis_after = kernel_memory_kb(), _redis_memory(scene)
    processes = scene.gateways()
    return {
        "connected": live,
        "attempts": board.total("attempts"),
        "failures": board.total("failures"),
        "seconds": round(seconds, 2),
        "per_second": round(live / seconds, 1) if seconds else 0.0,
        "cores": cores,
        "troubles": scene.crew.ask().troubles,
        "gateway_processes": len(processes),
        "gateway_kb_before": before,
        "gateway_kb": total,
        "gateway_anonymous_kb": anonymous,
        "generators_kb": user_memory_kb(scene.crew.pids)[0],
        "kernel_kb": {name: after[name] - kernel[name] for name in after},
        "redis_used_mb": round(redis_after - redis_before, 1),
        "redis_rss_mb": round(memory_mb(scene.redis.pid)["rss"], 1),
        "files_of_fullest_process": max(map(_files, processes)),
    }


def hold(scene: Scene) -> dict[str, Any]:
    """Do nothing for one whole ping interval and a little more."""
    board, before = scene.board, scene.board.totals()
    scene.crew.tell("mark")
    meter, seconds = Meter(scene), scene.run.ping * 1.05 + 3
    time.sleep(seconds)
    cores, after = meter.cores(), board.totals()
    findings = scene.crew.ask()
    return {
        "seconds": round(seconds, 1),
        "interval": scene.run.ping,
        "pings": after["pings"] - before["pings"],
        "unpinged": findings.unpinged,
        "disconnects": _ended(after) - _ended(before),
        "codes": findings.codes,
        "cores": cores,
    }


def tell_single_users(scene: Scene) -> dict[str, Any]:
    """Send messages to users drawn at random, open loop."""
    run, board = scene.run, scene.board
    scene.crew.tell("mark")
    before, meter = board.totals(), Meter(scene)
    scene.order(rate=run.messages, seconds=run.seconds)
    outcome = scene.outcome()
    cores = meter.cores()
    _wait_quietly(lambda: board.total("received") - before["received"] >= outcome["published"], 10)
    after, findings = board.totals(), scene.crew.ask()
    return {
        "publisher": outcome,
        "received": after["received"] - before["received"],
        "doubled": after["doubled"] - before["doubled"],
        "missing": after["missing"] - before["missing"],
        "strayed": after["strayed"] - before["strayed"],
        "disconnects": _ended(after) - _ended(before),
        "latency_ms": _percentiles(findings.latency),
        "cores": cores,
    }


def tell_everyone(scene: Scene) -> dict[str, Any]:
    """One message to every connection."""
    board = scene.board
    scene.crew.tell("mark")
    board.forget("first_broadcast_ns", "last_broadcast_ns")
    before, live, meter = board.totals(), board.total("live"), Meter(scene)
    began = time.monotonic_ns()
    scene.order(everyone=True)
    outcome = scene.outcome()
    _wait(scene, lambda: board.total("broadcasts") - before["broadcasts"], lambda got: got >= live, "told")
    cores, after, findings = meter.cores(), board.totals(), scene.crew.ask()
    return {
        "publisher": outcome,
        "connections": live,
        "received": after["broadcasts"] - before["broadcasts"],
        "doubled": after["doubled"] - before["doubled"],
        "disconnects": _ended(after) - _ended(before),
        "first_s": round((board.earliest("first_broadcast_ns") - began) / 1e9, 3),
        "last_s": round((board.latest("last_broadcast_ns") - began) / 1e9, 3),
        "latency_ms": _percentiles(findings.broadcast),
        "cores": cores,
    }


def lose_a_process(scene: Scene) -> dict[str, Any]:
    """Kill one process of the gateway while messages are sent, half of them to those who are away just then."""
    run, board = scene.run, scene.board
    victim = max(children_of(scene.gateway), key=_files)
    held = _sockets(victim)
    time.sleep(1)
    scene.crew.tell("mark")
    board.forget("last_back_ns")
    before, live, meter = board.totals(), board.total("live"), Meter(scene)
    scene.order(rate=run.messages, seconds=_BEFORE_KILL + _AFTER_KILL, absent=0.5)
    time.sleep(_BEFORE_KILL)
    killed = time.monotonic_ns()
    os.kill(victim, signal.SIGKILL)
    _wait_quietly(lambda: board.total("live") < live, 5)
    _wait_quietly(lambda: board.total("live") >= live, 90)
    cores = meter.cores()
    outcome = scene.outcome()
    _wait_quietly(lambda: sum(board.sent) <= sum(board.seen), 10)
    back = board.latest("last_back_ns")
    after, findings = board.totals(), scene.crew.ask()
    return {
        "publisher": outcome,
        "held_by_the_victim": held,
        "lost": after["lost"] - before["lost"],
        "dismissed": after["dismissed"] - before["dismissed"],
        "away_in_the_end": live - board.total("live"),
        "back_s": round((back - killed) / 1e9, 3) if back else None,
        "received": after["received"] - before["received"],
        "recovered": after["recovered"] - before["recovered"],
        "unrecovered": after["unrecovered"] - before["unrecovered"],
        "missing": after["missing"] - before["missing"],
        "doubled": after["doubled"] - before["doubled"],
        "latency_of_the_others_ms": _percentiles(findings.latency),
        "codes": findings.codes,
        "troubles": findings.troubles,
        "cores": cores,
    }


def reckon(scene: Scene) -> dict[str, Any]:
    """User by user: what was sent against what was seen, over the whole run."""
    less, more = scene.board.differences()
    return {"sent": sum(scene.board.sent), "seen": sum(scene.board.seen), "lost": less, "invented": more}


def _wait(scene: Scene, value: Callable[[], int], is_enough: Callable[[int], bool], what: str) -> None:
    """Wait until enough has happened, or until nothing happens any more; say how it goes."""
    known, changed, said = -1, time.monotonic(), time.monotonic()
    while not is_enough(now := value()):
        moment = time.monotonic()
        if now != known:
            known, changed = now, moment
        elif moment - changed > _STUCK:
            say(f"  given up: {now} {what}, and nothing more for {_STUCK:.0f} s", flush=True)
            return
        if moment - said >= _SAID_EVERY:
            said = moment
            scene.crew.must_live()
            say(f"  {now} {what} ...", flush=True)
        time.sleep(0.02)


def _live_so_far(scene: Scene) -> int:
    scene.crew.connect_in_turn()
    return scene.board.total("live")


def _wait_quietly(is_true: Callable[[], bool], limit: float) -> None:
    end = time.monotonic() + limit
    while not is_true() and time.monotonic() < end:
        time.sleep(0.02)


def _ended(totals: dict[str, int]) -> int:
    return totals["lost"] + totals["dismissed"]


def _percentiles(histogram: HdrHistogram) -> dict[str, float]:
    at = {f"p{percent:g}": histogram.get_value_at_percentile(percent) / 1000 for percent in (50, 99, 99.9)}
    return {"count": histogram.get_total_count(), **at, "longest": histogram.get_max_value() / 1000}


def _redis_memory(scene: Scene) -> float:
    lines = ask_redis(scene.redis_port, "INFO", "memory").splitlines()
    return next(int(line.split(":")[1]) for line in lines if line.startswith("used_memory:")) / 1024**2


def _files(pid: int) -> int:
    """How many files a process has open. Linux says it as the size of the folder since 6.2; to list them takes long."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        return folder.stat().st_size or sum(1 for _ in folder.iterdir())
    except OSError:
        return 0


def _sockets(pid: int) -> int:
    """Sockets of a process, what it listens to and its own few ones to Redis and Postgres included."""
    try:
        return sum(1 for link in Path(f"/proc/{pid}/fd").iterdir() if str(link.readlink()).startswith("socket:"))
    except OSError:
        return 0
