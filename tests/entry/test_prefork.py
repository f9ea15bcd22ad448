"""Prefork: what becomes of a process that is on its way out, seen from outside."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_GONE_AFTER = 30
_TWO = """
import os, signal, sys, time
from tenfold.entry.prefork import Prefork
from tenfold.platform.observe import logs

def work(place):
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    place.ready()
    os.write(1, f"{place.index} {os.getpid()}\\n".encode())
    os.read(0, 1)  # until it is told to go, or killed
    %s
    time.sleep(%d)

logs.configure("console", "critical", descriptor=2)
sys.exit(Prefork(work, 2, grace=5, on_ended=lambda index, at_once: print("ended", index, at_once, flush=True)).run())
"""


@contextmanager
def _keeping_two(end: str = "") -> Iterator["subprocess.Popen[bytes]"]:
    """A parent of two processes, one of which does what is its end when a byte is written."""
    with subprocess.Popen(
        [sys.executable, "-c", _TWO % (end, _GONE_AFTER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        try:
            yield parent
        finally:
            parent.kill()


def _line(parent: "subprocess.Popen[bytes]") -> list[str]:
    assert parent.stdout is not None
    return parent.stdout.readline().decode().split()


def _stop(parent: "subprocess.Popen[bytes]") -> int:
    parent.send_signal(signal.SIGTERM)
    return parent.wait(timeout=10)


def test_a_process_that_is_killed_is_started_again() -> None:
    """In the same place and at once, and whoever leads people to it is told."""
    with _keeping_two() as parent:
        pids = dict([_line(parent), _line(parent)])
        os.kill(int(pids["0"]), signal.SIGKILL)
        assert _line(parent) == ["ended", "0", "True"]
        index, pid = _line(parent)
        assert (index, pid in pids.values()) == ("0", False)
        assert _stop(parent) == 0


def test_a_process_whose_files_are_closed_is_replaced_before_it_is_gone() -> None:
    """As the kernel does it: the files go first, and what was behind them takes its time."""
    with _keeping_two("os.closerange(3, 4096)") as parent:
        pids = dict([_line(parent), _line(parent)])
        assert parent.stdin is not None
        began = time.monotonic()
        parent.stdin.write(b".")
        parent.stdin.flush()
        word, gone, at_once = _line(parent)
        assert (word, at_once) == ("ended", "True")
        index, pid = _line(parent)
        assert (index, pid in pids.values()) == (gone, False)
        assert time.monotonic() - began < _GONE_AFTER / 2
        assert _stop(parent) == 0
        assert not Path(f"/proc/{pids[gone]}").exists()
