"""Prefork: a parent that keeps a number of equal processes running, and ends when they have ended.

It forks after everything is imported and built, so that the processes share that memory. What one of them serves is the
caller's: it knows signals, processes and exit codes only. POSIX.
"""

import contextlib
import fcntl
import gc
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

log = structlog.get_logger("tenfold.prefork")

STOPPED, NOT_STARTED, KILLED = 0, 1, 4
"""Exit codes: stopped as asked; a process could not start; some process had to be killed, or failed while stopping."""

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_WATCHED = (*_ENDING, signal.SIGCHLD)
_SHORT_LIFE = 5.0
_LONGEST_PAUSE = 30.0
_GLANCE = 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process stands among its siblings."""

    index: int
    parent_gone: int
    """A descriptor that can be read (it ends) when the parent is no more, however it ended."""
    _ready: int

    def ready(self) -> None:
        """Tell the parent that this process serves."""
        os.write(self._ready, bytes([self.index >> 8, self.index & 0xFF]))


Work = Callable[[Place], None]


@dataclass(slots=True)
class _Child:
    index: int
    pid: int
    started_at: float
    is_ready: bool = False


class _Lives:
    """Which children live. Each locks its byte of a file that nobody sees.

    The kernel takes the lock back early in the end of a process. The parent is told of the end last, and to close very
    many connections takes seconds.
    """

    def __init__(self) -> None:
        # A bare descriptor: a file would be closed by Python, before what a process does at its end.
        with tempfile.TemporaryFile() as file:
            self._file = os.dup(file.fileno())

    def begin(self, index: int) -> None:
        """Live, in a child."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, index)

    def is_over(self, index: int) -> bool:
        """Whether a child that has begun to live is about to be gone."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index)
        except OSError:
            return False
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, index)
        return True


class Prefork:
    """Runs `work` in so many processes. `run` returns the exit code in the parent; a child ends in it.

    A process that dies is started again, as soon as it is noticed (within `tick` seconds), while what is left of it may
    still be cleared away; one that dies young again and again, after a pause that grows. On SIGTERM, SIGINT or SIGHUP
    all are asked to stop, and have `grace` seconds for it; a second signal kills.
    """

    def __init__(
        self,
        work: Work,
        count: int,
        *,
        grace: float,
        on_ready: Callable[[], None] = lambda: None,
        on_stopping: Callable[[], None] = lambda: None,
        on_ended: Callable[[int, bool], None] = lambda index, returns: None,
        on_tick: Callable[[], None] = lambda: None,
        tick: float = 0.5,
    ) -> None:
        """`on_ready` is called when all serve for the first time, `on_stopping` before they are told to stop.

        `on_ended` is called with the index of each process that is no more and whether it is started again at once, and
        `on_tick` every `tick` seconds until they are to stop. All of them run in the parent.
        """
        self._work = work
        self._count = count
        self._grace = grace
        self._on_ready = on_ready
        self._on_stopping = on_stopping
        self._on_ended = on_ended
        self._on_tick = on_tick
        self._tick = tick
        self._tick_at = 0.0
        self._children: dict[int, _Child] = {}
        self._leaving: dict[int, _Child] = {}  # by process: they have died, and are not gone yet
        self._lives = _Lives()
        self._due: dict[int, float] = {}
        self._failures = [0] * count
        self._lifeline, self._lifeline_end = os.pipe()
        self._news, self._news_end = os.pipe()
        os.set_blocking(self._news, False)
        self._all_were_ready = False
        self._kill_at: float | None = None
        self._code = STOPPED

    def run(self) -> int:
        """Keep the processes until a signal, then until they have ended."""
        gc.collect()
        gc.freeze()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            for index in range(self._count):
                self._start(index)
            while self._children or self._due or self._leaving:
                self._turn()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return self._code

    @property
    def _is_stopping(self) -> bool:
        return self._kill_at is not None

    def _start(self, index: int) -> None:
        self._due.pop(index, None)
        pid = os.fork()
        if pid == 0:
            self._be(index)
        self._children[index] = _Child(index, pid, time.monotonic())

    def _be(self, index: int) -> None:
        """The life of a child, from the fork on. SIGINT is left to the parent: a terminal sends it to all."""
        os.close(self._lifeline_end)
        os.close(self._news)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        self._lives.begin(index)
        self._work(Place(index, self._lifeline, self._news_end))
        raise SystemExit(0)

    def _turn(self) -> None:
        """Wait for a signal or a time, and do what it asks for."""
        heard = signal.sigtimedwait(_WATCHED, self._patience())
        if heard is not None and heard.si_signo in _ENDING:
            self._stop()
        self._reap()
        self._look_after_them()
        self._read_news()
        now = time.monotonic()
        if self._children and self._kill_at is not None and now >= self._kill_at:
            self._send(signal.SIGKILL)
            self._code = self._code or KILLED
        for index in [index for index, due in self._due.items() if due <= now]:
            self._start(index)
        if now >= self._tick_at and not self._is_stopping:
            self._tick_at = now + self._tick
            self._on_tick()

    def _patience(self) -> float:
        if not self._all_were_ready and not self._is_stopping:
            return _GLANCE
        next_ = self._tick_at if self._kill_at is None else self._kill_at
        return max(0.01, min((next_, *self._due.values())) - time.monotonic())

    def _stop(self) -> None:
        """Ask all to stop; asked before, kill them."""
        if self._is_stopping:
            self._kill_at = time.monotonic()
            return
        self._on_stopping()
        self._kill_at = time.monotonic() + self._grace
        self._due.clear()
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)

    def _reap(self) -> None:
        for child, status in list(self._ended()):
            exit_code = os.waitstatus_to_exitcode(status)
            if self._leaving.pop(child.pid, None) is not None:
                log.warning("a process that has died is gone", process=child.index, pid=child.pid, exit_code=exit_code)
                continue
            del self._children[child.index]
            if self._is_stopping:
                if status != 0:
                    self._code = self._code or KILLED
                self._on_ended(child.index, False)
            elif not self._all_were_ready and os.WIFEXITED(status) and not child.is_ready:
                log.error("a process could not start", process=child.index, exit_code=exit_code)
                self._code = NOT_STARTED
                self._stop()
                self._on_ended(child.index, False)
            else:
                self._start_again(child, exit_code)

    def _ended(self) -> Iterator[tuple[_Child, int]]:
        for child in (*self._children.values(), *self._leaving.values()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                yield child, status

    def _look_after_them(self) -> None:
        """Start again whoever is about to be gone."""
        if self._is_stopping:
            return
        for child in list(self._children.values()):
            if child.is_ready and self._lives.is_over(child.index):
                self._leaving[child.pid] = self._children.pop(child.index)
                os.kill(child.pid, signal.SIGKILL)  # whatever it still is, it must not serve beside its successor
                self._start_again(child, None)

    def _start_again(self, child: _Child, exit_code: int | None) -> None:
        now = time.monotonic()
        failures = self._failures[child.index] + 1 if now - child.started_at < _SHORT_LIFE else 0
        self._failures[child.index] = failures
        pause = min(_LONGEST_PAUSE, 2.0 ** (failures - 2)) if failures > 1 else 0.0
        self._due[child.index] = now + pause
        log.warning(
            "a process has died; it is started again",
            process=child.index,
            pid=child.pid,
            exit_code=exit_code,
            pause=pause,
        )
        self._on_ended(child.index, not pause)

    def _read_news(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while news := os.read(self._news, 2):
                child = self._children.get(news[0] << 8 | news[1])
                if child is not None:
                    child.is_ready = True
        ready = sum(child.is_ready for child in self._children.values())
        if not self._all_were_ready and ready == self._count:
            self._all_were_ready = True
            self._on_ready()
