"""The crew: the generator's processes, forked before anything large is imported, and what they are told and asked."""

import contextlib
import json
import os
import signal
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdrh.histogram import HdrHistogram

from bench.million.board import Board
from bench.million.generator import LONGEST_US, Generator, Share
from bench.million.settings import Run


@dataclass
class Findings:
    """What the generators have seen since the last mark."""

    latency: HdrHistogram
    broadcast: HdrHistogram
    unpinged: int
    codes: dict[str, int]
    troubles: dict[str, int]


class Crew:
    """The generators; leaving the block ends them."""

    def __init__(self, run: Run, board: Board, tokens: Path, *, width: int, port: int) -> None:
        self._members: list[tuple[int, int, int]] = []
        count = run.generators
        for number in range(count):
            share = Share(
                number,
                first=run.connections * number // count,
                last=run.connections * (number + 1) // count,
                in_flight=max(1, run.in_flight // count),
                rate=run.rate / count,
                address=("127.0.0.1", port),
            )
            self._fork(share, board, tokens, width)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for pid, orders, answers in self._members:
            os.close(orders)
            os.close(answers)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    @property
    def pids(self) -> list[int]:
        """The processes."""
        return [pid for pid, _, _ in self._members]

    def must_live(self) -> None:
        """Raises RuntimeError when one of them has ended before its time."""
        for pid in self.pids:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                raise RuntimeError("a generator has ended before its time")

    def tell(self, order: str) -> None:
        """Give all of them an order: `connect`, `mark`."""
        for _, orders, _ in self._members:
            os.write(orders, order.encode() + b"\n")

    def ask(self) -> Findings:
        """What they have seen since the last mark, together."""
        self.tell("report")
        findings = Findings(HdrHistogram(1, LONGEST_US, 3), HdrHistogram(1, LONGEST_US, 3), 0, {}, {})
        for _, _, answers in self._members:
            report = _line(answers)
            findings.latency.decode_and_add(report["latency"])
            findings.broadcast.decode_and_add(report["broadcast"])
            findings.unpinged += report["unpinged"]
            for name, counts in (("codes", findings.codes), ("troubles", findings.troubles)):
                for what, times in report[name].items():
                    counts[what] = counts.get(what, 0) + times
        return findings

    def _fork(self, share: Share, board: Board, tokens: Path, width: int) -> None:
        orders, orders_in = os.pipe()
        answers_out, answers = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                for _, *others in self._members:
                    for descriptor in others:
                        os.close(descriptor)
                os.close(orders_in)
                os.close(answers_out)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                # As many processes share two cores: each message that arrives must not cut off another at work.
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                Generator(share, board, tokens, width=width).run(orders, answers)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(orders)
        os.close(answers)
        self._members.append((pid, orders_in, answers_out))


def _line(descriptor: int) -> Any:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 65536)
        if not piece:
            raise RuntimeError("a generator has ended before its time")
        line += piece
    return json.loads(line)
