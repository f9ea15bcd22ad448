"""Passwords: Argon2id in a small thread pool of its own, so that a storm of sign-ins never slows anything else.

It keeps and logs no password. Whether a password is good enough is a rule (`rules.screening`).
"""

import asyncio
import contextlib
import os
import sys
import threading
import time
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import Type

from tenfold.kit.refusals import Unavailable
from tenfold.platform.observe import metrics

T = TypeVar("T")
_NICENESS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPolicy:
    """What a password hash costs and how many are made at a time.

    The defaults are those of OWASP's Password Storage Cheat Sheet for Argon2id: 19 MiB, two passes, one lane.
    `workers` threads hash; when `queue` more callers wait, the next one is told to come back.
    """

    time_cost: int = 2
    memory_kib: int = 19 * 1024
    lanes: int = 1
    workers: int = field(default_factory=lambda: max(1, (os.cpu_count() or 2) // 2))
    queue: int = 64


class Verdict(msgspec.Struct, frozen=True):
    """Whether a password is the right one, and whether its hash was made at another cost than today's."""

    matches: bool
    outdated: bool = False


class Passwords:
    """Hashes and verifies. Both take the same time whether or not there is a hash to compare with.

    `done` counts the hashes made and compared so far.
    """

    def __init__(self, policy: PasswordPolicy) -> None:
        self.policy = policy
        self._hasher = PasswordHasher(
            time_cost=policy.time_cost, memory_cost=policy.memory_kib, parallelism=policy.lanes, type=Type.ID
        )
        self._pool = ThreadPoolExecutor(policy.workers, thread_name_prefix="passwords", initializer=_step_back)
        self._waiting = 0
        self.done = 0
        self._nobodys = _nobodys_hash(policy)

    def close(self) -> None:
        """Stop the threads; hashes that wait are dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def describe(self) -> dict[str, int | str]:
        """The cost parameters, for the start's log line, `tenfold show limits` and benchmarks."""
        policy = self.policy
        return {
            "algorithm": "argon2id",
            "time_cost": policy.time_cost,
            "memory_kib": policy.memory_kib,
            "lanes": policy.lanes,
            "workers": policy.workers,
            "queue": policy.queue,
        }

    async def hash(self, password: str) -> str:
        """Hash a password with a new salt. Raises `Unavailable` when too many wait already."""
        return await self._in_pool(lambda: self._hasher.hash(_bytes_of(password)))

    async def verify(self, hashed: str | None, password: str) -> Verdict:
        """Compare; without a hash the same work is done against nobody's, and the answer is no."""
        return await self._in_pool(lambda: self._verify(hashed, password))

    def _verify(self, hashed: str | None, password: str) -> Verdict:
        try:
            self._hasher.verify(hashed or self._nobodys, _bytes_of(password))
        except (Argon2Error, InvalidHashError):
            return Verdict(False)
        if hashed is None:
            return Verdict(False)
        return Verdict(True, self._hasher.check_needs_rehash(hashed))

    async def _in_pool(self, work: Callable[[], T]) -> T:
        if self._waiting >= self.policy.workers + self.policy.queue:
            raise Unavailable("Too many people are signing in at this moment.", retry_after=2)
        self._waiting += 1
        started = time.perf_counter()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
            self.done += 1
            metrics.password_seconds.observe(time.perf_counter() - started)


def normalised(password: str) -> str:
    """A password as it is compared: composed letters of one keyboard and decomposed ones of another are the same."""
    return unicodedata.normalize("NFKC", password)


def _bytes_of(password: str) -> bytes:
    return normalised(password).encode("utf-8", "surrogatepass")


def _step_back() -> None:
    """Let the threads that serve requests go first; only Linux has a niceness per thread."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _nobodys_hash(policy: PasswordPolicy) -> str:
    """A hash that no password has: random in place of the digest, so that every process has one without making it."""
    salt, digest = (b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (16, 32))
    return f"$argon2id$v=19$m={policy.memory_kib},t={policy.time_cost},p={policy.lanes}${salt}${digest}"
