"""Turns: how a process shares the cores with very many others of its kind. Linux; elsewhere nothing is changed."""

import ctypes
import os
import platform
import struct
import sys

# struct sched_attr of sched_setattr(2): size, policy, flags, nice, priority, runtime, deadline, period
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
_SET = {"x86_64": 314, "aarch64": 274}
_TURN = 10_000_000  # ns; Linux allows up to ten times that


def take_long_turns() -> None:
    """Be cut off neither by each message for another process nor every millisecond or two: all would run cold.

    As SCHED_BATCH, and with turns of 10 ms where the system lets a process say how long a turn it wants (Linux 6.12).
    What the system refuses stays as it was.
    """
    if not hasattr(os, "SCHED_BATCH"):
        return
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        return
    number = _SET.get(platform.machine())
    if number is not None and sys.maxsize > 2**32:
        wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_BATCH, 0, os.nice(0), 0, _TURN, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, wanted, 0)
