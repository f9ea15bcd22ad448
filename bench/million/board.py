"""The board: what every process of a run writes for the others to read, in one file that all of them map."""

import mmap
from pathlib import Path
from typing import Final

COUNTERS: Final = (
    "live",  # connections that are open and signed in
    "attempts",
    "failures",  # attempts that did not come to a signed-in connection
    "lost",  # connections that ended without a word of the server
    "dismissed",  # connections that the server closed with a code
    "pings",
    "received",  # messages to one user, each counted once
    "broadcasts",  # messages to everyone, each counted once per connection
    "doubled",
    "missing",  # offsets that were skipped
    "strayed",  # messages that came to somebody else
    "unrecovered",  # connections that came back and were told that something is missing
    "recovered",  # messages that came with the answer to a reconnection
    "first_live_ns",
    "last_live_ns",
    "last_back_ns",  # when the latest of those who had lost their connection was back
    "first_broadcast_ns",
    "last_broadcast_ns",
)
_ROW = {name: number for number, name in enumerate(COUNTERS)}


class Board:
    """A byte per user (1: live), what was sent to and seen by each, and a row of counters per generator.

    Each cell has one writer, so nothing is locked.
    """

    def __init__(self, path: Path, users: int, generators: int) -> None:
        self.users, self.generators = users, generators
        self.path = path
        cells = 8 * len(COUNTERS) * generators
        size = cells + 9 * users
        if not path.exists():
            with path.open("wb") as file:
                file.truncate(size)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        whole = memoryview(self._map)
        self._counters = whole[:cells].cast("Q")
        self.sent = whole[cells : cells + 4 * users].cast("I")
        self.seen = whole[cells + 4 * users : cells + 8 * users].cast("I")
        self.live = whole[cells + 8 * users :]

    def row(self, generator: int) -> memoryview:
        """The counters of one generator, in the order of `COUNTERS`."""
        return self._counters[len(COUNTERS) * generator : len(COUNTERS) * (generator + 1)]

    def total(self, name: str) -> int:
        """A counter, summed over the generators."""
        return sum(self._counters[_ROW[name] :: len(COUNTERS)])

    def totals(self) -> dict[str, int]:
        """Every counter that sums."""
        return {name: self.total(name) for name in COUNTERS if not name.endswith("_ns")}

    def earliest(self, name: str) -> int:
        """The least instant that a generator noted."""
        return min((at for at in self._counters[_ROW[name] :: len(COUNTERS)] if at), default=0)

    def latest(self, name: str) -> int:
        """The greatest instant that a generator noted."""
        return max(self._counters[_ROW[name] :: len(COUNTERS)])

    def forget(self, *names: str) -> None:
        """Set instants back to none."""
        for name in names:
            for generator in range(self.generators):
                self.row(generator)[_ROW[name]] = 0

    def away(self, after: int) -> int:
        """A user behind this one, round about, who is not connected; -1 when all are."""
        found = self._map.find(b"\0", self._map_of(after))
        if found < 0:
            found = self._map.find(b"\0", self._map_of(0))
        return -1 if found < 0 else found - self._map_of(0)

    def differences(self) -> tuple[int, int]:
        """How many messages were sent and not seen, and how many seen that were not sent, user by user."""
        less = more = 0
        for sent, seen in zip(self.sent, self.seen, strict=True):
            if sent != seen:
                less += max(0, sent - seen)
                more += max(0, seen - sent)
        return less, more

    def _map_of(self, user: int) -> int:
        return 8 * len(COUNTERS) * self.generators + 8 * self.users + user
