"""Lines: hand finished log lines to a file descriptor from a thread of their own, so that a slow reader stops nobody.

When the reader stalls, at most `capacity` lines wait and the rest are dropped and counted; when it is gone, all are.
"""

import os
import queue
import select
import threading

from tenfold.platform.observe import metrics

_CAPACITY = 10_000
_BATCH = 500


class Lines:
    """Writes lines in order, without ever blocking or failing the caller."""

    def __init__(self, descriptor: int, capacity: int = _CAPACITY) -> None:
        self._descriptor = descriptor
        self._capacity = capacity
        self._waiting: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._writer_of = 0

    def write(self, line: bytes) -> None:
        """Have a line (with its newline) written soon; it is dropped when too many wait already."""
        if self._writer_of != os.getpid():
            self._start()
        if self._waiting.qsize() >= self._capacity:
            metrics.log_lines_dropped.inc()
            return
        self._waiting.put(line)

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until what was given so far is written; False when that takes longer than `timeout` seconds."""
        if self._writer_of != os.getpid():
            return True
        written = threading.Event()
        self._waiting.put(written)
        return written.wait(timeout)

    def _start(self) -> None:
        """Start the thread, once per process: a forked child has none, and what waited at the fork is its parent's."""
        with self._lock:
            if self._writer_of == os.getpid():
                return
            if self._writer_of:
                self._waiting = queue.SimpleQueue()
            self._writer_of = os.getpid()
            threading.Thread(target=self._write_on, name="log-lines", daemon=True).start()

    def _write_on(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < _BATCH and not self._waiting.empty():
                batch.append(self._waiting.get())
            self._write_out([item for item in batch if isinstance(item, bytes)])
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()

    def _write_out(self, lines: list[bytes]) -> None:
        rest = memoryview(b"".join(lines))
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody who shares the descriptor made it non-blocking
                select.select([], [self._descriptor], [], 1.0)
            except OSError:  # the reader is gone, or the disk is full: there is nowhere to say so
                metrics.log_lines_dropped.inc(len(lines))
                return
