"""One Postgres cluster: creating it, starting its server, ending it. All of it blocks; call it in a thread."""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.kit.refusals import CannotStart
from tenfold.platform.db.embedded.place import Account, Binaries, Place

_MEGABYTE = 1024 * 1024
_ROOM_FOR_NEW = 128 * _MEGABYTE
_ROOM_TO_RUN = 48 * _MEGABYTE  # two WAL segments and a checkpoint
_LONGEST_RECOVERY = 600.0
_LONGEST_STOP = 60.0
_PID_LINE, _STATUS_LINE = 0, 7

TUNING = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "work_mem": "8MB",
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "synchronous_commit": "on",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "logging_collector": "off",
    "log_checkpoints": "off",
    # Neither statements nor the values of a violated key reach the log: they are people's data.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}

# The keeper starts the server, and stops it (fast: open transactions are rolled back) when its input ends: when this
# process closes it or is no more, however it ended. The keeper's own output ends when the server has gone.
_KEEPER = """
trap '' INT TERM HUP
exec 3<&0 </dev/null
"$@" 3<&- >&2 &
server=$!
{ cat <&3; kill -INT $server; } >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait $server
status=$?
kill $watch 2>/dev/null
exit $status
"""


class Server:
    """The server of one cluster. `launch` and `halt` come in pairs; the caller holds the place's lock."""

    def __init__(self, place: Place, account: Account, binaries: Binaries, settings: Mapping[str, str]) -> None:
        self.place = place
        self.account = account
        self.binaries = binaries
        self.settings = {**TUNING, **settings, "cluster_name": place.mark}
        self.keeper: subprocess.Popen[bytes] | None = None

    def create(self, password: str) -> None:
        """Make the cluster. It appears under its name complete and on disk, or not at all."""
        for left_over in self.place.folder.glob("new-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        self._must_have_room(_ROOM_FOR_NEW)
        fresh = self.place.folder / f"new-{os.getpid()}"
        fresh.mkdir(mode=0o700)
        if not self.account.ours:
            os.chown(fresh, self.account.uid, self.account.gid)
        self._run_initdb(fresh, ["--no-sync", "--no-instructions", *self._locale(), "--pwprompt"], f"{password}\n" * 2)
        self._run_initdb(fresh, ["--sync-only"], "")
        fresh.rename(self.place.cluster)

    def launch(self, socket_folder: Path) -> None:
        """Start the server and wait until it takes connections; crash recovery is waited for."""
        self._must_fit()
        self._must_have_room(_ROOM_TO_RUN)
        self._end_left_over()
        self._forget_the_dead(socket_folder)
        before = self._pid_file()
        log_start = self._open_log()
        descriptor = self._descriptor(self.place.cluster)
        try:
            options = {**self.settings, "unix_socket_directories": str(socket_folder)}
            arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
            with self.place.log.open("ab") as log:
                self.keeper = subprocess.Popen[bytes](
                    [
                        *("/bin/sh", "-c", _KEEPER, "postgres-keeper", self.binaries.program("postgres")),
                        *("-D", self._path(self.place.cluster, descriptor), *arguments),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    **self._surroundings(descriptor),
                )
        finally:
            if descriptor is not None:
                os.close(descriptor)
        self._wait_until_ready(before, log_start)

    def halt(self) -> None:
        """Stop the server: fast, open transactions are rolled back, nobody is waited for. Twice is once."""
        keeper, self.keeper = self.keeper, None
        if keeper is None:
            return
        if keeper.stdin:
            keeper.stdin.close()
        try:
            keeper.wait(_LONGEST_STOP)
        except subprocess.TimeoutExpired:
            pid = self.pid()
            if pid is not None and pid in self._processes():
                os.kill(pid, signal.SIGQUIT)
            keeper.wait(_LONGEST_STOP)
        finally:
            if keeper.stdout:
                keeper.stdout.close()

    def pid(self) -> int | None:
        """The server's process id, as its own file says."""
        lines = self._pid_file()
        return int(lines[_PID_LINE]) if lines and lines[_PID_LINE].strip().isdigit() else None

    def _must_fit(self) -> None:
        found = (self.place.cluster / "PG_VERSION").read_text().strip()
        if found != str(self.binaries.major):
            raise CannotStart(
                f"The database in {self.place.cluster} was made by Postgres {found}, but this is Postgres "
                f"{self.binaries.major}; dump it with Postgres {found} and load it into a new data folder."
            )

    def _must_have_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.place.folder).free
        if free < needed:
            raise CannotStart(
                f"The disk of {self.place.folder} is full: the database needs {needed // _MEGABYTE} MB and "
                f"{free // _MEGABYTE} MB are free; make room, then start again."
            )

    def _locale(self) -> list[str]:
        """Texts sort by code point and all of Unicode has case, the same on every machine."""
        words = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums"]
        if self.binaries.major >= 17:
            words += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return [
            *words,
            "--locale=C",
            *([] if self.binaries.major >= 17 else ["--lc-collate=C.UTF-8"]),
            "--lc-ctype=C.UTF-8",
        ]

    def _run_initdb(self, folder: Path, arguments: list[str], answers: str) -> None:
        descriptor = self._descriptor(folder)
        try:
            done = subprocess.run(  # noqa: S603 - our own arguments
                [self.binaries.program("initdb"), "-D", self._path(folder, descriptor), *arguments],
                input=answers,
                text=True,
                capture_output=True,
                **self._surroundings(descriptor),
            )
        finally:
            if descriptor is not None:
                os.close(descriptor)
        if done.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            raise self._cannot("create the database", done.stderr)

    def _descriptor(self, folder: Path) -> int | None:
        """An open descriptor of a folder that the account owns but cannot reach by name (under /root, say)."""
        if self.account.may_enter(folder):
            return None
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 64)
        finally:
            os.close(opened)

    def _path(self, folder: Path, descriptor: int | None) -> str:
        return str(folder.resolve()) if descriptor is None else f"/proc/self/fd/{descriptor}"

    def _surroundings(self, descriptor: int | None) -> dict[str, Any]:
        return {
            "cwd": "/",
            "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            "start_new_session": True,  # no terminal: Ctrl-C is for us alone, and initdb reads passwords from its input
            "pass_fds": () if descriptor is None else (descriptor,),
            "umask": 0o077,
            **self.account.for_popen(),
        }

    def _open_log(self) -> int:
        """Make the log, put a long one aside, and say where this start's lines begin."""
        log = self.place.log
        if log.exists() and log.stat().st_size > 10 * _MEGABYTE:
            log.replace(log.with_suffix(".log.1"))
        log.touch(mode=0o600)
        return log.stat().st_size

    def _pid_file(self) -> list[str]:
        try:
            return (self.place.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _wait_until_ready(self, before: list[str], log_start: int) -> None:
        keeper = self.keeper
        assert keeper is not None
        deadline = time.monotonic() + _LONGEST_RECOVERY
        while time.monotonic() < deadline:
            lines = self._pid_file()
            if len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready" and lines != before:
                return
            if keeper.poll() is not None:
                self.halt()
                with self.place.log.open() as log:
                    log.seek(log_start)
                    raise self._cannot("start", log.read())
            time.sleep(0.005)
        self.halt()
        raise CannotStart(f"Postgres was not ready after {_LONGEST_RECOVERY:.0f} s; its log is {self.place.log}.")

    def _cannot(self, deed: str, said: str) -> CannotStart:
        if "No space left on device" in said:
            return CannotStart(f"The disk of {self.place.folder} is full; make room on it, then start again.")
        lines = [line for line in said.splitlines() if "FATAL:" in line or "PANIC:" in line or "error:" in line]
        reason = lines[-1].split(": ", 1)[-1].strip() if lines else "it said nothing"
        return CannotStart(f"Postgres could not {deed}: {reason} (its log is {self.place.log}).")

    def _end_left_over(self) -> None:
        """End what a killed process of ours left running on this cluster, so that there are never two servers on it."""
        if not self._pid_file():
            return
        started = time.monotonic()
        asked: set[tuple[int, int]] = set()
        while processes := self._processes():
            waited = time.monotonic() - started
            how = signal.SIGINT if waited < _LONGEST_STOP / 2 else signal.SIGQUIT
            pid = self.pid()
            if pid in processes and (pid, how) not in asked:
                asked.add((pid, how))
                os.kill(pid, how)
            if waited > _LONGEST_STOP:
                raise CannotStart(
                    f"A Postgres that was left running on {self.place.cluster} does not stop; "
                    f"end process {min(processes)} first."
                )
            time.sleep(0.02)

    def _forget_the_dead(self, socket_folder: Path) -> None:
        """Remove lock files that name other programs or zombies by now: Postgres takes those for live servers."""
        for path in (self.place.cluster / "postmaster.pid", socket_folder / ".s.PGSQL.5432.lock"):
            words = path.read_text().split(maxsplit=1) if path.exists() else []
            if words and Path(f"/proc/{words[0]}").exists():
                path.unlink()

    def _processes(self) -> list[int]:
        """Every process of this cluster's server that is alive."""
        own = self.keeper.pid if self.keeper else 0
        return [
            pid
            for pid, words in _command_lines()
            if self.place.mark in words and "postgres-keeper" not in words and pid != own
        ]


def _command_lines() -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found.append((int(folder.name), (folder / "cmdline").read_text(errors="replace")))
        except OSError:  # it ended meanwhile
            continue
    return found
