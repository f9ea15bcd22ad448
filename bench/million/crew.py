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

from bench.machine import has_ended
from bench.million.board import Board
from bench.million.generator import ATTEMPTS, LONGEST_US, Generator
from bench.million.settings import Run, Share
from tenfold.entry.turns import take_long_turns

AT_ONCE = 4
"""How many connect at a time: that many processes keep two cores busy, and each that waits its turn costs nothing."""


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

    def __init__(
        self,
        run: Run,
        board: Board,
        tokens: Path,
        *,
        width: int,
        port: int,
        generator: type[Generator] = Generator,
    ) -> None:
        self._generator = generator
        self._members: list[tuple[int, int, int]] = []
        self._shares: list[Share] = []
        self._board = board
        self._begun = 0
        count = run.generators
        self._at_once = min(AT_ONCE, count)
        for number in range(count):
            share = Share(
                number,
                first=run.connections * number // count,
                last=run.connections * (number + 1) // count,
                at_a_time=max(1, run.in_flight // self._at_once),
                again_at_a_time=max(1, run.in_flight // count),
                rate=run.rate / self._at_once,
                address=("127.0.0.1", port),
            )
            self._shares.append(share)
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
        if any(map(has_ended, self.pids)):
            raise RuntimeError("a generator has ended before its time")

    def connect_in_turn(self) -> None:
        """Have `AT_ONCE` of them connect, the next whenever one has begun its last attempt. Call it again and again."""
        busy = sum(
            self._board.row(share.number)[ATTEMPTS] < share.last - share.first for share in self._shares[: self._begun]
        )
        while busy < self._at_once and self._begun < len(self._members):
            self._tell(self._begun, "connect")
            self._begun, busy = self._begun + 1, busy + 1

    def tell(self, order: str) -> None:
        """Give all of them an order: `mark`, `report`."""
        for number in range(len(self._members)):
            self._tell(number, order)

    def _tell(self, number: int, order: str) -> None:
        os.write(self._members[number][1], order.encode() + b"\n")

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
                take_long_turns()
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                self._generator(share, board, tokens, width=width).run(orders, answers)
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
