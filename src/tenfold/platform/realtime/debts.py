"""Debts: what a process could not tell the others while the broker was away, and tells as soon as it is taken.

Streams that were published to without it begin anew, and every process looks for those who listen to them, so that
nobody believes to be complete who is not. Signals are said late; whoever hears of a lost right late asks instead of
believing. A process that ends before it could pay owes for ever.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import structlog

from tenfold.platform.realtime.broker import Broker, Unreached
from tenfold.platform.realtime.errand import AWAY, Errand
from tenfold.platform.realtime.guests import Review, Signal
from tenfold.platform.realtime.protocol import encode_data

log = structlog.get_logger(__name__)

MOST_STREAMS = 10_000
MOST_SIGNALS = 1000
NAMES_PER_SIGNAL = 100
LAST_TRY = 1.0
"""Seconds that the end of a process waits for a broker that takes nothing."""


class Debts:
    """One per hub. `begun` is told which streams have begun anew (None: all)."""

    def __init__(self, broker: Broker, begun: Callable[[Iterable[str] | None], None]) -> None:
        self._broker = broker
        self._begun = begun
        self._streams: set[str] | None = set()
        self._signals: list[Signal] = []
        self._renewing = Errand(self._begin_anew)
        self._telling = Errand(self._tell)

    def owe_streams(self, channels: Iterable[str] | None) -> None:
        """These streams (None: all) lack publications."""
        self._note(channels)
        self._renewing.do_soon()

    def owe_signal(self, signal: Signal) -> None:
        """This one was not heard. Of too many, it is only said that there were some."""
        log.warning("realtime.signal_not_sent")
        self._queue([_late(signal)])
        self._telling.do_soon()

    def pay(self) -> None:
        """Pay at once: the broker is there again."""
        if self._signals:
            self._telling.do()
        if self._streams is None or self._streams:
            self._renewing.do()

    async def close(self) -> None:
        """Try for the last time, not for long."""
        await self._telling.close()
        await self._renewing.close()
        for work in (self._begin_anew, self._tell):
            with contextlib.suppress(*AWAY):
                async with asyncio.timeout(LAST_TRY):
                    await work()

    def _note(self, channels: Iterable[str] | None) -> None:
        if channels is None or self._streams is None:
            self._streams = None
            return
        self._streams.update(channels)
        if len(self._streams) > MOST_STREAMS:
            self._streams = None

    async def _tell(self) -> None:
        while self._signals:
            signal = self._signals.pop(0)
            try:
                await self._broker.signal(encode_data(signal))
            except BaseException:
                self._signals.insert(0, signal)
                raise

    async def _begin_anew(self) -> None:
        streams, self._streams = self._streams, set()
        if streams is None:
            await self._begin_all_anew()
        elif streams:
            await self._begin_some_anew(streams)

    async def _begin_all_anew(self) -> None:
        try:
            await self._broker.begin_anew(None)
        except BaseException:
            self._note(None)
            raise
        self._say_begun(None)

    async def _begin_some_anew(self, streams: set[str]) -> None:
        missed = streams
        try:
            await self._broker.begin_anew(list(streams))
            missed = set[str]()
        except Unreached as error:
            missed = set(error.channels)
            raise
        finally:
            self._note(missed)
            if begun := streams - missed:
                self._say_begun(begun)

    def _say_begun(self, streams: set[str] | None) -> None:
        self._begun(streams)
        names = sorted(streams or ())
        parts = (names[start : start + NAMES_PER_SIGNAL] for start in range(0, len(names), NAMES_PER_SIGNAL))
        self._queue([Signal(is_gap=True)] if streams is None else [Signal(begun=part) for part in parts])
        self._telling.do()

    def _queue(self, signals: list[Signal]) -> None:
        self._signals += signals
        if len(self._signals) > MOST_SIGNALS:
            self._signals = [Signal(is_gap=True)]


def _late(signal: Signal) -> Signal:
    """Who has lost a right may have it again by the time that others hear of it."""
    return Signal(review=Review(signal.user_ids, [signal.channel])) if signal.channel else signal
