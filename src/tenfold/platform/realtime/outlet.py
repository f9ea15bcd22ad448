"""An outlet: what one process tells the others over the bus, and word of what it could not tell them.

The bus takes a message or not, and sends overlap. So losses are counted, not flagged: a message that left says only of
those before it that they were lost.
"""

import msgspec
import structlog

from tenfold.platform.bus import Bus
from tenfold.platform.realtime.errand import AWAY

log = structlog.get_logger(__name__)


class Message(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`missed` says that something before it was lost, since the last one that said so."""

    missed: bool = False


class Outlet:
    """One per topic that a process speaks on."""

    def __init__(self, bus: Bus, topic: str) -> None:
        self._bus = bus
        self._topic = topic
        self._lost = 0
        self._told = 0

    def lose(self) -> None:
        """Note that the others may lack something; the next message says so."""
        self._lost += 1

    async def send(self, message: Message) -> bool:
        """Whether the bus has taken it. If not, that is a loss; also when this is cancelled, or fails otherwise."""
        lost = self._lost
        try:
            whole = msgspec.structs.replace(message, missed=lost > self._told)
            await self._bus.send(self._topic, msgspec.to_builtins(whole))
        except BaseException as error:
            self.lose()
            if not isinstance(error, AWAY):
                raise
            log.warning("realtime.not_relayed", topic=self._topic, error=str(error))
            return False
        self._told = max(self._told, lost)
        return True
